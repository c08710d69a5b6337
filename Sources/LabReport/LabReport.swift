enum LabReportPlaceholder {}
