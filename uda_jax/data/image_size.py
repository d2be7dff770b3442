"""Resizing of images for a network: one rule for all commands.

Training, scoring, prediction and export resize by `fit`. Training may multiply
the result by a random scale and cut crops out of it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from uda_jax.data import records

Size = tuple[int, int]


# Values of `config.data.resize`, and what a description adds for them.
RESIZE = {
  'bilinear': '',
  'bicubic': ', bicubic',
  'pillow_bilinear': ', bilinear with antialiasing',
}


class Rule(NamedTuple):
  """Rule by which images are resized for a network.

  Attributes:
    size: (height, width), (0, 0) = images stay as they are. (S, 0): the
      shorter side becomes S, the other keeps the ratio.
    keep_ratio: resize to fit into `size`, in either orientation, with the
      ratio of the sides kept, instead of exactly to `size`.
    resize: a value of `RESIZE`, as in `transforms.Spec`.
    multiple: the sides are then rounded to the nearest multiple of it, halves
      up, not below it: images of many sizes are seen at few. 1 = off.
  """

  size: Size = (0, 0)
  keep_ratio: bool = False
  resize: str = 'bilinear'
  multiple: int = 1

  def of(self, size: Size) -> Size:
    """Returns the (height, width) at which an image of `size` is seen."""
    height, width = int(size[0]), int(size[1])
    if any(self.size):
      height, width = map(int, fit(np.float64(height), np.float64(width), self))
    return self._rounded(height), self._rounded(width)

  def _rounded(self, side: int) -> int:
    step = self.multiple
    return max((2 * side + step) // (2 * step) * step, step)

  def __str__(self) -> str:
    """Describes the rule, for lines and reports."""
    height, width = self.size
    text = f'resized to {height} x {width}'
    if not any(self.size):
      text = 'kept at their own size'
    elif not width:
      text = f'resized to a shorter side of {height}'
    elif self.keep_ratio:
      text = f'resized to fit into {height} x {width}, ratio kept'
    if self.multiple > 1:
      text += f', then to the nearest multiples of {self.multiple}'
    return text + RESIZE.get(self.resize, '')


OWN_SIZE = Rule()


def fit(
  height: Any, width: Any, rule: Rule, math: Any = np, factor: Any = 1.0
) -> tuple[Any, Any]:
  """Computes the size that images are resized to.

  Args:
    height: float64 scalar or array of image heights in pixels.
    width: likewise.
    rule: with a size.
    math: numpy, or tensorflow for use in a graph.
    factor: the random scale of training, float64.

  Returns:
    Whole float64 heights and widths. Halves are rounded up, before the factor
    and after it; with a shorter side once, to even (VFM-UDA).
  """
  if not rule.size[1]:
    ratio = rule.size[0] * factor / math.minimum(height, width)
    return math.round(height * ratio), math.round(width * ratio)
  height, width = _without_factor(height, width, rule, math)
  return math.floor(height * factor + 0.5), math.floor(width * factor + 0.5)


def _without_factor(
  height: Any, width: Any, rule: Rule, math: Any
) -> tuple[Any, Any]:
  """Returns whole sides, halves rounded up."""
  if not rule.keep_ratio:
    size = np.asarray(rule.size, np.float64)
    return 0 * height + size[0], 0 * width + size[1]
  ratio = math.minimum(
    float(max(rule.size)) / math.maximum(height, width),
    float(min(rule.size)) / math.minimum(height, width),
  )
  return math.floor(height * ratio + 0.5), math.floor(width * ratio + 0.5)


def training(data: Any, name: str) -> Rule:
  """Returns the rule of a domain in training.

  Args:
    data: the `data` block of a config.
    name: 'source' or 'target'.
  """
  return Rule(
    tuple(data[f'{name}_image_size']), bool(data.keep_ratio), data.resize
  )


def seen(data: Any) -> Rule:
  """Returns the rule of scoring, prediction and export.

  `eval_image_size`, and without one the target's size in training, so that a
  network is used at the size that it has learned from.

  Args:
    data: the `data` block of a config.
  """
  size = tuple(data.eval_image_size)
  rule = training(data, 'target')
  return rule._replace(size=size) if any(size) else rule


def describe(data: Any) -> str:
  """Returns one line on all rules of a run, for its start and its report.

  Args:
    data: the `data` block of a config.
  """
  source, target = training(data, 'source'), training(data, 'target')
  other = f'scoring, prediction and export {seen(data)}'
  scale = tuple(data.scale_range)
  times = f' times {scale[0]:g} to {scale[1]:g}' if scale != (1.0, 1.0) else ''
  own = ''.join(
    f'; {part} {entry.name} {rule._replace(size=entry.resize_to)}{times}'
    for part, rule in (('source', source), ('target', target))
    for entry in (records.entries(data, part) if data[part] else ())
    if any(entry.resize_to)
  )
  if source == target == seen(data) and not times and not own:
    return f'images are {source}, in training, scoring, prediction and export'
  if source == target:
    return f'in training {source}{times}{own}; in {other}'
  return f'source {source}{times}; target {target}{times}{own}; in {other}'
