"""Runs `python -m uda_jax.evaluate`: scores a run, or files."""

import sys

# TensorFlow, which reads the images of a run, takes seconds to load.
if any(arg.split('=')[0] == '--workdir' for arg in sys.argv[1:]):
  from uda_jax.evaluate import run as command
else:
  from uda_jax.evaluate import files as command
command.main()
