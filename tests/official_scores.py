"""Compares our Cityscapes scores with the official ones, on random trees.

  make official

installs the package `cityscapesScripts` beside the virtual environment and runs
this. The suite compares with recorded results of it instead, see
tests/golden/cityscapes_eval.
"""

from __future__ import annotations

import pathlib
import sys
import tempfile

from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as peer
import numpy as np
from PIL import Image

from uda_jax.evaluate import files

TREES = 5
# The package calls it by a name that NumPy 2.4 no longer has.
np.in1d = np.isin


def _blocks(random: np.random.Generator, ids: list[int]) -> np.ndarray:
  """A label map of rectangles, of a size of its own."""
  cell = random.integers(3, 9, 2)
  cells = random.choice(ids, random.integers(4, 9, 2))
  return np.kron(cells, np.ones(cell, int))


def _write(folder: pathlib.Path, random: np.random.Generator) -> None:
  """Labels, instances and predictions of three images."""
  labels = [label.id for label in peer.labels if label.id >= 0]
  for number in range(3):
    city = ('aachen', 'bern', 'celle')[number]
    stem = f'{city}_{number:06d}_000019'
    truth = folder / 'gtFine/val' / city
    truth.mkdir(parents=True)
    (folder / 'results').mkdir(exist_ok=True)
    # Not all ids occur in each tree: some scores are undefined.
    label = _blocks(random, random.choice(labels, 25))
    instances = np.where(
      label >= 24, 1000 * label + random.integers(0, 3), label
    )
    wrong = random.random(label.shape) < 0.3
    guess = np.where(wrong, random.choice(labels, label.shape), label)
    for path, ids, dtype in (
      (truth / f'{stem}_gtFine_labelIds.png', label, np.uint8),
      (truth / f'{stem}_gtFine_instanceIds.png', instances, np.uint16),
      (folder / 'results' / f'{stem}.png', guess, np.uint8),
    ):
      Image.fromarray(ids.astype(dtype)).save(path)


def _official(folder: pathlib.Path) -> dict:
  """Scores by the official package."""
  truth = sorted((folder / 'gtFine').rglob('*_labelIds.png'))
  guesses = sorted((folder / 'results').glob('*.png'))
  peer.args.quiet = True
  peer.args.JSONOutput = False
  return peer.evaluateImgLists(
    list(map(str, guesses)), list(map(str, truth)), peer.args
  )


def _flat(scores: dict) -> dict:
  """(score, class) -> value; the names that hold 'Score' are shared by both."""
  return {
    (name, key): number
    for name, value in scores.items()
    if 'Score' in name
    for key, number in (
      value if isinstance(value, dict) else {'': value}
    ).items()
  }


def differences(ours: dict, official: dict) -> list[str]:
  """The scores that differ by more than rounding of float64."""
  ours, official = _flat(ours), _flat(official)
  if not official or ours.keys() != official.keys():
    return [f'names: {sorted(ours)} and {sorted(official)}']
  return [
    f'{key}: {ours[key]} and {value}'
    for key, value in official.items()
    if not np.isclose(ours[key], value, rtol=0, atol=1e-9, equal_nan=True)
  ]


def main() -> None:
  """Writes trees, scores them twice, and prints the differences."""
  for seed in range(TREES):
    with tempfile.TemporaryDirectory() as name:
      folder = pathlib.Path(name)
      _write(folder, np.random.default_rng(seed))
      found = differences(
        files.cityscapes(folder / 'results', folder / 'gtFine'),
        _official(folder),
      )
    print(f'tree {seed}:', '\n'.join(found) or 'the same scores')
    if found:
      sys.exit(1)


if __name__ == '__main__':
  main()
