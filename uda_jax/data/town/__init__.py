"""Rendered towns in the light of a real camera, a source for real streets."""
