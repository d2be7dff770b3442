"""LSE's blocks: the method, its rounds, and the frame of the published runs."""

import ml_collections

from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import convnets

ConfigDict = ml_collections.ConfigDict


def method() -> ConfigDict:
  """The method as meant: a focal term of every pixel."""
  return ConfigDict(
    dict(
      name='lse',
      add=(),
      weight_focal=0.1,
      gamma=3.0,
      focal_of='pixel',
      # Batch norm sees one image at a time, as released.
      freeze_statistics=False,
      # Until this step only the source is learned from; then rounds begin.
      adapt_from=0,
    )
  )


def rounds(
  *,
  window: tuple[int, int],
  divisor: int = 19,
  skip_classes: tuple[int, ...] = (),
) -> ConfigDict:
  """The rounds as meant; their lengths follow from the patches.

  Args:
    window: (height, width) that is enlarged to the whole image.
    divisor: a class takes a share p / divisor of the images it occurs in.
    skip_classes: classes that choose no image.
  """
  return ConfigDict(
    dict(
      # The share p: seven rounds, from 0.1 to just below 0.4.
      p_start=0.1,
      p_step=0.05,
      p_max=0.4,
      divisor=divisor,
      skip_classes=skip_classes,
      patches_per_image=4,
      window=window,
      # An enlarged pixel is labelled if 'any' of the pixels it is made of is
      # trusted, or only if all are ('full').
      keep_rule='any',
      # Batches of the target whose batch-norm statistics the network ranks and
      # labels with; 0: with its own, which may be the source's, as published.
      target_statistics=0,
      # Passes over the patches of a round, where `config.steps` is 0.
      epochs=2,
      # What the released code does: one image more, and from the second round
      # on a random draw instead of the chosen images.
      one_image_more=False,
      shuffle_later_rounds=False,
    )
  )


def release(config: ConfigDict) -> ConfigDict:
  """Turns a run into the released code's.

  A group of 1 + 1 images, one image more than were chosen, and from the second
  round on a random draw of them. DeepLab-v2 has the focal term of the mean loss
  instead of the pixels, and three or four updates a step as PyTorch 1.0 does
  them.
  """
  config.batch.update(
    groups=config.batch.groups * config.batch.group_size, group_size=1
  )
  config.rounds.update(one_image_more=True, shuffle_later_rounds=True)
  if config.model.name == 'deeplab_v2':
    config.method.focal_of = 'mean'
    config.optim = convnets.lse_sgd(repeats=convnets.DEEPLAB_REPEATS)
    config.optim.update(fresh_every_repeat=False, decay_in_place=True)
  return config


def small(
  config: ConfigDict, *, adapt_from: int, window: tuple[int, int], divisor: int
) -> ConfigDict:
  """A benchmark of this library: rounds share what the source leaves of steps.

  Trained from scratch or from ImageNet, the network first learns from the
  source: for `adapt_from` steps, which count as steps of the run. Its batch
  norm sees the pairs of images of the other runs; single ones, as released,
  cost points before any round does: docs/reproduce.md has what was tried.
  """
  config.method = method()
  config.method.adapt_from = adapt_from
  config.rounds = rounds(window=window, divisor=divisor)
  # A network trained from scratch for minutes is little use on the target with
  # the source's statistics.
  config.rounds.target_statistics = 30
  config.schedule.round_factor = 0.1
  return config


def sizes(*, source: tuple[int, int]) -> dict:
  """The data fields: images are squeezed to these sizes, without crops."""
  return dict(
    source_image_size=source,
    target_image_size=(512, 1024),
    eval_image_size=(512, 1024),
    resize='bicubic',
    flip=False,
  )


GTA5 = (720, 1280)
SYNTHIA = (760, 1280)
# The classes that SYNTHIA lacks: terrain, truck, train.
SYNTHIA_LACKS = (9, 14, 16)


def _vgg(config: ConfigDict, *, learning_rate: float) -> ConfigDict:
  config.model = convnets.fcn8s_vgg()
  config.optim = convnets.lse_adam()
  # A tenth every 50000 steps of a round.
  config.schedule = common.schedule(
    'staircase',
    learning_rate=learning_rate,
    every=50000,
    factor=0.1,
    warmup_ratio=0.0,
  )
  return config


def _deeplab(
  config: ConfigDict, *, learning_rate: float, length: int = 0
) -> ConfigDict:
  config.model = convnets.deeplab_v2(aux_head=False)
  config.optim = convnets.lse_sgd()
  config.schedule = common.poly(
    learning_rate=learning_rate, power=0.9, length=length
  )
  return config


def _frame(data: ConfigDict, *, steps: int) -> ConfigDict:
  config = common.run(steps=steps, group_size=1)
  config.data = data
  config.teacher = common.no_teacher()
  config.eval.batch_size = 1
  return config


def published(
  data: ConfigDict, *, network: str, skip_classes: tuple[int, ...] = ()
) -> ConfigDict:
  """A published run: seven rounds of two epochs over their patches.

  Args:
    data: block of `configs.benchmarks` with LSE's sizes.
    network: 'vgg' (FCN-8s) or 'deeplab', whose rate is not known: 1e-6 is the
      default of the released code, 2.5e-4 stands in the authors' file of
      options, 1e-12 in their last notebook.
    skip_classes: classes that choose no image.
  """
  config = _frame(data, steps=0)
  config.method = method()
  config.rounds = rounds(window=(256, 512), skip_classes=skip_classes)
  return {'vgg': _vgg, 'deeplab': _deeplab}[network](config, learning_rate=1e-6)


def start(data: ConfigDict, *, network: str) -> ConfigDict:
  """A network trained on the source alone, for `published` to start from.

  The authors give files instead of a recipe; this is the source step of BDL,
  which theirs come from, from ImageNet weights.

  Args:
    data: as above.
    network: as above.
  """
  config = _frame(data, steps=120000)
  config.method = common.source_only()
  config.checkpoint.every = 5000
  if network == 'vgg':
    return _vgg(config, learning_rate=1e-5)
  return _deeplab(config, learning_rate=2.5e-4, length=250000)
