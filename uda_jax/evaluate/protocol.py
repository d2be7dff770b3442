"""Scoring protocol of a paper: fields of `config.eval` for predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from uda_jax.evaluate import tta
from uda_jax.evaluate import windows

ENLARGED = ('logits', 'probabilities', 'logits_of_windows')


class Protocol(NamedTuple):
  """From the output of a network to a prediction at the size of the labels.

  Attributes:
    window: sliding window whose outputs are averaged; None = whole images.
    enlarge: 'logits', 'probabilities' (softmax before the enlargement), or
      'logits_of_windows': those of a window are enlarged to it, and
      probabilities of windows are averaged (VFM-UDA).
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
    """True if a prediction is more than one pass at scale 1."""
    return tta.is_used(self.scales, self.flip)

  @property
  def gives_probabilities(self) -> bool:
    """True if `inference.make_scores` gives probabilities, not logits."""
    return self.enlarge != 'logits' or self.uses_views

  def without_views(self) -> Protocol:
    """Returns the protocol of one pass at scale 1."""
    return self._replace(scales=(1.0,), flip=False)


PLAIN = Protocol()


def describe(block: Any) -> str:
  """Returns one line on the enlargement and the labels, for reports."""
  text = f'{block.enlarge.replace("_", " ")} enlarged bilinearly'
  if block.align_corners:
    text += ' with aligned corners'
  if block.one_step:
    text += ' in one step'
  if any(block.window):
    text = (
      f'windows of {size_text(block.window)} every {size_text(block.stride)}, '
      + text
    )
  if any(block.label_size):
    return f'{text}; labels at {size_text(block.label_size)}'
  return f'{text}; labels at full size'


def size_text(size: Sequence[int]) -> str:
  """Returns such as '640 x 1280', or 'a shorter side of 1024'."""
  if not size[1]:
    return f'a shorter side of {size[0]}'
  return f'{size[0]} x {size[1]}'


def configured(block: Any) -> Protocol:
  """Returns the protocol of a config's block `eval`.

  Raises:
    ValueError: windows leave pixels out between them.
  """
  window = None
  if any(block.window):
    window = windows.Window(tuple(block.window), tuple(block.stride))
    if any(step > side for step, side in zip(window.stride, window.size)):
      raise ValueError(
        'config.eval.stride (--stride): expected steps of at most the window '
        f'{window.size}, between which no pixel is left out, got '
        f'{window.stride}'
      )
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
  if block.enlarge == 'logits_of_windows' and not any(block.window):
    raise ValueError(
      "config.eval.enlarge: 'logits_of_windows' expects a sliding window "
      "(config.eval.window), got none; 'logits' is for whole images"
    )
  if block.one_step and any(block.window):
    raise ValueError(
      'config.eval.one_step: expected False with a sliding window '
      f'{tuple(block.window)}, whose outputs are averaged at the size of the '
      'image, got True'
    )
