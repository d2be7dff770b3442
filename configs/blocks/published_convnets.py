"""Recipes of the published runs on DeepLab-v2 and FCN-8s: PixMatch, EHTDI, LSE.

A config names a recipe, `published_convnets.lse(base.CONVNETS)`; the numbers in
which the benchmarks differ are in `base.py` of their folders.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import ml_collections

from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import convnets
from uda_jax.configs.blocks import ehtdi as ehtdi_blocks
from uda_jax.configs.blocks import lse as lse_blocks
from uda_jax.configs.blocks import pixmatch as pixmatch_blocks
from uda_jax.configs.blocks import starts

ConfigDict = ml_collections.ConfigDict

# Steps of an epoch over the target's images, one a step (PixMatch) or two.
PIXMATCH_EPOCH = 2975
EHTDI_EPOCH = 1487


class Benchmark(NamedTuple):
  """Numbers that differ between the benchmarks.

  Attributes:
    data: returns the block `data` of given sizes, for PixMatch and EHTDI.
    files: the source images of PixMatch and EHTDI, patterns or a list's name.
    num_images: their number.
    class_rows: rows of the classifiers of a file with more classes.
    pixmatch_start: text on PixMatch's start weights, see `starts`.
    ehtdi_start: likewise of EHTDI.
    lse_start: likewise of LSE on FCN-8s.
    lse_deeplab_start: likewise of LSE on DeepLab-v2.
    subsets: their further means: name -> classes.
    best_subset: the mean that selects the best step, as released.
    paste_classes: EHTDI's classes to paste.
    view_contrast: EHTDI's weight of the contrast.
    lse_data: returns the block `data` of LSE.
    lse_source_size: LSE's source images (height, width).
    lse_skip_classes: LSE's classes that select no image.
    lse_subsets: LSE's further means.
  """

  data: Callable[..., ConfigDict]
  files: str | tuple[str, ...]
  num_images: int
  class_rows: tuple[int, ...]
  pixmatch_start: str
  ehtdi_start: str
  lse_start: str
  lse_deeplab_start: str
  subsets: Mapping[str, tuple[int, ...]]
  best_subset: str
  paste_classes: tuple[int, ...]
  view_contrast: float
  lse_data: Callable[..., ConfigDict]
  lse_source_size: tuple[int, int]
  lse_skip_classes: tuple[int, ...]
  lse_subsets: Mapping[str, tuple[int, ...]]


def pixmatch(benchmark: Benchmark) -> ConfigDict:
  """PixMatch: DeepLab-v2, 40000 steps of 1 + 1 images.

  Images are squeezed to one size, without crops. The average of the weights is
  for evaluation; it takes over the statistics of batch norm at the end of each
  epoch.
  """
  config = common.run(steps=40000, group_size=1)
  config.data = benchmark.data(
    source_image_size=(720, 1280),
    target_image_size=(640, 1280),
    eval_image_size=(640, 1280),
    resize='bicubic',
  )
  with config.data.source.ignore_type():  # patterns or the name of a list
    config.data.source.files = benchmark.files
  config.data.source.published_images = benchmark.num_images
  config.model = convnets.deeplab_v2()
  config.model.update(
    class_rows=benchmark.class_rows,
    starts_from=benchmark.pixmatch_start,
    matmul_precision='highest',  # as the authors ran
  )
  config.optim = convnets.pixmatch_sgd()
  config.schedule = common.poly(learning_rate=1e-4, power=0.9)
  config.teacher = common.teacher(
    decay=0.999, ramp=False, copy_stats_every=PIXMATCH_EPOCH
  )
  config.method = pixmatch_blocks.method()
  config.eval.update(
    network='teacher', checkpoint='best', every=PIXMATCH_EPOCH, batch_size=1
  )
  config.eval.label_size = config.data.eval_image_size
  config.eval.subsets.update(benchmark.subsets)
  config.checkpoint.best_subset = benchmark.best_subset
  return config


def pixmatch_released(benchmark: Benchmark) -> ConfigDict:
  """PixMatch as released, with PyTorch 1.7's first step."""
  config = _repeated(pixmatch(benchmark), fresh=False)
  config.method = pixmatch_blocks.released()
  return config


def two_headed_start(benchmark: Benchmark) -> ConfigDict:
  """Training on the source alone, for PixMatch and EHTDI to start from.

  MaxSquareLoss, which GTA5_source.pth comes from, from ImageNet weights: the
  rate of 200000 steps, stopped at 80000; batch norm trains. The second head is
  ours: as far as is known, that file's was not trained.
  """
  config = pixmatch(benchmark)
  config.steps = 80000
  config.model.starts_from = starts.IMAGENET_RESNET
  config.optim.frozen = ()
  config.schedule = common.poly(learning_rate=2.5e-4, power=0.9, length=200000)
  config.teacher = common.no_teacher()
  config.method = common.source_only()
  config.method.weight_aux = 0.1
  config.eval.update(network='student', checkpoint='last', every=0)
  config.checkpoint.every = 5000
  return config


def _repeated(config: ConfigDict, *, fresh: bool) -> ConfigDict:
  """Makes 3 or 4 updates of the backbone a step.

  `fresh` is the first step's rule, see `update_rules.repeated_sgd`.
  """
  config.optim.update(
    repeats=convnets.DEEPLAB_REPEATS, fresh_every_repeat=fresh
  )
  return config


def ehtdi(benchmark: Benchmark) -> ConfigDict:
  """EHTDI: PixMatch's run with 2 + 2 images and a larger learning rate.

  The schedule is that of 250000 steps; the authors stopped after 80 epochs.
  """
  config = pixmatch(benchmark)
  config.steps = 80 * EHTDI_EPOCH
  config.batch.group_size = 2
  config.model.starts_from = benchmark.ehtdi_start
  config.schedule = common.poly(learning_rate=2.5e-4, power=0.9, length=250000)
  config.teacher.copy_stats_every = EHTDI_EPOCH
  config.eval.every = EHTDI_EPOCH
  config.method = ehtdi_blocks.method(paste_classes=benchmark.paste_classes)
  config.method.weight_view_contrast = benchmark.view_contrast
  return config


def ehtdi_edge(benchmark: Benchmark) -> ConfigDict:
  """EHTDI with losses on the borders of pastes (EHTDI*)."""
  config = ehtdi(benchmark)
  config.method.variant = 'edge'
  return config


def ehtdi_released(benchmark: Benchmark) -> ConfigDict:
  """EHTDI as released, with PyTorch 1.10's first step."""
  config = _repeated(ehtdi(benchmark), fresh=True)
  ehtdi_blocks.release(config.method)
  return config


def ehtdi_edge_released(benchmark: Benchmark) -> ConfigDict:
  """EHTDI* as released."""
  config = ehtdi_released(benchmark)
  config.method.variant = 'edge'
  return config


def _lse_run(benchmark: Benchmark, *, steps: int) -> ConfigDict:
  """A run of LSE's images, squeezed to one size, without a method."""
  config = common.run(steps=steps, group_size=1)
  config.data = benchmark.lse_data(
    source_image_size=benchmark.lse_source_size,
    target_image_size=(512, 1024),
    eval_image_size=(512, 1024),
    resize='bicubic',
    flip=False,
  )
  config.teacher = common.no_teacher()
  config.eval.batch_size = 1
  config.eval.update(enlarge='probabilities', align_corners=True, one_step=True)
  config.eval.subsets.update(benchmark.lse_subsets)
  return config


def _vgg(config: ConfigDict, *, learning_rate: float) -> ConfigDict:
  """FCN-8s; a tenth of the learning rate every 50000 steps of a round."""
  config.model = convnets.fcn8s_vgg()
  config.model.matmul_precision = 'highest'
  config.optim = convnets.lse_adam()
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
  config.model.matmul_precision = 'highest'
  config.optim = convnets.lse_sgd()
  config.schedule = common.poly(
    learning_rate=learning_rate, power=0.9, length=length
  )
  return config


def _lse(benchmark: Benchmark) -> ConfigDict:
  """LSE's seven rounds of two epochs over their patches, without a network."""
  config = _lse_run(benchmark, steps=0)
  config.method = lse_blocks.method()
  config.rounds = lse_blocks.rounds(
    window=(256, 512), skip_classes=benchmark.lse_skip_classes
  )
  return config


def lse(benchmark: Benchmark) -> ConfigDict:
  """LSE on FCN-8s."""
  config = _vgg(_lse(benchmark), learning_rate=1e-6)
  config.model.starts_from = benchmark.lse_start
  return config


def lse_deeplab(benchmark: Benchmark) -> ConfigDict:
  """LSE on DeepLab-v2.

  Its learning rate is not known: 1e-6 is the default of the released code,
  2.5e-4 stands in the authors' file of options, 1e-12 in their last notebook.
  """
  config = _deeplab(_lse(benchmark), learning_rate=1e-6)
  config.model.starts_from = benchmark.lse_deeplab_start
  return config


def lse_released(benchmark: Benchmark) -> ConfigDict:
  """LSE on FCN-8s as released."""
  return lse_blocks.release(lse(benchmark))


def lse_deeplab_released(benchmark: Benchmark) -> ConfigDict:
  """LSE on DeepLab-v2 as released, with PyTorch 1.0's updates."""
  config = lse_blocks.release(lse_deeplab(benchmark))
  config.method.focal_of = 'mean'
  config.optim.update(
    repeats=convnets.DEEPLAB_REPEATS,
    fresh_every_repeat=False,
    decay_in_place=True,
  )
  return config


def _lse_start(benchmark: Benchmark) -> ConfigDict:
  """Training on the source alone, for LSE to start from.

  The authors give files instead of a recipe; this is the source step of BDL,
  which theirs come from, from ImageNet weights.
  """
  config = _lse_run(benchmark, steps=120000)
  config.method = common.source_only()
  config.checkpoint.every = 5000
  return config


def lse_start(benchmark: Benchmark) -> ConfigDict:
  """The start of LSE on FCN-8s."""
  config = _vgg(_lse_start(benchmark), learning_rate=1e-5)
  config.model.starts_from = starts.IMAGENET_VGG
  return config


def lse_deeplab_start(benchmark: Benchmark) -> ConfigDict:
  """The start of LSE on DeepLab-v2."""
  config = _deeplab(_lse_start(benchmark), learning_rate=2.5e-4, length=250000)
  config.model.starts_from = starts.IMAGENET_RESNET
  return config
