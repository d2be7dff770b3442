"""How a paper scores: the fields of `config.eval` that make a prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from uda_jax.evaluate import tta
from uda_jax.evaluate import windows

ENLARGED = ('logits', 'probabilities')


class Protocol(NamedTuple):
  """From the output of a network to a prediction at the size of the labels.

  Attributes:
    window: sliding window whose outputs are averaged; None = whole images.
    enlarge: 'logits', or 'probabilities' (softmax before the enlargement).
    align_corners: whether enlarging maps corner pixels onto corner pixels
      instead of half-pixel centers.
    one_step: enlarge the network's own grid to the size of the labels at once
      (LSE), instead of to the size of its input first (DAFormer).
    scales: factors of the image size over which probabilities are averaged.
    flip: average over mirrored images, too.
  """

  window: windows.Window | None = None
  enlarge: str = 'logits'
  align_corners: bool = False
  one_step: bool = False
  scales: Sequence[float] = (1.0,)
  flip: bool = False

  @property
  def uses_views(self) -> bool:
    """Whether a prediction is more than one pass at scale 1."""
    return tta.is_used(self.scales, self.flip)

  @property
  def gives_probabilities(self) -> bool:
    """Whether `inference.make_scores` gives probabilities, not logits."""
    return self.enlarge == 'probabilities' or self.uses_views

  def __str__(self) -> str:
    """Describes views and enlargement, for reports."""
    text = tta.describe(self.scales, self.flip)
    if self.window:
      text += f'; windows of {_size(self.window.size)}'
      text += f' every {_size(self.window.stride)}'
    text += f'; {self.enlarge} enlarged bilinearly'
    text += ' with aligned corners' if self.align_corners else ''
    return text + (' in one step' if self.one_step else '')


def _size(size: Sequence[int]) -> str:
  return f'{size[0]} x {size[1]}'


def configured(block: Any) -> Protocol:
  """Returns the protocol of a config's block `eval`."""
  window = None
  if any(block.window):
    window = windows.Window(tuple(block.window), tuple(block.stride))
  return Protocol(
    window,
    block.enlarge,
    block.align_corners,
    block.one_step,
    tuple(block.scales),
    block.flip,
  )


def check(block: Any) -> None:
  """Raises ValueError, in one line, for fields that do not go together."""
  if block.enlarge not in ENLARGED:
    raise ValueError(
      f'config.eval.enlarge: expected {" or ".join(map(repr, ENLARGED))}, got '
      f'{block.enlarge!r}'
    )
  if block.one_step and any(block.window):
    raise ValueError(
      'config.eval.one_step: expected False with a sliding window '
      f'{tuple(block.window)}, whose outputs are averaged at the size of the '
      'image, got True'
    )
