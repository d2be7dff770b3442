"""Networks for other runtimes; `python -m uda_jax.export`."""
