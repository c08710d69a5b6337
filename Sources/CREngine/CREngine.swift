enum CREnginePlaceholder {}
