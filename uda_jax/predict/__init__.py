"""Label maps of one's own images and videos; `python -m uda_jax.predict`."""
