enum LabImagesPlaceholder {}
