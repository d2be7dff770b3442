"""Finds and runs the checks of golden files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
import fnmatch
import pathlib
import re
from typing import NamedTuple

import jax
import numpy as np

from tests.golden_checks import cluda
from tests.golden_checks import convnets
from tests.golden_checks import data
from tests.golden_checks import ehtdi
from tests.golden_checks import ehtdi_steps
from tests.golden_checks import evaluation
from tests.golden_checks import heads
from tests.golden_checks import hrda
from tests.golden_checks import hrda_steps
from tests.golden_checks import lse
from tests.golden_checks import lse_steps
from tests.golden_checks import maths
from tests.golden_checks import mic
from tests.golden_checks import networks
from tests.golden_checks import pipa
from tests.golden_checks import pipa_steps
from tests.golden_checks import pixmatch
from tests.golden_checks import pixmatch_data
from tests.golden_checks import scores
from tests.golden_checks import self_training
from tests.golden_checks import steps
from tests.golden_checks import transformers
from tests.golden_checks import vfm
from tests.golden_checks import vfm_adapter
from tests.golden_checks import vfm_data
from tests.golden_checks import vfm_networks
from tests.golden_checks import vfm_parts
from tests.golden_checks import vfm_soma
from tests.golden_checks import vfm_steps
from tests.golden_checks import vfm_steps_pp

Difference = tuple[str, np.ndarray, np.ndarray, float, float]
Check = Callable[[pathlib.Path], Iterable[Difference]]

# Patterns of 'method/file' -> check.
CHECKS: dict[str, Check] = {
  **cluda.CHECKS,
  **convnets.CHECKS,
  **data.CHECKS,
  **pixmatch_data.CHECKS,
  **ehtdi.CHECKS,
  **ehtdi_steps.CHECKS,
  **evaluation.CHECKS,
  **heads.CHECKS,
  **hrda.CHECKS,
  **hrda_steps.CHECKS,
  **lse.CHECKS,
  **lse_steps.CHECKS,
  **maths.CHECKS,
  **mic.CHECKS,
  **networks.CHECKS,
  **pipa.CHECKS,
  **pipa_steps.CHECKS,
  **pixmatch.CHECKS,
  **scores.CHECKS,
  **self_training.CHECKS,
  **steps.CHECKS,
  **transformers.CHECKS,
  **vfm.CHECKS,
  **vfm_adapter.CHECKS,
  **vfm_data.CHECKS,
  **vfm_networks.CHECKS,
  **vfm_parts.CHECKS,
  **vfm_soma.CHECKS,
  **vfm_steps.CHECKS,
  **vfm_steps_pp.CHECKS,
}

# Files that the check of another file reads: pattern -> that other file.
COMPANIONS = (
  (r'lse/train_deeplab(\w*)_in(\w*)', r'lse/train_deeplab\1_out\2'),
  (r'pixmatch/train_(\w+)_in', r'pixmatch/train_\1_out'),
  ('pixmatch/deeplab_tiny_weights', 'pixmatch/deeplab_tiny_eval0'),
  ('ehtdi/deeplab_tiny_weights', 'ehtdi/deeplab_tiny_eval'),
  (r'ehtdi/total_(\w+)_(in|logits)', r'ehtdi/total_\1_main'),
  (r'ehtdi/train_in_it\d+', 'ehtdi/train_main_out'),
  (r'ehtdi/train_(\w+)_(model|ema)', r'ehtdi/train_\1_out'),
  (r'daformer_hrda/step_([^_]+)_(weights|after)', r'daformer_hrda/step_\1'),
  (r'vfm/step_([^_]+)_(weights|after|grads)', r'vfm/step_\1'),
  ('vfm/adapter_weights', 'vfm/adapter'),
)


class Result(NamedTuple):
  """Result of a check.

  Attributes:
    absolute: the largest absolute difference.
    relative: the largest difference relative to the golden array's largest
      magnitude.
    problem: what failed first, '' if nothing did.
  """

  absolute: float = 0.0
  relative: float = 0.0
  problem: str = ''


def items(
  folder: pathlib.Path, method: str | None = None
) -> Iterator[tuple[str, pathlib.Path]]:
  """Yields (name, path) of all golden files; a folder tree is one item.

  Args:
    folder: with one folder a method.
    method: only this one.
  """
  if not folder.is_dir():
    raise FileNotFoundError(f'golden vectors: no folder {folder}')
  methods = sorted(
    path
    for path in folder.iterdir()
    if path.is_dir() and not path.name.startswith(('.', '_'))
  )
  if method is not None:
    methods = [path for path in methods if path.name == method]
    if not methods:
      raise FileNotFoundError(f'golden vectors: no folder {folder / method}')
  for path in methods:
    files = sorted(path.glob('*.npz'))
    if not files:
      yield path.name, path
    for file in files:
      yield f'{path.name}/{file.name}', file


def find(name: str) -> Check | None:
  """Returns the check of a 'method/file', None without one."""
  for pattern, check in CHECKS.items():
    if fnmatch.fnmatchcase(name, pattern):
      return check
  return None


def subject(name: str) -> str:
  """Returns the file whose check reads this one; itself, mostly."""
  for pattern, other in COMPANIONS:
    found = re.fullmatch(pattern + r'\.npz', name)
    if found:
      return found.expand(other) + '.npz'
  return name


def compare(ours, golden, atol: float, rtol: float) -> Result:
  """Compares two arrays; NaN equals NaN, and nothing else."""
  ours, golden = np.asarray(ours), np.asarray(golden)
  if ours.shape != golden.shape:
    return Result(np.inf, np.inf, f'shape {ours.shape}, not {golden.shape}')
  if golden.dtype.kind not in 'biufc':
    same = np.array_equal(ours, golden)
    return Result(problem='' if same else 'differs')
  wide = (
    np.complex128
    if 'c' in (ours.dtype.kind, golden.dtype.kind)
    else (np.float64)
  )
  ours, golden = ours.astype(wide), golden.astype(wide)
  # Equal infinities and NaN in the same places do not differ.
  same = (ours == golden) | (np.isnan(ours) & np.isnan(golden))
  with np.errstate(invalid='ignore'):
    difference = np.where(same, 0, np.abs(ours - golden))
    difference = np.where(np.isnan(difference), np.inf, difference)
    bad = ~(difference <= atol + rtol * np.abs(golden)) & ~same
  largest = float(np.max(difference, initial=0))
  scale = float(np.max(np.abs(golden), initial=0, where=np.isfinite(golden)))
  problem = ''
  if bad.any():
    problem = (
      f'{bad.sum()} of {bad.size} beyond {atol:g} + {rtol:g} |golden|,'
      f' by up to {largest:.3g}'
    )
  return Result(largest, largest / scale if scale else largest, problem)


def run(check: Check, path: pathlib.Path, dtype: str) -> Result:
  """Runs one check in float32 or float64.

  A check that breaks, or that compares nothing, is a problem like any other.
  """
  total, count = Result(), 0
  try:
    with jax.enable_x64(dtype == 'float64'):
      for name, ours, golden, atol, rtol in check(path):
        found = compare(ours, golden, atol, rtol)
        count += 1
        problem = found.problem and f'{name}: {found.problem}'
        total = Result(
          max(total.absolute, found.absolute),
          max(total.relative, found.relative),
          total.problem or problem,
        )
  except Exception as error:  # The report goes on with the next file.
    return total._replace(
      problem=total.problem or f'{type(error).__name__}: {error}'
    )
  if not count:
    return total._replace(problem='the check compares nothing')
  return total
