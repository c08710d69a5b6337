enum LabRunnerPlaceholder {}
