"""Losses: arrays in, a scalar to minimise out."""

from uda_jax.losses.segmentation import cross_entropy
from uda_jax.losses.segmentation import focal_term
from uda_jax.losses.segmentation import resized_cross_entropy

__all__ = ['cross_entropy', 'focal_term', 'resized_cross_entropy']
