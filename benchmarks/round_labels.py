"""Accuracy of the labels that LSE gives its patches, by round.

  python -m benchmarks.round_labels --run=RUN \\
      --truth=streets/oracle

RUN is a run's directory. The source of the config `--truth` has the labels of
the run's target images, as the oracle's source has. Prints a table for each
round: the fraction of pixels with each label, the fraction of these that is
correct, and the most frequent true classes of the others.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
import json
import pathlib

import jax
import numpy as np

from uda_jax import cli
from uda_jax import configs
from uda_jax.evaluate import metrics


def confusion(
  patch: np.ndarray, truth: np.ndarray, num_classes: int
) -> np.ndarray:
  """Counts pairs of label and true class over the labeled pixels of a patch.

  Args:
    patch: [H, W] int, 255 = not labeled.
    truth: [H, W] int, 255 = unknown; such pixels are not counted.
    num_classes: C.

  Returns:
    [C, C] int64: [i, j] is the number of pixels of label i and true class j.
  """
  known = (patch < num_classes) & (truth < num_classes)
  return metrics.count_pairs(
    patch[known], truth[known], num_classes=num_classes
  )


def enlarged(
  truth: np.ndarray,
  start: np.ndarray,
  window: tuple[int, int],
  size: tuple[int, int],
) -> np.ndarray:
  """Returns the true labels of an enlarged window, by nearest neighbor.

  Args:
    truth: [h, w] int, of a whole image.
    start: (y, x) of the window in an image of `size`.
    window: its (height, width).
    size: (H, W) of the images in training, and of a patch.
  """
  rows, columns = (
    np.rint((first + np.linspace(0, n - 1, out)) * (have - 1) / (out - 1))
    for first, n, out, have in zip(start, window, size, truth.shape)
  )
  return truth[rows.astype(int)[:, None], columns.astype(int)]


def pairs(
  config, workdir: pathlib.Path, plan: dict, index: int, truth
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Yields labels and true labels of a round's patches, both [H, W].

  Args:
    config: the run's, as its manifest has it.
    workdir: the run's.
    plan: of the round, as its file has it.
    index: of the round.
    truth: manifest of the target images with their labels.
  """
  from etils import epath

  from uda_jax.augment import scale_invariant
  from uda_jax.data import label_files
  from uda_jax.data import patches
  from uda_jax.train import rounds

  fields = config['rounds']
  per_image, window = fields['patches_per_image'], tuple(fields['window'])
  pattern = f'rounds/files/patches_of_round_{index}-*'
  folders = list(workdir.glob(pattern))
  if len(folders) != 1:
    raise ValueError(
      f'--run: expected one folder {workdir / pattern}, got {len(folders)}'
    )
  key = rounds.window_key(config['seed'], index)
  for j, image in enumerate(plan['images']):
    whole = label_files.read_label(epath.Path(truth.label_paths[image]))
    for q in range(per_image):
      number = patches.file_number(j, q, per_image)
      patch = label_files.read_label(
        epath.Path(folders[0] / 'labels' / f'{number:06d}.png')
      )
      start = scale_invariant.draw_windows(
        jax.random.fold_in(key, j), patch.shape, window, count=per_image
      )[q]
      yield patch, enlarged(whole, np.asarray(start), window, patch.shape)


def table(counts: np.ndarray, names: tuple[str, ...]) -> str:
  """Formats the table of a round.

  Args:
    counts: [C, C], see `confusion`.
    names: C names.
  """
  total = max(counts.sum(), 1)
  lines = [
    '| said to be | share | right | the others are mostly |',
    '|---|---|---|---|',
    f'| all | | {100 * np.trace(counts) / total:.0f} % | |',
  ]
  for c, row in enumerate(counts):
    if not row.sum():
      continue
    others = np.where(np.arange(len(row)) == c, 0, row)
    other = names[others.argmax()] if others.any() else ''
    lines.append(
      f'| {names[c]} | {100 * row.sum() / total:.1f} % '
      f'| {100 * row[c] / row.sum():.0f} % | {other} |'
    )
  return '\n'.join(lines) + '\n'


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('benchmarks.round_labels', __doc__)
  group = result.add_argument_group('run')
  group.add_argument(
    '--run',
    type=pathlib.Path,
    required=True,
    metavar='DIR',
    help='the directory of a run of LSE',
  )
  group.add_argument(
    '--truth',
    required=True,
    metavar='CONFIG',
    help='the config whose source is the target with labels',
  )
  group.add_argument(
    '--data_root', default='', metavar='DIR', help='config.data.root of it'
  )
  return result


def round_labels(args: argparse.Namespace) -> None:
  """Prints the tables."""
  from uda_jax.data import datasets

  workdir = args.run
  plans = sorted((workdir / 'rounds').glob('round_*.json'))
  if not plans:
    raise ValueError(f'--run: expected a run with rounds/, got {workdir}')
  config = json.loads((workdir / 'manifest.json').read_text())['config']
  oracle = configs.load(args.truth)
  oracle.data.root = args.data_root
  truth = datasets.load_part(oracle.data, 'source')
  for index, path in enumerate(plans):
    plan = json.loads(path.read_text())
    names = [
      pathlib.PurePath(path).name
      for i in plan['images']
      for path in truth.image_paths[i : i + 1]
    ]
    if names != plan['names']:
      raise ValueError(
        f"--truth: expected the run's target images as source, got {truth.name}"
      )
    counts = np.add.reduce(
      [
        confusion(*pair, len(truth.class_names))
        for pair in pairs(config, workdir, plan, index, truth)
      ]
    )
    print(
      f'Round {index + 1}, {len(names)} images\n\n'
      f'{table(counts, truth.class_names)}'
    )


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), round_labels, argv)


if __name__ == '__main__':
  main()
