"""CLUDA's fields on top of a method's block; its network: see `hrda`."""

import ml_collections

ConfigDict = ml_collections.ConfigDict


def method(base: ConfigDict, *, grid: tuple[int, int] = (65, 65),
           entropy_start: int = 0) -> ConfigDict:
  """The method as meant: pixels meet their own labels.

  Ignored pixels are no class, and road in the detail crop is in the crop.

  Args:
    base: block of HRDA, or of the self-training that has one resolution.
    grid: (height, width) of the contrast; published: 65 x 65 = 8450 pixels of
      two images. 2**k + 1 puts cells exactly on pixels.
    entropy_start: first step whose mixed images get the detail crop of highest
      entropy; 0: never.
  """
  config = base.copy_and_resolve_references()
  config.update(
      name='cluda', weight_contrast=1.0, grid=grid, pixel_order='aligned',
      contrast_ignored=False, class_0_is_outside=False,
      entropy_start=entropy_start)
  return config


def released(base: ConfigDict, *, entropy_start: int = 0) -> ConfigDict:
  """The released code, by which the published number came about.

  With two images nearly every feature meets the label, the weight and the
  confidence of another pixel; ignored pixels attract each other; road counts
  as outside of the crop.
  """
  config = method(base, entropy_start=entropy_start)
  config.update(pixel_order='released', contrast_ignored=True,
                class_0_is_outside=True)
  return config
