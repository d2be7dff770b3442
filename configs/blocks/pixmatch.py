"""PixMatch's method (arXiv 2105.08128)."""

import ml_collections

from uda_jax.configs.blocks import additions

ConfigDict = ml_collections.ConfigDict


def method() -> ConfigDict:
  """The paper's method with the strong augmentation alone, its baseline.

  Fourier mixing and CutMix have their own weights; the authors' combination is
  `weight_augment` 0, `weight_fourier` and `weight_cutmix` 0.1.
  """
  return ConfigDict(
    dict(
      name='pixmatch',
      threshold=0.0,
      class_weights=(),
      weight_aux=0.1,
      weight_augment=0.1,
      weight_fourier=0.0,
      weight_cutmix=0.0,
      source_fourier=False,
      crop_size=(512, 512),
      crop_area=(0.2, 1.0),
      crop_aspect=(3 / 4, 4 / 3),
      aux_label_same_crop=True,
      fourier_fraction=0.01,
      fourier_resize_style=True,
      # Fraction of the images of both domains that are blurred slightly.
      blur=0.5,
      # First step of adaptation; before it the loss is that of the source.
      adapt_from=0,
      **additions.on_own_labels(),
    )
  )


def released() -> ConfigDict:
  """The released code's method.

  The auxiliary head's label is cropped by another box than the image, and the
  amplitudes of a larger style image belong to other frequencies.
  """
  config = method()
  config.update(aux_label_same_crop=False, fourier_resize_style=False)
  return config
