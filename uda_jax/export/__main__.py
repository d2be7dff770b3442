"""Runs `python -m uda_jax.export`."""

from uda_jax.export import command

command.main()
