"""PixMatch's blocks: the method, and the frame of the published runs."""

import ml_collections

from uda_jax.configs.blocks import additions
from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import convnets

ConfigDict = ml_collections.ConfigDict

# Iterations of an epoch: the target's images, one a step.
EPOCH = 2975


def method() -> ConfigDict:
  """The paper's method with the strong augmentation alone, its baseline.

  Fourier and CutMix come in with weights of their own; the authors' combination
  is `weight_augment` 0, `weight_fourier` and `weight_cutmix` 0.1.
  """
  return ConfigDict(
    dict(
      name='pixmatch',
      threshold=0.0,
      weight_aux=0.1,
      weight_augment=0.1,
      weight_fourier=0.0,
      weight_cutmix=0.0,
      source_fourier=False,
      crop_size=(512, 512),
      crop_area=(0.2, 1.0),
      crop_aspect=(3 / 4, 4 / 3),
      aux_label_same_crop=True,
      fourier_share=0.01,
      fourier_resize_style=True,
      # Share of the images of both domains that are blurred a little.
      blur=0.5,
      # Until this step only the source is learned from.
      adapt_from=0,
      **additions.on_own_labels(),
    )
  )


def released() -> ConfigDict:
  """The released code's method.

  The auxiliary head's label is cut by another box than the image, and a larger
  style image gives amplitudes of other frequencies.
  """
  config = method()
  config.update(aux_label_same_crop=False, fourier_resize_style=False)
  return config


def small(
  config: ConfigDict, *, crop_size: tuple[int, int], adapt_from: int
) -> ConfigDict:
  """A benchmark of this library: small images, a network with one head.

  Trained from scratch or from ImageNet, the network first learns from the
  source: for `adapt_from` steps, which count as steps of the run. A group is
  the paper's 1 + 1 images, and a step takes as many images as the other runs'.
  """
  config.batch.update(groups=config.batch.group_size, group_size=1)
  config.method = method()
  config.method.update(
    weight_aux=0.0, crop_size=crop_size, blur=0.0, adapt_from=adapt_from
  )
  config.teacher = common.teacher(decay=0.99, ramp=False, copy_stats_every=50)
  config.eval.network = 'teacher'
  return config


def published(data: ConfigDict) -> ConfigDict:
  """The frame, without a method: DeepLab-v2, 40000 steps of 1 + 1 images.

  The average of the weights is for evaluation; it takes over the statistics of
  batch norm at the end of each epoch.
  """
  config = common.run(steps=40000, group_size=1)
  config.data = data
  config.model = convnets.deeplab_v2()
  config.optim = convnets.pixmatch_sgd()
  config.schedule = common.poly(learning_rate=1e-4, power=0.9)
  config.teacher = common.teacher(
    decay=0.999, ramp=False, copy_stats_every=EPOCH
  )
  config.eval.update(network='teacher', every=EPOCH, batch_size=1)
  return config


def repeat_updates(config: ConfigDict, *, fresh: bool) -> ConfigDict:
  """Updates the backbone three or four times a step, as released.

  Args:
    config: a run with DeepLab-v2.
    fresh: how the first step goes, see `optim.repeated_sgd`: False with the
      authors' PyTorch 1.7, True with EHTDI's 1.10.
  """
  config.optim.update(
    repeats=convnets.DEEPLAB_REPEATS, fresh_every_repeat=fresh
  )
  return config


def sizes() -> dict:
  """The data fields: images are squeezed to these sizes, without crops."""
  return dict(
    source_image_size=(720, 1280),
    target_image_size=(640, 1280),
    eval_image_size=(640, 1280),
    resize='bicubic',
  )
