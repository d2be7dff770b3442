"""Data sets and batches. Import the modules; this package imports nothing."""
