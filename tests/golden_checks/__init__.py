"""Checks of the library's functions against golden files."""
