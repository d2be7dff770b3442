"""Array operators that models, losses, augmentations and evaluation share."""
