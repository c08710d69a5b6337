enum LabCommandsPlaceholder {}
