"""Classes and confidence of images of any size.

The network is compiled once for each size at which it sees images or, with a
sliding window, once for the window. Only enlarging is compiled for each size of
file. Padding to shared sizes would change borders, pooled features and
attention.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax.data import image_resize
from uda_jax.data import image_size
from uda_jax.evaluate import inference
from uda_jax.evaluate import protocol
from uda_jax.evaluate import windows
from uda_jax.runs import restore


def _decide(probability: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Returns the most probable classes, and their probability."""
  return (
    jnp.argmax(probability, -1).astype(jnp.int32),
    probability.max(-1).astype(jnp.float32),
  )


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _enlarged(
  output: jax.Array, full: tuple[int, int], how: protocol.Protocol, decide: bool
) -> Any:
  """Brings the output to the size of the file, as scoring to the label's."""
  scores = inference.enlarge(output, full, how)
  probability = inference.probabilities(scores, how)
  return _decide(probability) if decide else probability


@dataclasses.dataclass(frozen=True)
class Predict:
  """`predict(images) -> (label, confidence)`; made by `make_predict`.

  Attributes:
    trained: the network.
    rule: how images are resized before the network sees them.
    how: the run's scoring.
    output: jitted `(variables, images) -> scores` of whole images, or of one
      window of `how.window`, see `inference.make_output`.
    views: jitted `(variables, images, size) -> probabilities`, the mean over
      scales and mirror images; None without those.
  """

  trained: restore.Trained
  rule: image_size.Rule
  how: protocol.Protocol
  output: Any
  views: Any

  def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predicts images of one size.

    Args:
      images: [B, H, W, N] uint8.

    Returns:
      The classes [B, H, W] int32 and their probability [B, H, W] float32 in
      0..1, at the size of the images.

    Raises:
      ValueError: `images` are something else, such as one image alone, floats,
        or of another number of channels than the network takes; or the
        network's logits are not finite.
    """
    label, confidence = map(np.asarray, self._enlarge(images, True))
    inference.check_finite(confidence)
    return label, confidence

  def probabilities(self, images: np.ndarray) -> np.ndarray:
    """Returns the probability of each class, [B, H, W, C] float32 in 0..1.

    Their largest is what a call returns.

    Args:
      images: [B, H, W, N] uint8.
    """
    probability = np.asarray(self._enlarge(images, False), np.float32)
    inference.check_finite(probability)
    return probability

  def _enlarge(self, images: np.ndarray, decide: bool) -> Any:
    images = np.asarray(images)
    channels = self.trained.config.model.in_channels
    if (
      images.dtype != np.uint8
      or images.shape[3:] != (channels,)
      or not images.size
    ):
      raise ValueError(
        f'images: expected uint8 [B, H, W, {channels}], got {images.dtype} '
        f'{list(images.shape)}'
      )
    variables, full = self.trained.variables, images.shape[1:3]
    seen = np.stack([image_resize.by_rule(x, self.rule) for x in images])
    if self.views is not None:
      # Views are averaged at the size of the file.
      return self.views(variables, seen, full, decide)
    output = functools.partial(self.output, variables)
    window = self.how.window
    scores = (
      output(seen)
      if window is None
      else windows.sliding_mean_on_host(output, seen, window)
    )
    return _enlarged(scores, full, self.how, decide)


def make_predict(trained: restore.Trained, rule: image_size.Rule) -> Predict:
  """Makes the function that predicts images.

  Args:
    trained: the network, and how its run scores (`config.eval`).
    rule: how images are resized before the network sees them.
  """
  how = protocol.configured(trained.config.eval)
  views = None
  if how.uses_views:
    scores = inference.make_scores(trained.network, how)

    def mean(variables, images, size, decide):
      probability = scores(variables, images, size)
      return _decide(probability) if decide else probability

    views = jax.jit(mean, static_argnums=(2, 3))
  one = how._replace(window=None)
  output = jax.jit(inference.make_output(trained.network, one))
  return Predict(trained, rule, how, output, views)
