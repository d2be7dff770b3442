"""Loss functions: arrays to a scalar to minimize.

Everything here is a pure function of JAX arrays and needs neither a network nor
a configuration. Label maps are integers in [0, C); pixels with `IGNORE_LABEL`
(255) do not count unless a function states otherwise.
"""

from uda_jax.losses.feature_distance import class_feature_distance
from uda_jax.losses.feature_distance import dominant_label
from uda_jax.losses.hrda import two_scale_cross_entropy
from uda_jax.losses.patch_bank import PatchBank
from uda_jax.losses.patch_bank import PatchCells
from uda_jax.losses.patch_bank import draw_cells
from uda_jax.losses.patch_bank import empty_bank
from uda_jax.losses.patch_bank import push_bank
from uda_jax.losses.patch_contrast import PatchContrast
from uda_jax.losses.patch_contrast import mirror_back
from uda_jax.losses.patch_contrast import paired_patch_contrast
from uda_jax.losses.pixel_contrast import PixelSample
from uda_jax.losses.pixel_contrast import draw_pixels
from uda_jax.losses.pixel_contrast import gather_pixels
from uda_jax.losses.pixel_contrast import sampled_pixel_contrast
from uda_jax.losses.pixel_contrast import supervised_contrastive
from uda_jax.losses.resolution_contrast import multi_resolution_contrast
from uda_jax.losses.resolution_contrast import single_resolution_contrast
from uda_jax.losses.segmentation import cross_entropy
from uda_jax.losses.segmentation import focal_term
from uda_jax.losses.segmentation import pixel_cross_entropy
from uda_jax.losses.segmentation import resized_cross_entropy
from uda_jax.losses.view_contrast import nt_xent
from uda_jax.losses.view_contrast import view_class_contrast
from uda_jax.losses.view_contrast import view_pixel_contrast

__all__ = [
  'PatchBank',
  'PatchCells',
  'PatchContrast',
  'PixelSample',
  'class_feature_distance',
  'cross_entropy',
  'dominant_label',
  'draw_cells',
  'draw_pixels',
  'empty_bank',
  'focal_term',
  'gather_pixels',
  'mirror_back',
  'multi_resolution_contrast',
  'nt_xent',
  'paired_patch_contrast',
  'pixel_cross_entropy',
  'push_bank',
  'resized_cross_entropy',
  'sampled_pixel_contrast',
  'single_resolution_contrast',
  'supervised_contrastive',
  'two_scale_cross_entropy',
  'view_class_contrast',
  'view_pixel_contrast',
]
