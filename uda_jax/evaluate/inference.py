"""Predictions of a network as its run scores them.

Arrays are divided by row over the devices: every process feeds its own rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import functools

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
import numpy as np

from uda_jax import parallel
from uda_jax import types
from uda_jax import words
from uda_jax.evaluate import protocol as protocol_lib
from uda_jax.evaluate import tta
from uda_jax.evaluate import windows
from uda_jax.methods import aux_head
from uda_jax.ops import resize

Protocol = protocol_lib.Protocol


def make_output(
  network: types.Network, protocol: Protocol
) -> Callable[..., jax.Array]:
  """Makes `output(variables, images)`: scores before the last enlargement.

  Args:
    network: any.
    protocol: `scales` and `flip` are not read.

  Returns:
    `output(variables, images)`, to be called under jit: `images` are pixels
    [B, H, W, 3] in 0..255, the result is [B, h, w, C]: the images' size or,
    with `one_step`, that of the network's own grid.
  """
  corners = protocol.align_corners
  in_windows = protocol.enlarge == 'logits_of_windows'

  def whole(variables: types.Variables, image: jax.Array) -> jax.Array:
    outputs, _ = network.forward(
      variables.params, variables.batch_stats, image, use_running_average=True
    )
    scores = outputs.logits
    if protocol.one_step:
      scores = aux_head.low_logits(outputs)
    if protocol.enlarge == 'probabilities':
      scores = _softmax(scores)
    if protocol.one_step:
      return scores
    scores = resize.bilinear(scores, image.shape[1:3], align_corners=corners)
    return _softmax(scores) if in_windows else scores

  def output(variables, images):
    image, window = network.normalize(images), protocol.window
    one = functools.partial(whole, variables)
    return (
      one(image) if window is None else windows.sliding_mean(one, image, window)
    )

  return output


def enlarge(
  scores: jax.Array, size: tuple[int, int], protocol: Protocol
) -> jax.Array:
  """Brings the result of `make_output` to the size of the labels."""
  return resize.bilinear(scores, size, align_corners=protocol.align_corners)


def _softmax(scores: jax.Array) -> jax.Array:
  """Probabilities, at least float32."""
  dtype = jnp.promote_types(scores.dtype, jnp.float32)
  return jax.nn.softmax(scores.astype(dtype))


def probabilities(scores: jax.Array, protocol: Protocol) -> jax.Array:
  """Turns the result of `make_scores` into probabilities [..., C].

  At least float32; what are probabilities already stays as it is.
  """
  return scores if protocol.gives_probabilities else _softmax(scores)


def check_finite(values: np.ndarray) -> None:
  """Raises ValueError if images have no probabilities.

  Of logits that are NaN or infinite, the most probable class is 0, silently.

  Args:
    values: [N, ...] float, of N images: probabilities, or means of functions
      of them. Of NaN alone, XLA's maximum is -inf on some devices.

  Example:
    >>> check_finite(np.array([0.5, np.nan]))
    Traceback (most recent call last):
    ValueError: the network: expected finite logits, got NaN or infinity for 1 \
of 2 images; its weights are not finite, or its values too large for \
config.model.dtype
  """
  good = np.isfinite(values).reshape(len(values), -1).all(1)
  if not good.all():
    raise ValueError(
      'the network: expected finite logits, got NaN or infinity for '
      f'{(~good).sum()} of {words.counted(good.size, "image")}; its weights '
      'are not finite, or its values too large for config.model.dtype'
    )


def make_scores(
  network: types.Network, protocol: Protocol
) -> Callable[..., jax.Array]:
  """Makes `scores(variables, images, size)`, to be called under jit.

  By default the network's output is enlarged to its input, averaged over the
  windows, and enlarged again to `size`: two steps, as the released code of
  DAFormer and HRDA has it.

  Args:
    network: any.
    protocol: how the paper scores.

  Returns:
    `scores(variables, images, size)`: `images` are pixels [B, H, W, 3] in
    0..255, `size` is the static (height, width) of the result [B, height,
    width, C], logits or, if `protocol.gives_probabilities`, probabilities.
  """
  output = make_output(network, protocol)

  def view(variables, images, size):
    return enlarge(output(variables, images), size, protocol)

  if not protocol.uses_views:
    return view
  one = protocol.without_views()
  return tta.mean_of_views(
    lambda *args: probabilities(view(*args), one),
    scales=protocol.scales,
    flip=protocol.flip,
  )


def make_logits(
  network: types.Network, *, window: windows.Window | None = None
) -> Callable[..., jax.Array]:
  """Makes `logits(variables, images, size)` in two steps; see `make_scores`."""
  return make_scores(network, Protocol(window))


@dataclasses.dataclass(frozen=True)
class Predict:
  """`predict(variables, images, size)`; made by `make_predict`.

  Attributes:
    function: jitted `(variables, images, size) -> (label, confidence)`, both
      [B, height, width], int32 and the probability of the label, float32.
    window: the sliding window, if any.
    mesh: the devices that share the rows; None = one device, one process.
  """

  function: jax.stages.Wrapped
  window: windows.Window | None
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
    return self.with_confidence(variables, images, size)[0]

  def with_confidence(
    self, variables: types.Variables, images: np.ndarray, size: tuple[int, int]
  ) -> tuple[np.ndarray, np.ndarray]:
    """Like a call, and the probability of the class, float32 in 0..1."""
    label, confidence = self.on_devices(variables, images, size)
    return _own_rows(label, len(images)), _own_rows(confidence, len(images))

  def on_devices(
    self, variables: types.Variables, images: np.ndarray, size: tuple[int, int]
  ) -> tuple[jax.Array, jax.Array]:
    """Like `with_confidence`, on the devices, with rows that fill them up."""
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


def _own_rows(array: jax.Array, count: int) -> np.ndarray:
  """Returns this process's first rows, on the host."""
  shards = sorted(
    array.addressable_shards, key=lambda shard: shard.index[0].start or 0
  )
  return np.concatenate([s.data for s in shards])[:count]


def make_predict(
  network: types.Network,
  protocol: Protocol = protocol_lib.PLAIN,
  *,
  mesh: Mesh | None = None,
) -> Predict:
  """Makes the function that predicts label maps; see `make_scores`.

  Args:
    network: any.
    protocol: how the paper scores; a window larger than the images is an error.
    mesh: the devices that share the rows; needed with several processes.
  """
  window = protocol.window
  if window and min(*window.size, *window.stride) < 1:
    raise ValueError(
      'config.eval: expected a window and a stride of at least '
      f'1, got {window.size} and {window.stride}'
    )
  if mesh is None and jax.process_count() > 1:
    raise ValueError('make_predict: several processes need a mesh')
  scores = make_scores(network, protocol)

  def on_device(variables, images, size):
    values = scores(variables, images, size)
    confidence = probabilities(values, protocol).max(-1)
    label = jnp.argmax(values, -1).astype(jnp.int32)
    return label, confidence.astype(jnp.float32)

  @functools.partial(jax.jit, static_argnums=2)
  def function(variables, images, size):
    own = functools.partial(on_device, size=size)
    if mesh is None:
      return own(variables, images)
    # Each device scores its rows: XLA cannot divide a fused kernel.
    rows = P(parallel.DATA)
    return jax.shard_map(
      own, mesh=mesh, check_vma=False, in_specs=(P(), rows), out_specs=rows
    )(variables, images)

  return Predict(function, window, mesh)
