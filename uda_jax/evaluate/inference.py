"""Predictions of a whole split and their confusion matrix.

Plain jit on arrays that are sharded by row: every process feeds its own rows,
the counts are summed over all devices and processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
import numpy as np

from uda_jax import labels
from uda_jax import parallel
from uda_jax import types
from uda_jax.evaluate import metrics
from uda_jax.evaluate import tta
from uda_jax.ops import boxes
from uda_jax.ops import resize


class Window(NamedTuple):
  """A sliding window: (height, width), and the steps down and right."""

  size: tuple[int, int]
  stride: tuple[int, int]


def configured_window(config: Any) -> Window | None:
  """Returns the window of an `eval` block; None: whole images."""
  if not any(config.window):
    return None
  return Window(tuple(config.window), tuple(config.stride))


def sliding_logits(
  logits: Callable[[jax.Array], jax.Array], image: jax.Array, window: Window
) -> jax.Array:
  """Averages the logits of overlapping windows by the number of visits.

  Args:
    logits: `logits(image [B, h, w, 3]) -> [B, h, w, C]` of one window.
    image: [B, H, W, 3] float, as the network wants it.
    window: its size is cut to the image's.

  Returns:
    [B, H, W, C], at least float32.
  """
  full = image.shape[1:3]
  size = tuple(map(min, window.size, full))
  rows, columns = map(boxes.window_starts, full, size, window.stride)
  starts = np.array([(y, x) for y in rows for x in columns])
  visits = np.zeros((*full, 1))
  for y, x in starts:
    visits[y : y + size[0], x : x + size[1]] += 1
  cut = lambda start: jax.lax.dynamic_slice(
    image, (0, start[0], start[1], 0), (image.shape[0], *size, image.shape[3])
  )
  shape = jax.eval_shape(lambda start: logits(cut(start)), starts[0])
  total = jnp.zeros(
    (shape.shape[0], *full, shape.shape[3]),
    jnp.promote_types(shape.dtype, jnp.float32),
  )

  def add(total, start):
    corner = (0, start[0], start[1], 0)
    here = logits(cut(start)).astype(total.dtype)
    here += jax.lax.dynamic_slice(total, corner, here.shape)
    return jax.lax.dynamic_update_slice(total, here, corner), None

  # One loop body whatever the number of windows: one compiled forward pass.
  total, _ = jax.lax.scan(add, total, starts)
  return total / visits.astype(total.dtype)


def make_logits(
  network: types.Network,
  *,
  window: Window | None = None,
  align_corners: bool = False,
) -> Callable[..., jax.Array]:
  """Makes `logits(variables, images, size)`, to be called under jit.

  The network's output is enlarged to its input, averaged over the windows, and
  enlarged again to `size`: two steps, as the released code of DAFormer and HRDA
  (their section on evaluation) has it.

  Args:
    network: any.
    window: sliding window; None gives the network the whole image.
    align_corners: how logits are resized; DeepLab-v2's papers use True.

  Returns:
    `logits(variables, images, size)`: `images` are pixels [B, H, W, 3] in
    0..255, `size` is the static (height, width) of the result [B, height,
    width, C].
  """

  def whole(variables: types.Variables, image: jax.Array) -> jax.Array:
    outputs, _ = network.forward(
      variables.params, variables.batch_stats, image, use_running_average=True
    )
    return resize.bilinear(
      outputs.logits, image.shape[1:3], align_corners=align_corners
    )

  def logits(variables, images, size):
    image = network.normalize(images)
    one = functools.partial(whole, variables)
    full = one(image) if window is None else sliding_logits(one, image, window)
    return resize.bilinear(full, size, align_corners=align_corners)

  return logits


def configured_prob(
  network: types.Network, config: Any
) -> Callable[..., jax.Array]:
  """Makes `prob(variables, images, size)` as an `eval` block says, see `tta`.

  Args:
    network: any.
    config: `window`, `stride`, `scales` and `flip` are read.
  """
  logits = make_logits(network, window=configured_window(config))
  return tta.make_prob(logits, scales=config.scales, flip=config.flip)


@dataclasses.dataclass(frozen=True)
class Predict:
  """`predict(variables, images, size)`; made by `make_predict`.

  Attributes:
    function: jitted `(variables, images, size) -> label [B, height, width]`.
    window: the sliding window, if any.
    mesh: the devices that share the rows; None = one device, one process.
  """

  function: Callable[..., jax.Array]
  window: Window | None
  mesh: Mesh | None

  def __call__(
    self, variables: types.Variables, images: np.ndarray, size: tuple[int, int]
  ) -> np.ndarray:
    """Predicts this process's images.

    Args:
      variables: variables; with a mesh, held by all its devices.
      images: [B, H, W, 3] uint8, any B (the same in all processes).
      size: (height, width) of the result.

    Returns:
      [B, height, width] int32 class ids, on the host.
    """
    prediction = self.on_devices(variables, images, size)
    shards = sorted(
      prediction.addressable_shards, key=lambda shard: shard.index[0].start or 0
    )
    return np.concatenate([s.data for s in shards])[: len(images)]

  def on_devices(
    self, variables: types.Variables, images: np.ndarray, size: tuple[int, int]
  ) -> jax.Array:
    """Like a call; stays on the devices, with rows that fill them up."""
    self._check_window(images.shape[1:3])
    return self.function(
      variables, parallel.place_rows(images, self.mesh), tuple(map(int, size))
    )

  def _check_window(self, image_size: Sequence[int]) -> None:
    if self.window and (np.array(self.window.size) > image_size).any():
      raise ValueError(
        'config.eval.window: expected at most the size of the images, '
        f'{tuple(image_size)}, got {self.window.size}; use (0, 0) for whole '
        'images, or set the image size of the evaluation'
      )


def make_predict(
  network: types.Network,
  *,
  window: Window | None = None,
  mesh: Mesh | None = None,
  align_corners: bool = False,
  scales: Sequence[float] = (1.0,),
  flip: bool = False,
) -> Predict:
  """Makes the function that predicts label maps; see `make_logits`.

  Args:
    network: any.
    window: sliding window; larger than the images is an error.
    mesh: the devices that share the rows; needed with several processes.
    align_corners: how logits are resized.
    scales: of the images; probabilities are averaged, see `tta.make_prob`.
    flip: average over the mirrored images, too.
  """
  if window and min(*window.size, *window.stride) < 1:
    raise ValueError(
      'config.eval: expected a window and a stride of at least '
      f'1, got {window.size} and {window.stride}'
    )
  if mesh is None and jax.process_count() > 1:
    raise ValueError('make_predict: several processes need a mesh')
  scores = make_logits(network, window=window, align_corners=align_corners)
  if tta.is_used(scales, flip):
    scores = tta.make_prob(scores, scales=scales, flip=flip)

  @functools.partial(jax.jit, static_argnums=2)
  def function(variables, images, size):
    return jnp.argmax(scores(variables, images, size), -1).astype(jnp.int32)

  return Predict(function, window, mesh)


@functools.partial(jax.jit, static_argnames=('num_classes', 'mesh'))
def _count(label, prediction, *, num_classes, mesh):
  """Counts row by row, so that each device counts its own rows."""
  count = functools.partial(metrics.confusion_matrix, num_classes=num_classes)
  matrix = jax.vmap(count)(label, prediction).sum(0)
  if mesh is None:
    return matrix
  return jax.lax.with_sharding_constraint(matrix, parallel.replicated(mesh))


def evaluate(
  predict: Predict,
  variables: types.Variables,
  batches: Iterable[Any],
  *,
  num_classes: int,
) -> np.ndarray:
  """Counts true and predicted classes over a split.

  Args:
    predict: from `make_predict`.
    variables: variables of the network.
    batches: of this process, with fields `image` [B, H, W, 3] uint8, `label`
      [B, h, w] int, `valid` [B] bool: rows that are not valid, and pixels that
      are ignored, count nowhere. Sizes may differ from batch to batch; all
      processes give equally many batches of the same sizes.
    num_classes: C.

  Returns:
    [C, C] int64, rows truth, columns prediction; the sum over all processes.
  """
  total = np.zeros((num_classes, num_classes), np.int64)
  waiting = None
  for batch in batches:
    label = np.where(
      np.asarray(batch.valid)[:, None, None], batch.label, labels.IGNORE_LABEL
    )
    prediction = predict.on_devices(variables, batch.image, label.shape[1:])
    label = parallel.place_rows(
      label, predict.mesh, filling=labels.IGNORE_LABEL
    )
    matrix = _count(
      label, prediction, num_classes=num_classes, mesh=predict.mesh
    )
    # Read one batch late: the next images are fetched while this one computes.
    if waiting is not None:
      total += np.asarray(waiting)
    waiting = matrix
  if waiting is None:
    raise ValueError('evaluate: expected at least one batch, got none')
  return total + np.asarray(waiting)
