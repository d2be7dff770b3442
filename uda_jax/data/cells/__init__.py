"""Rendered cells under a microscope, stained in two laboratories."""
