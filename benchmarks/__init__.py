"""Measurements; each module's docstring has its command."""
