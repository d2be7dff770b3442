"""Array operators shared by models, losses, augmentations and evaluation.

`boxes` cuts, pastes and slides boxes, `resize` resizes images and label maps as
PyTorch does, `unit_vectors` normalizes vectors.
"""

from uda_jax.ops import boxes
from uda_jax.ops import resize
from uda_jax.ops.vectors import unit_vectors

__all__ = ['boxes', 'resize', 'unit_vectors']
