"""Training examples: pure functions of (seed, element)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from uda_jax.data import crop_rules
from uda_jax.data import cutting
from uda_jax.data import domains
from uda_jax.data import loading
from uda_jax.data import sampling
from uda_jax.data import several
from uda_jax.data import transforms

Example = dict[str, tf.Tensor]


def choose(
  domain: domains.Domain | domains.Mixture, seed: int, element: tf.Tensor
) -> tuple[tf.Tensor, crop_rules.Wanted | None]:
  """Returns which image an element is, and what its crop must hold.

  Args:
    domain: what to choose from.
    seed: of the run.
    element: int64 scalar k.

  Returns:
    int64 scalar index, and a rare class that was asked for (None of several
    data sets, which `reader` asks for themselves).
  """
  if isinstance(domain, domains.Mixture):
    return _by_turn(
      domain, seed, element, lambda member, own: choose(member, seed, own)[0]
    ), None
  if domain.rare is None:
    return sampling.permuted_index(
      seed, domain.name, element, len(domain.data.image_paths)
    ), None
  index, class_id = sampling.rare_index(seed, domain.name, element, domain.rare)
  return index, crop_rules.Wanted(class_id, domain.rare_pixels)


def _by_turn(
  mixture: domains.Mixture,
  seed: int,
  element: tf.Tensor,
  of: Callable[..., Any],
) -> Any:
  """Returns `of(member, its element)` of the set whose turn it is.

  An index, or the one in an example, becomes that among the images of all sets.
  """
  owner, own = several.turn(seed, mixture.name, element, mixture.turns)

  def branch(member: domains.Domain, start: int) -> Any:
    found = of(member, own)
    if isinstance(found, dict):
      return found | {'index': start + found['index']}
    return start + found

  return tf.switch_case(
    owner,
    [
      lambda member=member, one=one: branch(member, one.start)
      for member, one in zip(mixture.members, mixture.data.sets)
    ],
  )


def reader(
  domain: domains.Domain | domains.Mixture, seed: int
) -> Callable[[tf.Tensor], Example]:
  """Makes the function from an element's number to its example.

  Args:
    domain: where and how to read.
    seed: of the run.

  Returns:
    `read(element)`: int64 scalar k to a dict of 'image' uint8 [H, W, N],
    'label' uint8 [H, W] if there are labels, 'valid_mask' bool [H, W] and
    'index' int32, a pure function of (seed, k).
  """
  if isinstance(domain, domains.Mixture):
    # Tables are made once, outside of the branches.
    reads = {m.name: reader(m, seed) for m in domain.members}
    return lambda element: _by_turn(
      domain, seed, element, lambda member, own: reads[member.name](own)
    )
  data, spec = domain.data, domain.spec
  # Held as constants of the graph: each is a few megabytes at most.
  images = transforms.path_tensor(data.image_paths)
  labels = transforms.path_tensor(data.label_paths) if data.labeled else None
  sizes = loading.sizes(data)

  def read(element: tf.Tensor) -> Example:
    index, wanted = choose(domain, seed, element)
    uniform = lambda purpose, shape=(): sampling.Stream(
      seed, domain.name, purpose
    ).uniform(element, shape)
    size = sizes[index]
    image = transforms.read_image(images[index], data.channels)
    image = loading.of_size(image, size)
    factor = 1.0
    if spec.scale_range != (1.0, 1.0):
      low, high = spec.scale_range
      factor = low + (high - low) * uniform(sampling.SCALE)
    full = transforms.resized_size(tf.shape(image)[:2], spec, factor)
    shares = uniform(sampling.CROP, (crop_rules.DRAWS, crop_rules.DRAWS, 2))
    label = None
    if labels is None:
      window = crop_rules.crop_window(shares[0, 0], full, spec)
    else:
      label = loading.of_size(transforms.read_label(labels[index]), size)
      if wanted is not None:
        # Resized once, each of the many crops drawn is a slice.
        whole = cutting.Window(tf.zeros(2, tf.int32), full, full)
        label = cutting.cut_label(label, whole, spec.resize)
      window = crop_rules.choose_window(
        shares, label, full, spec, len(data.class_names), wanted
      )
    flip = spec.flip & (uniform(sampling.FLIP) < 0.5)
    values = transforms.example(image, label, window, flip, spec)
    return values | {'index': tf.cast(index, tf.int32)}

  return read
