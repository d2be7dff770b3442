"""Augmentations of images and label maps on the device, as pure functions.

A random augmentation is a draw (`draw_...`, from a JAX key) and a deterministic
function of the draw; functions that take a key do both. Boxes are (top, bottom,
left, right), bottom and right excluded.
"""

from uda_jax.augment.class_paste import PastedViews
from uda_jax.augment.class_paste import draw_paste_positions
from uda_jax.augment.class_paste import mask_border
from uda_jax.augment.class_paste import paste_classes
from uda_jax.augment.class_paste import paste_mask
from uda_jax.augment.classmix import class_mask
from uda_jax.augment.classmix import draw_classes
from uda_jax.augment.classmix import mix
from uda_jax.augment.cutmix import CutMixDraw
from uda_jax.augment.cutmix import apply_cutmix
from uda_jax.augment.cutmix import draw_cutmix
from uda_jax.augment.dacs_jitter import StrongDraw
from uda_jax.augment.dacs_jitter import apply_strong
from uda_jax.augment.dacs_jitter import draw_strong
from uda_jax.augment.dacs_jitter import strong_augment
from uda_jax.augment.fourier import amplitude_mix
from uda_jax.augment.masking import apply_mask
from uda_jax.augment.masking import draw_mask
from uda_jax.augment.pipa_jitter import ViewJitter
from uda_jax.augment.pipa_jitter import apply_view_jitter
from uda_jax.augment.pipa_jitter import draw_view_jitter
from uda_jax.augment.pipa_jitter import jitter_views
from uda_jax.augment.scale_invariant import draw_windows
from uda_jax.augment.scale_invariant import zoom
from uda_jax.augment.scale_invariant import zoom_label
from uda_jax.augment.weak_strong import Views
from uda_jax.augment.weak_strong import random_blur
from uda_jax.augment.weak_strong import weak_strong_views

__all__ = [
  'CutMixDraw',
  'PastedViews',
  'StrongDraw',
  'ViewJitter',
  'Views',
  'amplitude_mix',
  'apply_cutmix',
  'apply_mask',
  'apply_strong',
  'apply_view_jitter',
  'class_mask',
  'draw_classes',
  'draw_cutmix',
  'draw_mask',
  'draw_paste_positions',
  'draw_strong',
  'draw_view_jitter',
  'draw_windows',
  'jitter_views',
  'mask_border',
  'mix',
  'paste_classes',
  'paste_mask',
  'random_blur',
  'strong_augment',
  'weak_strong_views',
  'zoom',
  'zoom_label',
]
