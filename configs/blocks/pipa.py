"""PiPa's contrasts (arXiv 2211.07609), on top of a method's block."""

import ml_collections

from uda_jax.configs.blocks import additions

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
  return additions.added(
    base, pixel_contrast={}, patch_contrast=dict(features=patch_features)
  )


def released(base: ConfigDict) -> ConfigDict:
  """The released code as far as it reaches the student.

  Its contrast of patches takes features of the teacher and no gradient: the
  student is the same without. The head that tells hard pixels is untrained,
  ignored pixels are a class, and with HRDA the labels of the whole image are
  laid over the embeddings of the detail crop.
  """
  return additions.added(
    base,
    pixel_contrast=dict(
      include_ignore=True, align_label=False, predict='untrained'
    ),
  )
