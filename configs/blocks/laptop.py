"""Recipes of the laptop benchmarks: all methods on small images, in minutes.

A config calls a recipe, such as `laptop.pipa(base.BENCHMARK)`. `base.py` of
each benchmark's folder has the numbers that differ between the benchmarks.
"""

from collections.abc import Callable
from typing import NamedTuple

import ml_collections

from uda_jax.configs.blocks import additions
from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import cluda as cluda_blocks
from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import ehtdi as ehtdi_blocks
from uda_jax.configs.blocks import lse as lse_blocks
from uda_jax.configs.blocks import pipa as pipa_blocks
from uda_jax.configs.blocks import pixmatch as pixmatch_blocks

ConfigDict = ml_collections.ConfigDict

# Side of MIC's masked blocks in pixels.
MASK_BLOCK = 16


class Benchmark(NamedTuple):
  """Numbers that differ between the benchmarks.

  Attributes:
    data: returns the block `data`.
    network: sets the network, its optimizer and the learning rate.
    steps: length of a run.
    class_weights: of every cross-entropy, see `train/class_weights.py`.
    rare_class_temperature: DAFormer's rare-class sampling; 0: off.
    cluda_contrast: fields of CLUDA's contrast: its cells (height, width), and
      its weight.
    pixel_contrast: fields of PiPa's contrast of pixels, such as `max_views`: a
      class with fewer cells in an image is not in it.
    masking: fields of MIC's masked pass, such as `bn`.
    heads: PiPa's projections: name, input, channels.
    patches: PiPa's `config.method.patch_contrast`.
    pair: PiPa's overlapping crops, a third of the image's width.
    source_steps: steps on the source before PixMatch and EHTDI adapt.
    view_size: PixMatch's and EHTDI's crops (height, width).
    paste_classes: EHTDI's classes to paste.
    lse: LSE's arguments of `add_rounds`.
    rounds: LSE's changes of `config.rounds`.
  """

  data: Callable[[], ConfigDict]
  network: Callable[[ConfigDict], None]
  steps: int
  class_weights: tuple[str | float, ...]
  rare_class_temperature: float
  cluda_contrast: dict
  pixel_contrast: dict
  masking: dict
  heads: tuple[tuple[str, str, int], ...]
  patches: dict
  pair: dict
  source_steps: int
  view_size: tuple[int, int]
  paste_classes: tuple[int, ...]
  lse: dict
  rounds: dict


def base(benchmark: Benchmark) -> ConfigDict:
  """A run of 2 + 2 images a step, without a method."""
  config = common.run(steps=benchmark.steps)
  config.data = benchmark.data()
  benchmark.network(config)
  config.teacher = common.no_teacher()
  return config


def source_only(benchmark: Benchmark) -> ConfigDict:
  """Training on the source alone."""
  config = _on_source(benchmark)
  # One more row of the results: the target's batch-norm statistics (AdaBN).
  config.eval.target_statistics = 100
  return config


def source_augmented(benchmark: Benchmark) -> ConfigDict:
  """Training on the source alone, with color jitter and blur."""
  return _on_source(benchmark, augment=True)


def _on_source(benchmark: Benchmark, *, augment: bool = False) -> ConfigDict:
  config = base(benchmark)
  config.method = common.source_only(augment=augment)
  config.method.class_weights = benchmark.class_weights
  return config


def oracle(benchmark: Benchmark) -> ConfigDict:
  """Training on the target's labels, the upper bound."""
  config = _on_source(benchmark)
  config.data = benchmarks.as_oracle(config.data)
  return config


def self_training(benchmark: Benchmark) -> ConfigDict:
  """Mean-teacher ClassMix self-training."""
  config = base(benchmark)
  config.method = common.self_training(threshold=0.9)
  config.method.class_weights = benchmark.class_weights
  # Used with --config.method.add.
  config.method.masking.update(block_size=MASK_BLOCK, **benchmark.masking)
  config.method.cluda_contrast.update(benchmark.cluda_contrast)
  config.method.pixel_contrast.update(benchmark.pixel_contrast)
  config.teacher = common.teacher(decay=0.99)
  config.eval.network = 'teacher'
  return config


def daformer(benchmark: Benchmark) -> ConfigDict:
  """Self-training with rare-class sampling, without the feature distance."""
  config = self_training(benchmark)
  if not benchmark.rare_class_temperature:
    return config
  # A third of a percent of an image, as published.
  config.data.rare_class.update(
    temperature=benchmark.rare_class_temperature,
    min_pixels=0.003,
    min_crop_ratio=0.5,
  )
  return config


def mic(benchmark: Benchmark) -> ConfigDict:
  """DAFormer's self-training and MIC's masked images."""
  config = daformer(benchmark)
  config.method = additions.added(config.method, masking={})
  return config


def cluda(benchmark: Benchmark) -> ConfigDict:
  """DAFormer's self-training and CLUDA's contrast, at one resolution."""
  config = daformer(benchmark)
  config.method = additions.added(config.method, cluda_contrast={})
  return config


def cluda_released(benchmark: Benchmark) -> ConfigDict:
  """CLUDA with the choices of the released code."""
  config = daformer(benchmark)
  config.method = additions.added(
    config.method, cluda_contrast=cluda_blocks.RELEASED
  )
  return config


def pipa(benchmark: Benchmark) -> ConfigDict:
  """DAFormer's self-training and both of PiPa's contrasts.

  The patches start after a sixth of the run, as in the published runs.
  """
  config = daformer(benchmark)
  config.model.heads = benchmark.heads
  config.method = pipa_blocks.method(config.method)
  start = config.steps // 6
  config.method.patch_contrast.update(start=start, **benchmark.patches)
  config.data.pair.update(group_size=2, first_step=start, **benchmark.pair)
  return config


def pipa_released(benchmark: Benchmark) -> ConfigDict:
  """PiPa as released: only its contrast of pixels reaches the student."""
  config = daformer(benchmark)
  config.model.heads = (benchmark.heads[0], ('cls', 'features', 11))
  config.method = pipa_blocks.released(config.method)
  return config


def pipa_cluda_mic(benchmark: Benchmark) -> ConfigDict:
  """PiPa, CLUDA and MIC at once."""
  config = pipa(benchmark)
  config.method = additions.added(config.method, cluda_contrast={}, masking={})
  return config


def pixmatch(benchmark: Benchmark) -> ConfigDict:
  """PixMatch, on a network with one head.

  A group is the paper's 1 + 1 images; a step uses as many images as in the
  other runs.
  """
  config = base(benchmark)
  config.batch.update(groups=config.batch.group_size, group_size=1)
  config.method = pixmatch_blocks.method()
  return _views(config, benchmark)


def ehtdi(benchmark: Benchmark) -> ConfigDict:
  """EHTDI, on a network with one head."""
  config = base(benchmark)
  config.method = ehtdi_blocks.method(paste_classes=benchmark.paste_classes)
  config.method.contrast_stride = 8
  return _views(config, benchmark)


def _views(config: ConfigDict, benchmark: Benchmark) -> ConfigDict:
  """Adds the fields that PixMatch and EHTDI share.

  The network starts from scratch or from ImageNet weights, so it first trains
  on the source; these steps count as steps of the run.
  """
  config.method.masking.update(block_size=MASK_BLOCK, **benchmark.masking)
  config.method.update(
    class_weights=benchmark.class_weights,
    weight_aux=0.0,
    crop_size=benchmark.view_size,
    blur=0.0,
    adapt_from=benchmark.source_steps,
  )
  config.teacher = common.teacher(decay=0.99, ramp=False, copy_stats_every=50)
  config.eval.network = 'teacher'
  return config


def ehtdi_edge(benchmark: Benchmark) -> ConfigDict:
  """EHTDI with losses on the borders of pastes (EHTDI*)."""
  config = ehtdi(benchmark)
  config.method.variant = 'edge'
  return config


def ehtdi_released(benchmark: Benchmark) -> ConfigDict:
  """EHTDI with the choices of the released code."""
  config = ehtdi(benchmark)
  ehtdi_blocks.release(config.method)
  return config


def lse(benchmark: Benchmark) -> ConfigDict:
  """LSE: rounds on enlarged windows of images with low entropy."""
  config = add_rounds(base(benchmark), **benchmark.lse)
  config.method.class_weights = benchmark.class_weights
  config.rounds.update(benchmark.rounds)
  return config


def lse_released(benchmark: Benchmark) -> ConfigDict:
  """LSE with the choices of the released code."""
  return lse_blocks.release(lse(benchmark))


def add_rounds(
  config: ConfigDict,
  *,
  adapt_from: int,
  window: tuple[int, int],
  divisor: int,
) -> ConfigDict:
  """Adds LSE's method and rounds to a run.

  The network starts from scratch or from ImageNet weights, so it first trains
  on the source, for `adapt_from` steps; the rounds share the rest. Batch norm
  sees pairs of images, as in the other runs. Single images, as released, cost
  points before any round: docs/ablations.md has the measurements.
  """
  config.method = lse_blocks.method()
  config.method.adapt_from = adapt_from
  config.rounds = lse_blocks.rounds(window=window, divisor=divisor)
  # A network that trained for minutes predicts the target badly with the
  # source's statistics.
  config.rounds.target_statistics = 30
  config.schedule.round_factor = 0.1
  return config
