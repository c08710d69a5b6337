enum CRModelPlaceholder {}
