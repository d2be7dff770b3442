"""Image and label-map operators on the device, as pure functions."""
