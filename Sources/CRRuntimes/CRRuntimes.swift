enum CRRuntimesPlaceholder {}
