"""CLUDA's contrast (arXiv 2208.14227), on top of a method's block."""

import ml_collections

from uda_jax.configs.blocks import additions

ConfigDict = ml_collections.ConfigDict

# The released code: after iteration 12000, counted from 0.
ENTROPY_START = 12001
RELEASED = dict(
  pixel_order='released', include_ignore=True, class_0_is_outside=True
)


def method(
  base: ConfigDict, *, grid: tuple[int, int] = (65, 65), entropy_start: int = 0
) -> ConfigDict:
  """The method as described: each pixel has its own label.

  Ignored pixels are not a class, and road in the detail crop counts as inside.

  Args:
    base: block of HRDA, or of self-training, which has one resolution.
    grid: (height, width) of the contrast; published: 65 x 65 = 8450 pixels of
      two images. 2**k + 1 puts cells exactly on pixels.
    entropy_start: first step whose mixed images get the detail crop of highest
      entropy; 0: never.
  """
  return additions.added(
    base, cluda_contrast=dict(grid=grid, entropy_start=entropy_start)
  )


def released(
  base: ConfigDict, *, grid: tuple[int, int] = (65, 65), entropy_start: int = 0
) -> ConfigDict:
  """The released code, which gave the published number.

  With two images nearly every feature is paired with the label, the weight and
  the confidence of another pixel; ignored pixels are pulled together; road
  counts as outside of the crop.
  """
  config = method(base, grid=grid, entropy_start=entropy_start)
  config.cluda_contrast.update(RELEASED)
  return config
