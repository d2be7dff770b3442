"""EHTDI's method (arXiv 2208.06100)."""

import ml_collections

from uda_jax.configs.blocks import additions

ConfigDict = ml_collections.ConfigDict


def method(*, paste_classes: tuple[int, ...]) -> ConfigDict:
  """The paper's method: every image of the group has every term."""
  return ConfigDict(
    dict(
      name='ehtdi',
      variant='main',
      confidence=0.95,
      class_weights=(),
      weight_aux=0.1,
      weight_mixed=0.1,
      weight_into_source=0.1,
      weight_view_contrast=0.01,
      class_temperature=1 / 7,
      pixel_temperature=1 / 20,
      # 0: contrast at the network's own stride, DeepLab-v2's 8.
      contrast_stride=0,
      class_contrast_all_images=True,
      into_source_first_only=False,
      border_needs_all=False,
      paste_classes=paste_classes,
      paste_offset=0,
      crop_size=(512, 512),
      crop_area=(0.2, 1.0),
      crop_aspect=(3 / 4, 4 / 3),
      # Fraction of the images of both domains that are blurred slightly.
      blur=0.5,
      # First step of adaptation; before it the loss is that of the source.
      adapt_from=0,
      **additions.on_own_labels(),
    )
  )


def release(config: ConfigDict) -> ConfigDict:
  """Sets the method's block to the released code's choices.

  The draw of classes is off by one. Only the first image of a group has the
  loss of target areas in the source and the contrast of classes. Borders count
  only if the first two images both have some (edge variant).
  """
  config.update(
    paste_offset=-1,
    into_source_first_only=True,
    class_contrast_all_images=False,
    border_needs_all=True,
  )
  return config
