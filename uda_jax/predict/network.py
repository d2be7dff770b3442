"""Classes and confidence of images of any size.

The network is compiled once for each size at which it sees images, which many
sizes of files may share; only resizing is compiled for each size of file.
Padding to shared sizes would change borders, pooled features and attention.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax.data import image_size
from uda_jax.evaluate import inference
from uda_jax.evaluate import tta
from uda_jax.ops import resize
from uda_jax.runs import restore


@functools.partial(jax.jit, static_argnums=1)
def _resized(images: jax.Array, seen: tuple[int, int]) -> jax.Array:
  """Resizes as scoring does: whole values, as images are decoded."""
  if images.shape[1:3] == seen:
    return images
  pixels = resize.bilinear(images.astype(jnp.float32), seen)
  return jnp.floor(pixels + 0.5)


def _decide(probability: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Returns the most probable classes, and their probability."""
  return (
    jnp.argmax(probability, -1).astype(jnp.int32),
    probability.max(-1).astype(jnp.float32),
  )


@functools.partial(jax.jit, static_argnums=1)
def _enlarged(
  logits: jax.Array, full: tuple[int, int]
) -> tuple[jax.Array, jax.Array]:
  """Decides at the size of the file, as `inference.make_logits` enlarges."""
  logits = resize.bilinear(logits, full)
  dtype = jnp.promote_types(logits.dtype, jnp.float32)
  return _decide(jax.nn.softmax(logits.astype(dtype)))


@dataclasses.dataclass(frozen=True)
class Predict:
  """`predict(images) -> (label, confidence)`; made by `make_predict`.

  Attributes:
    trained: the network.
    rule: how images are resized before the network sees them.
    logits: jitted `(variables, images) -> logits` at the size of the images.
    views: jitted `(variables, images, size) -> (label, confidence)`, the mean
      over scales and mirror images; None without those.
  """

  trained: restore.Trained
  rule: image_size.Rule
  logits: Any
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
    seen = _resized(images, self.rule.of(full))
    if self.views is None:
      label, confidence = _enlarged(self.logits(variables, seen), full)
    else:
      # Views are averaged at the size of the file.
      label, confidence = self.views(variables, seen, full)
    return np.asarray(label), np.asarray(confidence)


def make_predict(trained: restore.Trained, rule: image_size.Rule) -> Predict:
  """Makes the function that predicts images.

  Args:
    trained: the network, and the window, scales and mirror images of `eval`.
    rule: how images are resized before the network sees them.
  """
  config = trained.config.eval
  logits = inference.make_logits(
    trained.network, window=inference.configured_window(config)
  )
  views = None
  if tta.is_used(config.scales, config.flip):
    prob = inference.configured_prob(trained.network, config)
    views = jax.jit(
      lambda variables, images, size: _decide(prob(variables, images, size)),
      static_argnums=2,
    )
  return Predict(
    trained,
    rule,
    jax.jit(
      lambda variables, images: logits(variables, images, images.shape[1:3])
    ),
    views,
  )
