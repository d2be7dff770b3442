"""The network's part in a new round of LSE (arXiv 2007.14449).

It measures the target images, which are ranked per class by confidence, and it
labels the chosen ones, from which enlarged windows are cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P
import numpy as np

from uda_jax import parallel
from uda_jax import pseudo_labels
from uda_jax import types
from uda_jax.augment import scale_invariant
from uda_jax.data import image_size
from uda_jax.data import patches
from uda_jax.data import splits
from uda_jax.evaluate import inference
from uda_jax.train import round_ranking
from uda_jax.train import setup


class Functions(NamedTuple):
  """Compiled functions that all rounds use.

  Attributes:
    measure: f(variables, (image [B, H, W, 3], index [B], valid [B])) -> (index,
      valid, confidence [B, C], entropy [B, C]): global arrays in, and out the
      rows of all processes.
    examples: f(variables, image [D, H, W, 3], limits [C], key data [D, 2]) ->
      (image [D, P, H, W, 3] uint8, label [D, P, H, W]), P patches of each
      image, for the D devices of this process.
  """

  measure: Callable[..., Any]
  examples: Callable[..., Any]


def make_functions(run: setup.Run) -> Functions:
  """Makes the compiled functions of `rank` and `cut`."""
  check_window(run)
  check_images(run)
  return Functions(_make_measure(run), _make_examples(run))


def check_window(run: setup.Run) -> None:
  """Raises ValueError unless the window is a pair within the target images."""
  target = run.data.target
  rule = image_size.training(run.config.data, 'target')
  # As the ranking sees them: with keep_ratio smaller than target_image_size.
  seen = [rule.of(size) for size in {*zip(target.heights, target.widths)}]
  size = tuple(map(min, zip(*seen)))
  window = run.config.rounds.window
  pair = isinstance(window, tuple) and len(window) == 2
  if not pair or any(a > b for a, b in zip(window, size)):
    raise ValueError(
      'config.rounds.window: expected (height, width) of at most the size of '
      f'the target images {size}, got {window!r}'
    )


def check_images(run: setup.Run) -> None:
  """Raises ValueError if the first round can choose no target image."""
  fields, total = run.config.rounds, len(run.data.target.image_paths)
  portion = round_ranking.portions(fields.p_start, fields.p_step, fields.p_max)[
    0
  ]
  if not round_ranking.count(total, portion, fields.divisor):
    raise ValueError(
      'config.rounds.divisor: expected at most the target images times '
      f'config.rounds.p_start, {total} * {portion:g} = {total * portion:g}, '
      f'got {fields.divisor}: a class takes p_start / divisor of the images '
      'in which it is found, here none. Lower divisor (1: a class takes the '
      'fraction p_start), raise p_start, or add target images'
    )


def rank(
  run: setup.Run,
  functions: Functions,
  student: types.Variables,
  between: Callable[[], None] = lambda: None,
) -> Iterator[tuple[np.ndarray, ...]]:
  """Measures all target images, divided among the processes.

  Args:
    run: a run in rounds.
    functions: those of the run.
    student: the network, as host arrays.
    between: called after each batch.

  Yields:
    Rows for `collect`: index [B], valid [B], confidence and entropy [B, C].
  """
  config, mesh = run.config, run.mesh
  student = jax.device_put(student, parallel.replicated(mesh))
  for batch in splits.eval_batches(
    run.data.target,
    batch_size=mesh.local_mesh.size,
    rule=image_size.training(config.data, 'target'),
    process_index=jax.process_index(),
    process_count=jax.process_count(),
    devices=mesh.local_mesh.size,
  ):
    rows = tuple(
      parallel.place_rows(x, mesh)
      for x in (batch.image, batch.index, batch.valid)
    )
    yield tuple(map(np.asarray, functions.measure(student, rows)))
    between()


def collect(
  rows: Iterable[tuple[np.ndarray, ...]], num_images: int
) -> tuple[np.ndarray, np.ndarray]:
  """Sorts the rows of `rank` into the order of the images.

  Args:
    rows: tuples (index [B] int, valid [B] bool, confidence [B, C] float,
      entropy [B, C] float), in any order; rows that are not valid are left
      out.
    num_images: N.

  Returns:
    Confidence and entropy, both [N, C] float64.
  """
  index, valid, *tables = map(np.concatenate, zip(*rows))
  if sorted(index[valid]) != list(range(num_images)):
    raise ValueError(
      f'ranking: expected each of the {num_images} images once, '
      f'got {valid.sum()} rows'
    )
  in_order = np.argsort(index[valid])
  return tuple(x[valid][in_order].astype(np.float64) for x in tables)


def cut(
  run: setup.Run,
  functions: Functions,
  student: types.Variables,
  images: Sequence[int],
  limits: np.ndarray,
  key: jax.Array,
  places: Sequence[int],
) -> Iterator[dict[int, list[patches.Patch]]]:
  """Cuts and enlarges windows of target images, one image on each device.

  Args:
    run: a run in rounds.
    functions: those of the run.
    student: the network, as host arrays.
    images: numbers of the images; one that comes twice gets other windows.
    limits: [C] limits of class-wise entropy, see
      `pseudo_labels.below_class_limits`.
    key: for the windows.
    places: which of `images` are cut, by all processes together.

  Yields:
    The patches of the images of this process, by place; in all processes
    equally often.
  """
  config, fields, target = run.config, run.config.rounds, run.data.target
  mesh = run.mesh.local_mesh
  take = lambda rows: tuple(rows[images[j]] for j in places)
  chosen = target._replace(
    image_paths=take(target.image_paths),
    label_paths=(None,) * len(places),
    heights=np.array(take(target.heights)),
    widths=np.array(take(target.widths)),
  )
  student = jax.device_put(student, parallel.replicated(mesh))
  for batch in splits.eval_batches(
    chosen,
    batch_size=mesh.size,
    rule=image_size.training(config.data, 'target'),
    process_index=jax.process_index(),
    process_count=jax.process_count(),
    devices=mesh.size,
  ):
    own = [places[i] for i in batch.index]
    keys = [jax.random.key_data(jax.random.fold_in(key, j)) for j in own]
    made = functions.examples(
      student,
      parallel.place_rows(batch.image, mesh),
      limits,
      parallel.place_rows(np.stack(keys), mesh),
    )
    yield {
      j: [
        patches.Patch(
          patches.file_number(j, q, fields.patches_per_image), *patch
        )
        for q, patch in enumerate(zip(images_of, labels_of))
      ]
      for j, valid, images_of, labels_of in zip(
        own, batch.valid, *jax.device_get(made)
      )
      if valid
    }


def _make_measure(run: setup.Run) -> Callable[..., Any]:
  logits = inference.make_logits(run.recipe.network)

  # Every process gets all rows: the tables are small.
  @functools.partial(jax.jit, out_shardings=parallel.replicated(run.mesh))
  def measure(variables, batch):
    image, index, valid = batch
    statistics = pseudo_labels.class_statistics(
      jax.nn.softmax(logits(variables, image, image.shape[1:3]))
    )
    return index, valid, *statistics

  return measure


def _make_examples(run: setup.Run) -> Callable[..., Any]:
  fields = run.config.rounds
  if fields.keep_rule not in scale_invariant.KEEP_RULES:
    raise ValueError(
      'config.rounds.keep_rule: expected one of '
      f'{scale_invariant.KEEP_RULES}, got {fields.keep_rule!r}'
    )
  window = tuple(fields.window)
  logits = inference.make_logits(run.recipe.network)

  def examples(variables, image, limits, key):
    size = image.shape[1:3]
    prob = jax.nn.softmax(logits(variables, image, size))[0]
    label = jnp.argmax(prob, -1)
    stretched = pseudo_labels.stretch_by_class(
      pseudo_labels.entropy(prob), label, num_classes=prob.shape[-1]
    )
    keep = pseudo_labels.below_class_limits(stretched, label, limits)
    pixels = image[0].astype(prob.dtype) / 255

    def one(start):
      return (
        scale_invariant.to_pixels(
          scale_invariant.zoom(pixels, start, window=window)
        ),
        scale_invariant.zoom_label(
          prob, keep, start, window=window, keep_rule=fields.keep_rule
        ),
      )

    # One window after the other: its probabilities need much memory.
    starts = scale_invariant.draw_windows(
      jax.random.wrap_key_data(key[0]),
      size,
      window,
      count=fields.patches_per_image,
    )
    return jax.tree.map(lambda x: x[None], jax.lax.map(one, starts))

  # Each device has one image, so its program is that of a single device.
  return jax.jit(
    jax.shard_map(
      examples,
      mesh=run.mesh.local_mesh,
      in_specs=(P(), P(parallel.DATA), P(), P(parallel.DATA)),
      out_specs=P(parallel.DATA),
      check_vma=False,
    )
  )
