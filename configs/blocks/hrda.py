"""HRDA's method and network (arXiv 2204.13132), and CLUDA's network."""

import ml_collections

ConfigDict = ml_collections.ConfigDict


def method(base: ConfigDict, *, detail_crop: tuple[int, int]) -> ConfigDict:
  """The method; `detail_crop` as of `network`."""
  config = base.copy_and_resolve_references()
  config.update(
    name='hrda',
    detail_crop=detail_crop,
    # Corners are multiples of this; the released code never draws the last.
    detail_divisible=8,
    detail_include_last=False,
    weight_detail=0.1,
    weight_context=0.0,
  )
  return config


def network(base: ConfigDict, *, detail_crop: tuple[int, int]) -> ConfigDict:
  """The network of two scales; windows overlap by half.

  Args:
    base: block of an encoder and a head.
    detail_crop: (height, width); published: 512, half of the training crop.
  """
  config = base.copy_and_resolve_references()
  config.update(
    name='hrda',
    remat=True,
    detail_crop=detail_crop,
    detail_stride=tuple(n // 2 for n in detail_crop),
    context_scale=0.5,
    embed_width=0,
    attention_width=256,
    scale_attention='classwise',
    fixed_attention=0.5,
    order='product_then_up',
    # CLUDA's, see `cluda_network`.
    feature_weight=False,
    entropy_rule='clean',
  )
  return config


def cluda_network(
  base: ConfigDict, *, detail_crop: tuple[int, int]
) -> ConfigDict:
  """CLUDA's network: wider embeddings, feature weights, another order.

  The entropy rule 'clean' chooses the window of highest entropy; the released
  scan ('released') overwrites values that it has not read yet.
  """
  config = network(base, detail_crop=detail_crop)
  config.update(embed_width=512, feature_weight=True, order='up_then_product')
  return config
