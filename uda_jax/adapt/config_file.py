"""The config files of a run, written as a person writes them.

`RUN/config.py` is the adapted run; `RUN/source_only.py` changes its method.
"""

from __future__ import annotations

from collections.abc import Mapping
import os
import pathlib
from typing import Any, NamedTuple

from uda_jax.adapt import sizes
from uda_jax.data import decode
from uda_jax.data import records

_WIDTH = 80

_CONFIG = '''\
r"""Adapts a network from {source} to {target}.

  python -m uda_jax.main --config={path} \\
      --workdir=DIR

Made by `python -m uda_jax.adapt`. Every line can be edited: docs/custom.md goes
through such a file, docs/datasets.md has all fields of a data set.
"""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import datasets
from uda_jax.configs.blocks import networks

# The names of the classes 0, 1, ...
CLASS_NAMES = {class_names}

# One (red, green, blue) for each class in pictures; () = a standard palette.
PALETTE = {palette}

# How label files encode the classes.
LABELS = {labels}


def get_config():
  """Self-training on the source and the unlabeled target."""
  config = common.run(steps={steps})
  config.seed = {seed}
  # One device, whatever the machine has. For N: N here and batch.groups = N,
  # which trains on N times as many images a step.
  config.devices = 1
  config.data = benchmarks.block(
    # Folders and lists below are relative to it.
    root={root!r},
    # Label maps of class indices, made once.
    cache_dir={cache!r},
    source=datasets.folder(
      name={source_name!r},
      images={source_images!r},
      labels={source_labels!r},
      files={source_files!r},
      class_names=CLASS_NAMES,
      palette=PALETTE,
      **LABELS,
    ),
    # Its labels, if there are any, are never opened.
    target=datasets.folder(
      name={target_name!r},
      images={target_images!r},
      class_names=CLASS_NAMES,
      palette=PALETTE,
    ),
    # Source images that are not trained on: scores show whether training
    # works, but not how well the network does on the target.
    evaluation=datasets.folder(
      name={evaluation_name!r},
      images={evaluation_images!r},
      labels={evaluation_labels!r},
      files={evaluation_files!r},
      class_names=CLASS_NAMES,
      palette=PALETTE,
      **LABELS,
    ),
    # (height, width) that images are resized to, in training, scoring,
    # prediction and export; with keep_ratio, to fit into it. Crops are cut from
    # the result, and padded if they are larger.
    source_image_size={image},
    target_image_size={image},
    keep_ratio={keep_ratio},
    scale_range={scale_range},
    crop_size={crop},
    pad=True,
    # Rare classes are drawn more often, from images with more than this
    # fraction of the class.
{rare_class}
  )
{network}
  # Pseudo-labels are weighed by the fraction of pixels above this confidence.
  config.method = common.self_training(threshold=0.9)
  config.teacher = common.teacher(decay=0.99)
  # The best checkpoint is chosen, and training stops, by predictions on
  # unlabeled target images alone: docs/evaluate.md.
  config.checkpoint.best = 'prior'
  config.checkpoint.every = {checkpoint_every}
  config.eval.network = 'teacher'
  config.eval.checkpoint = 'best'
  config.eval.every = {eval_every}
  config.eval.patience = 5
  config.eval.label_free.num_images = {label_free}
  # Without pictures during training, which need another compiled program.
  config.log.panels_every = 0
  config.log.every = 10
  return config
'''

_LITE0 = """\
  # EfficientNet-Lite0 with ImageNet weights.
  config.model = networks.efficientnet_lite0()
  config.optim = common.adamw(
    weight_decay=1e-2, clip_norm=5.0, groups=(('decoder', 5.0, 1.0),)
  )
{frozen}  config.schedule = common.poly(
    learning_rate=1e-3, warmup_steps={warmup}, warmup_ratio=1e-2
  )"""

_FROZEN = """\
  # The stem and the blocks up to stride 8 keep their ImageNet weights: without
  # their gradient a step takes a quarter of the time on a CPU.
  config.optim.frozen = ('encoder/(conv_stem|bn0|blocks/[0-4]/)',)
"""

_COMPACT = """\
  # A small network from scratch.
  config.model = networks.compact()
  config.optim = common.adamw(weight_decay=1e-4, clip_norm=5.0)
  config.schedule = common.cosine(learning_rate=1e-2, warmup_steps={warmup})"""

_SOURCE_ONLY = '''\
"""Trains on the source alone: the baseline of config.py beside this file."""

import pathlib

from uda_jax import configs
from uda_jax.configs.blocks import common


def get_config():
  config = configs.load(pathlib.Path(__file__).with_name('config.py'))
  config.method = common.source_only(augment=True)
  config.teacher = common.no_teacher()
  # The baseline as it is usually reported: without selection.
  config.eval.network = 'student'
  config.eval.checkpoint = 'last'
  config.eval.patience = 0
  config.eval.every = 0
  return config
'''


class Data(NamedTuple):
  """A data set in the config.

  Attributes:
    name: of the data set.
    images: absolute pattern.
    labels: absolute pattern, '' without labels.
    files: path of a list of the images to use, '' for all.
  """

  name: str
  images: str
  labels: str = ''
  files: str = ''


class Settings(NamedTuple):
  """Everything that the config states.

  Attributes:
    source: labeled images to train on.
    target: unlabeled images to adapt to.
    evaluation: labeled images to score on.
    class_names: C names.
    palette: C colors or ().
    labels: record fields on the label files.
    sizes: of images and crops.
    network: 'efficientnet_lite0' or 'compact'.
    frozen: whether the first blocks of the network keep their weights.
    min_pixels: for rare classes.
    steps: length of both runs.
    evaluations: during a run.
    label_free: target images for criteria without labels.
    seed: of the runs.
  """

  source: Data
  target: Data
  evaluation: Data
  class_names: tuple[str, ...]
  palette: tuple[tuple[int, int, int], ...]
  labels: Mapping[str, Any]
  sizes: sizes.Chosen
  network: str
  frozen: bool
  min_pixels: float
  steps: int
  evaluations: int
  label_free: int
  seed: int


def source_only() -> str:
  """Returns the text of `source_only.py`."""
  return _SOURCE_ONLY


def write(settings: Settings, run: pathlib.Path) -> str:
  """Returns the text of `config.py` in the directory `run`."""
  parts = settings.source, settings.target, settings.evaluation
  patterns = [p for part in parts for p in (part.images, part.labels) if p]
  folders = [os.path.dirname(p.partition('*')[0]) for p in patterns]
  root = os.path.commonpath(folders)
  relative = lambda path: os.path.relpath(path, root) if path else path
  chosen, steps = settings.sizes, settings.steps
  values = {
    f'{name}_{field}': value
    for name, part in zip(records.PARTS, parts)
    for field, value in [
      ('name', part.name),
      ('images', relative(part.images)),
      ('labels', relative(part.labels)),
      # Absolute: the list is not part of the data.
      ('files', part.files or ()),
    ]
  }
  return _CONFIG.format(
    **values,
    source=_comment(settings.source.name),
    target=_comment(settings.target.name),
    path=_comment(str(run / 'config.py')),
    class_names=_literal(settings.class_names),
    palette=_literal(settings.palette),
    labels=_table(settings.labels),
    root=root,
    cache=str(run / 'prepared'),
    image=chosen.image,
    keep_ratio=chosen.keep_ratio,
    scale_range=sizes.SCALE_RANGE,
    crop=chosen.crop,
    rare_class=_rare_class(settings.min_pixels),
    steps=steps,
    seed=settings.seed,
    network=_network(settings),
    eval_every=max(1, steps // settings.evaluations),
    checkpoint_every=max(1, min(200, steps // 8)),
    label_free=settings.label_free,
  )


def _comment(text: str) -> str:
  """Returns the name of a file as Python reads it in a docstring."""
  return decode.printable(text).replace('"', "'")


def _rare_class(min_pixels: float) -> str:
  fields = f'temperature=0.5, min_pixels={min_pixels}, min_crop_ratio=0.5'
  return f'    rare_class=dict({fields}),'


def _network(settings: Settings) -> str:
  warmup = max(1, min(50, settings.steps // 10))
  if settings.network == 'compact':
    return _COMPACT.format(warmup=warmup)
  return _LITE0.format(warmup=warmup, frozen=_FROZEN if settings.frozen else '')


def _table(fields: Mapping[str, Any]) -> str:
  if not fields:
    return 'dict()'
  rows = [f'  {name}={_literal(x, 2)},' for name, x in fields.items()]
  return '\n'.join(['dict(', *rows, ')'])


def _literal(value: Any, indent: int = 0) -> str:
  """Writes a tuple, an item a line if it is long."""
  text = repr(value)
  if len(text) < _WIDTH - 20 or not isinstance(value, tuple):
    return text
  rows = [' ' * (indent + 2) + f'{item!r},' for item in value]
  return '\n'.join(['(', *rows, ' ' * indent + ')'])
