"""Unsupervised domain adaptation of semantic segmentation in JAX.

Importing the package imports nothing else: a notebook that wants
`uda_jax.losses` never loads TensorFlow or flax.
"""

__version__ = '0.1.0'
