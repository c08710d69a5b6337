enum LabVMPlaceholder {}
