enum LabScenarioPlaceholder {}
