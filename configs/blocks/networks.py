"""Networks: compact, EfficientNet-Lite0, DAFormer."""

import ml_collections

ConfigDict = ml_collections.ConfigDict


def compact() -> ConfigDict:
  """The small network that trains from scratch on a CPU in minutes."""
  return ConfigDict(
    dict(
      name='compact',
      weights='',
      # See `starts`: weights that a run refuses to start without; '': none.
      starts_from='',
      allow_target_labels=False,
      new_classifier=False,
      in_channels=3,
      # Of the pixels, one a channel; (): those of the weights.
      mean=(),
      std=(),
      dtype='float32',
      matmul_precision='default',
      # Extra heads for PiPa, rows (name, input, channels); see
      # `uda_jax.models.extra_heads.build`.
      heads=(),
    )
  )


def efficientnet_lite0() -> ConfigDict:
  """EfficientNet-Lite0 with ImageNet weights (an installed package's file)."""
  return ConfigDict(
    dict(
      name='efficientnet_lite0',
      weights='package',
      starts_from='',
      allow_target_labels=False,
      new_classifier=False,
      in_channels=3,
      # Of the pixels, one a channel; (): those of the weights.
      mean=(),
      std=(),
      dtype='float32',
      matmul_precision='default',
      heads=(),
      width=64,
      dropout=0.1,
    )
  )


def dinov2(*, size: str, weights: str) -> ConfigDict:
  """DINOv2 (arXiv 2304.07193) with patches of 14; `size`: 's', 'b' or 'l'.

  An ending such as in 'l_reg' or 'l_adapter' names a variant.
  """
  config = daformer_network(encoder=f'dinov2_{size}', weights=weights)
  config.update(
    drop_path=0.0,
    # Images are enlarged by this factor, down to whole patches; 0: up to them.
    enlarge=0.0,
    # Whether hidden patches can become a token, see the method `vfm_uda`.
    mask_token=False,
  )
  return config


def convnext(*, encoder: str, weights: str) -> ConfigDict:
  """ConvNeXt (arXiv 2201.03545) in the sizes of DINOv3's files, or smaller."""
  config = daformer_network(encoder=encoder, weights=weights)
  config.drop_path = 0.0
  return config


def eva02(*, size: str, weights: str) -> ConfigDict:
  """EVA-02 (arXiv 2303.11331) with patches of 14; `size`: 'tiny' to 'large'.

  An ending such as in 'base_448' is the size of the images of its file.
  """
  config = dinov2(size='', weights=weights)
  config.encoder = f'eva02_{size}'
  return config


def daformer_network(
  *, encoder: str = 'mit_b5', weights: str = ''
) -> ConfigDict:
  """DAFormer's network: a MiT encoder under the context-aware head."""
  return ConfigDict(
    dict(
      name='encoder_decoder',
      encoder=encoder,
      head='daformer',
      weights=weights,
      starts_from='',
      allow_target_labels=False,
      new_classifier=False,
      in_channels=3,
      # Of the pixels, one a channel; (): those of the weights.
      mean=(),
      std=(),
      dtype='float32',
      matmul_precision='default',
      heads=(),
      head_width=256,
      head_dropout=0.1,
      fusion='sepaspp',
      drop_path=0.1,
      attention='auto',
      remat=False,
    )
  )
