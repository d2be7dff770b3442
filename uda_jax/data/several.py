"""Several data sets as one part of a run: which of them an element is from.

The sets take turns: in each period of P elements, each set has a number of
places that is in proportion to its weight, in an order that is drawn for every
period. So the proportions hold exactly, each set's own images still come once
an epoch, and all of it is a pure function of (seed, element).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from uda_jax.data import manifest as manifest_lib
from uda_jax.data import records
from uda_jax.data import sampling


class Turns(NamedTuple):
  """The places of a period.

  Attributes:
    owner: [P] int32, the number of the set that has a place.
    place: [P] int64, which of the set's own places this is.
    lengths: [S] int64, places of each set.
  """

  owner: np.ndarray
  place: np.ndarray
  lengths: np.ndarray


def turns(weights: Sequence[float]) -> Turns:
  """Returns the places of sets with these weights, all above 0.

  Args:
    weights: of S sets; the period is the shortest that has their ratio.
  """
  count = records.places(weights)
  return Turns(
    np.repeat(np.arange(len(count)), count).astype(np.int32),
    np.concatenate([np.arange(n) for n in count]).astype(np.int64),
    np.array(count, np.int64),
  )


def turn(
  seed: int, domain: str, element: tf.Tensor, turns: Turns
) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns whose turn an element is, and the set's own number of it.

  Args:
    seed: of the run.
    domain: of `sampling`.
    element: int64 scalar k >= 0.
    turns: of the sets.

  Returns:
    (int32 number of the set, int64 element of that set), scalars. The elements
    of a set are 0, 1, 2, ..., each exactly once.
  """
  length = len(turns.owner)
  period, position = element // length, element % length
  # `max_index` is inclusive.
  place = tf.random.experimental.index_shuffle(
    position,
    seed=sampling.Stream(seed, domain, sampling.TURN).key(period),
    max_index=tf.constant(length - 1, tf.int64),
  )
  owner = tf.gather(turns.owner, place)
  own = period * tf.gather(turns.lengths, owner) + tf.gather(turns.place, place)
  return owner, own


def stream(domain: str, name: str) -> str:
  """Returns the domain of a set's own draws, which no other set changes."""
  return f'{domain}/{name}'


def permuted_index(
  seed: int, domain: str, element: tf.Tensor, data: manifest_lib.Manifest
) -> tf.Tensor:
  """Returns the image of an element, of one set or of several in turns.

  Args:
    seed: of the run.
    domain: of `sampling`.
    element: int64 scalar k >= 0.
    data: the images.

  Returns:
    int64 scalar in [0, N): each set's images come once in each of its epochs.
  """
  if not data.sets:
    return sampling.permuted_index(seed, domain, element, len(data.image_paths))
  owner, own = turn(
    seed, domain, element, turns([one.weight for one in data.sets])
  )

  def within(one: manifest_lib.Set) -> tf.Tensor:
    return one.start + sampling.permuted_index(
      seed, stream(domain, one.name), own, one.stop - one.start
    )

  return tf.switch_case(
    owner, [lambda one=one: within(one) for one in data.sets]
  )
