"""Label maps of your own images and videos; `python -m uda_jax.predict`."""
