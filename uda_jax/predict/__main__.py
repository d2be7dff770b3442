"""Runs `python -m uda_jax.predict`."""

from uda_jax.predict import command

command.main()
