"""EHTDI's blocks: the method, and the frame of the published runs."""

import ml_collections

from uda_jax.configs.blocks import additions
from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import pixmatch

ConfigDict = ml_collections.ConfigDict

# Iterations of an epoch: the target's images, two a step.
EPOCH = 1487
# The classes that are pasted: all but road, sidewalk, building, wall, fence.
PASTE_19 = tuple(range(5, 19))
PASTE_16 = tuple(range(5, 16))


def method(*, paste_classes: tuple[int, ...]) -> ConfigDict:
  """The paper's method: every image of the group has every term."""
  return ConfigDict(
    dict(
      name='ehtdi',
      variant='main',
      confidence=0.95,
      weight_aux=0.1,
      weight_mixed=0.1,
      weight_into_source=0.1,
      weight_view_contrast=0.01,
      class_scale=7.0,
      pixel_scale=20.0,
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
      # Share of the images of both domains that are blurred a little.
      blur=0.5,
      # Until this step only the source is learned from.
      adapt_from=0,
      **additions.on_own_labels(),
    )
  )


def release(config: ConfigDict) -> ConfigDict:
  """Turns the method's block into the released code's.

  The draw of classes is off by one; only the first image of a group goes into
  the loss of the target in the source and has a contrast of classes; borders
  count only if the first two images both have some (edge variant).
  """
  config.update(
    paste_offset=-1,
    into_source_first_only=True,
    class_contrast_all_images=False,
    border_needs_all=True,
  )
  return config


def small(
  config: ConfigDict,
  *,
  crop_size: tuple[int, int],
  paste_classes: tuple[int, ...],
  adapt_from: int,
) -> ConfigDict:
  """A benchmark of this library: small images, a network with one head.

  Trained from scratch or from ImageNet, the network first learns from the
  source: for `adapt_from` steps, which count as steps of the run.
  """
  config.method = method(paste_classes=paste_classes)
  config.method.update(
    weight_aux=0.0,
    crop_size=crop_size,
    blur=0.0,
    contrast_stride=8,
    adapt_from=adapt_from,
  )
  config.teacher = common.teacher(decay=0.99, ramp=False, copy_stats_every=50)
  config.eval.network = 'teacher'
  return config


def published(
  data: ConfigDict, *, paste_classes: tuple[int, ...]
) -> ConfigDict:
  """The frame: PixMatch's with 2 + 2 images and a larger rate.

  The schedule is that of 250000 steps; the authors stopped after 80 epochs.
  """
  config = pixmatch.published(data)
  config.steps = 80 * EPOCH
  config.batch.group_size = 2
  config.schedule = common.poly(learning_rate=2.5e-4, power=0.9, length=250000)
  config.teacher.copy_stats_every = EPOCH
  config.eval.every = EPOCH
  config.method = method(paste_classes=paste_classes)
  return config


def released(config: ConfigDict) -> ConfigDict:
  """A published run with every choice of the released code."""
  release(config.method)
  return pixmatch.repeat_updates(config, fresh=True)
