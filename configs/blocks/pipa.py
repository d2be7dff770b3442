"""PiPa's contrasts (arXiv 2211.07609), on top of a method's block."""

import ml_collections

from uda_jax.configs.blocks import additions

ConfigDict = ml_collections.ConfigDict


def method(base: ConfigDict, *, patch_features: str = 'fused') -> ConfigDict:
  """The paper's method: both contrasts train the student.

  Labels are aligned with the embeddings, ignored pixels are left out, and the
  segmentation head selects hard pixels and labels the patches. The released
  code differs in all three, see `released`.

  Args:
    base: block of the self-training that the contrasts are added to.
    patch_features: the map that gives the vectors of patches: 'fused' of
      DAFormer's network, or 'logits' (HRDA's and others).
  """
  return additions.added(
    base, pixel_contrast={}, patch_contrast=dict(features=patch_features)
  )


def released(base: ConfigDict) -> ConfigDict:
  """The released code as far as it reaches the student.

  Its contrast of patches uses features of the teacher without a gradient, so it
  does not change the student and is left out. The head that selects hard pixels
  is untrained, ignored pixels are a class, and with HRDA the labels of the
  whole image are used with the embeddings of the detail crop.
  """
  return additions.added(
    base,
    pixel_contrast=dict(
      include_ignore=True, align_label=False, predict='untrained'
    ),
  )
