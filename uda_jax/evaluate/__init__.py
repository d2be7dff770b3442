"""Scores of networks and of label files; `python -m uda_jax.evaluate`."""
