"""Classes and confidence of images of any size.

The network is compiled once for each size at which it sees images, which many
sizes of files may share; only enlarging is compiled for each size of file.
Padding to shared sizes would change borders, pooled features and attention.
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
from uda_jax.runs import restore


def _decide(probability: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Returns the most probable classes, and their probability."""
  return (
    jnp.argmax(probability, -1).astype(jnp.int32),
    probability.max(-1).astype(jnp.float32),
  )


@functools.partial(jax.jit, static_argnums=(1, 2))
def _enlarged(
  output: jax.Array, full: tuple[int, int], how: protocol.Protocol
) -> tuple[jax.Array, jax.Array]:
  """Decides at the size of the file, as scoring does at that of the label."""
  scores = inference.enlarge(output, full, how)
  return _decide(inference.probabilities(scores, how))


@dataclasses.dataclass(frozen=True)
class Predict:
  """`predict(images) -> (label, confidence)`; made by `make_predict`.

  Attributes:
    trained: the network.
    rule: how images are resized before the network sees them.
    how: the run's scoring.
    output: jitted `(variables, images) -> scores`, see `inference.make_output`.
    views: jitted `(variables, images, size) -> (label, confidence)`, the mean
      over scales and mirror images; None without those.
  """

  trained: restore.Trained
  rule: image_size.Rule
  how: protocol.Protocol
  output: Any
  views: Any

  def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predicts images of one size.

    Args:
      images: [B, H, W, 3] uint8.

    Returns:
      The classes [B, H, W] int32 and their probability [B, H, W] float32 in
      0..1, at the size of the images.
    """
    variables, full = self.trained.variables, images.shape[1:3]
    seen = np.stack([image_resize.by_rule(x, self.rule) for x in images])
    if self.views is None:
      output = self.output(variables, seen)
      label, confidence = _enlarged(output, full, self.how)
    else:
      # Views are averaged at the size of the file.
      label, confidence = self.views(variables, seen, full)
    return np.asarray(label), np.asarray(confidence)


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
    views = jax.jit(
      lambda variables, images, size: _decide(scores(variables, images, size)),
      static_argnums=2,
    )
  output = jax.jit(inference.make_output(trained.network, how))
  return Predict(trained, rule, how, output, views)
