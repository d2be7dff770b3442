"""PiPa's fields on top of a method's block, and whole runs on its bases.

PiPa (arXiv 2211.07609) trains longer than DAFormer and HRDA, and on larger
crops than DAFormer: `longer_daformer` and `longer_hrda` are what it is to be
compared with.
"""

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


def pair(config: ConfigDict, *, group_size: int) -> None:
  """Asks for the crops of Cityscapes that the released code cuts."""
  config.data.pair.update(
    crop_size=(720, 720),
    long_side=(1638, 4096),
    group_size=group_size,
    first_step=config.method.patch_contrast.start,
  )


def longer_daformer(config: ConfigDict) -> ConfigDict:
  """A run of DAFormer with the sizes and the length of PiPa's."""
  config.steps = 60000
  config.data.update(
    crop_size=(640, 640),
    target_image_size=(640, 1280),
    eval_image_size=(640, 1280),
  )
  config.data.rare_class.temperature = 0.1
  return config


def longer_hrda(config: ConfigDict) -> ConfigDict:
  """A run of HRDA of the length of PiPa's."""
  config.steps = 60000
  return config


def on_daformer(config: ConfigDict) -> ConfigDict:
  """A run of `longer_daformer` with the method."""
  config.model.heads = (('proj', 'features', 256), ('project', 'fused', 128))
  # Four more crops a step go through the student.
  config.model.remat = True
  config.method = method(config.method)
  pair(config, group_size=2)
  return config


def on_hrda(config: ConfigDict) -> ConfigDict:
  """A run of `longer_hrda` with the method."""
  config.model.heads = (('proj', 'features', 256), ('project', 'logits', 128))
  config.method = method(config.method, patch_features='logits')
  pair(config, group_size=1)
  return config


def released_on(config: ConfigDict) -> ConfigDict:
  """A run of `longer_daformer` or `longer_hrda` as released."""
  config.model.heads = (('proj', 'features', 256), ('cls', 'features', 19))
  config.method = released(config.method)
  return config
