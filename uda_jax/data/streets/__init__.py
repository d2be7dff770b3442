"""Rendered street scenes in two looks, the data set that needs no download."""
