"""Losses: arrays in, a scalar to minimise out."""

from uda_jax.losses.segmentation import cross_entropy
from uda_jax.losses.segmentation import resized_cross_entropy

__all__ = ['cross_entropy', 'resized_cross_entropy']
