enum CRImagePlaceholder {}
