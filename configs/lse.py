"""LSE's blocks: the method, its rounds, and the frame of the published runs."""

import ml_collections

from configs import common
from configs import convnets

ConfigDict = ml_collections.ConfigDict


def method() -> ConfigDict:
  """The method as meant: a focal term of every pixel."""
  return ConfigDict(dict(
      name='lse', weight_focal=0.1, gamma=3.0, focal_of='pixel',
      # Batch norm sees one image at a time, as released.
      freeze_statistics=False,
      # Until this step only the source is learned from; then rounds begin.
      adapt_from=0))


def rounds(*, window: tuple[int, int], divisor: int = 19,
           skip_classes: tuple[int, ...] = ()) -> ConfigDict:
  """The rounds as meant; their lengths follow from the patches.

  Args:
    window: (height, width) that is enlarged to the whole image.
    divisor: a class takes a share p / divisor of the images it occurs in.
    skip_classes: classes that choose no image.
  """
  return ConfigDict(dict(
      # The share p: seven rounds, from 0.1 to just below 0.4.
      p_start=0.1, p_step=0.05, p_max=0.4,
      divisor=divisor, skip_classes=skip_classes,
      patches_per_image=4, window=window,
      # An enlarged pixel is labelled if 'any' of the pixels it is made of is
      # trusted, or only if all are ('full').
      keep_rule='any',
      # Passes over the patches of a round, where `config.steps` is 0.
      epochs=2,
      # What the released code does: one image more, and from the second round
      # on a random draw instead of the chosen images.
      one_image_more=False, shuffle_later_rounds=False))


def release(config: ConfigDict) -> ConfigDict:
  """Turns the rounds into the released code's."""
  config.rounds.update(one_image_more=True, shuffle_later_rounds=True)
  return config


def staircase(*, learning_rate: float) -> ConfigDict:
  """LSE's schedule with FCN-8s: a tenth every 50000 steps of a round."""
  return ConfigDict(dict(
      shape='staircase', learning_rate=learning_rate, every=50000, factor=0.1,
      warmup_steps=0, warmup_ratio=0.0))


def small(config: ConfigDict, *, adapt_from: int, window: tuple[int, int],
          divisor: int, p_start: float) -> ConfigDict:
  """A benchmark of this library: rounds share what the source leaves of steps.

  Trained from scratch or from ImageNet, the network first learns from the
  source: for `adapt_from` steps, which count as steps of the run.
  """
  config.method = method()
  config.method.adapt_from = adapt_from
  config.rounds = rounds(window=window, divisor=divisor)
  config.rounds.p_start = p_start
  return config


def _published(data: ConfigDict, skip_classes: tuple[int, ...]) -> ConfigDict:
  # Rounds last as long as two epochs of their patches take.
  config = common.run(steps=0, group_size=1)
  config.data = data
  config.data.update(resize='bicubic', flip=False)
  config.teacher = common.no_teacher()
  config.method = method()
  config.rounds = rounds(window=(256, 512), skip_classes=skip_classes)
  return config


def published_vgg(data: ConfigDict, *, skip_classes: tuple[int, ...] = ()
                  ) -> ConfigDict:
  """The published run with FCN-8s on VGG-16."""
  config = _published(data, skip_classes)
  config.model = convnets.fcn8s_vgg()
  config.optim = convnets.lse_adam()
  config.schedule = staircase(learning_rate=1e-6)
  return config


def published_deeplab(data: ConfigDict, *, skip_classes: tuple[int, ...] = ()
                      ) -> ConfigDict:
  """The published run with DeepLab-v2 on ResNet-101.

  The rate of the published number is not known: the released default is 1e-6,
  the authors' file of options has 2.5e-4, their last notebook 1e-12.
  """
  config = _published(data, skip_classes)
  config.model = convnets.deeplab_v2(aux_head=False)
  config.optim = convnets.lse_sgd()
  config.schedule = common.poly(learning_rate=1e-6, power=0.9)
  return config
