"""PiPa's fields on top of a method's and a network's block."""

import ml_collections

ConfigDict = ml_collections.ConfigDict


def method(base: ConfigDict, *, patch_features: str = 'fused') -> ConfigDict:
  """The paper's method: both contrasts train the student.

  Labels lie where the embeddings do, ignored pixels stay out, the
  segmentation head says which pixels are hard and labels the patches. The
  released code does none of this, see `released`.

  Args:
    base: block of the self-training that it stands on.
    patch_features: what the vectors of patches are made of: the map 'fused'
      of DAFormer's network, or 'logits' (HRDA's and others).
  """
  config = base.copy_and_resolve_references()
  config.update(
      name='pipa',
      weight_pixel=0.1, pixel_max_views=100, pixel_max_samples=1024,
      pixel_include_ignore=False, pixel_align_label=True,
      pixel_predict='segmentation',
      # First step of the contrast of patches.
      weight_patch=0.1, patch_start=10000, patch_features=patch_features,
      patch_channels=128, patch_threshold=0.9, patch_temperature=0.1,
      # Cells of each of the crops that go into the bank, and its steps.
      patch_samples=1600, bank_steps=3)
  return config


def released(base: ConfigDict) -> ConfigDict:
  """The released code as far as it reaches the student.

  Its contrast of patches takes features of the teacher and no gradient: the
  student is the same without. The head that tells hard pixels is untrained,
  ignored pixels are a class, and with HRDA the labels of the whole image are
  laid over the embeddings of the detail crop.
  """
  config = method(base)
  config.update(weight_patch=0.0, pixel_include_ignore=True,
                pixel_align_label=False, pixel_predict='untrained')
  return config
