"""Training examples: pure functions of (seed, element)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from uda_jax.data import crop_rules
from uda_jax.data import loading
from uda_jax.data import manifest as manifest_lib
from uda_jax.data import sampling
from uda_jax.data import transforms

Example = dict[str, tf.Tensor]


class Domain(NamedTuple):
  """A data set and how its images are read.

  Attributes:
    data: the manifest.
    spec: how images become examples.
    name: sampling.SOURCE or sampling.TARGET.
    field: the config field of the image size, for messages.
    rare: tables of rare-class sampling, None = every image once an epoch.
    rare_pixels: with `rare`, the pixels of the class that a crop must exceed.
  """

  data: manifest_lib.Manifest
  spec: transforms.Spec
  name: str
  field: str
  rare: sampling.RareClasses | None = None
  rare_pixels: float = 0.0


def domains(
  config: Any, source: manifest_lib.Manifest, target: manifest_lib.Manifest
) -> tuple[Domain, Domain]:
  """Reads `config.data` and checks it against the images.

  Args:
    config: the `data` block of a config.
    source: labelled images.
    target: images, unlabelled unless a method labelled them itself (LSE).

  Returns:
    The source and the target domain.
  """
  spec = spec_of(config)
  rare = None
  if config.rare_class.temperature > 0:
    rare = sampling.rare_classes(
      source.class_pixels,
      temperature=config.rare_class.temperature,
      min_pixels=config.rare_class.min_pixels,
    )
  source_domain = Domain(
    source,
    spec._replace(
      image_size=tuple(config.source_image_size),
      max_class_share=config.max_class_share,
    ),
    sampling.SOURCE,
    'source_image_size',
    rare,
    _rare_pixels(config, source),
  )
  target_domain = Domain(
    target,
    spec._replace(
      image_size=tuple(config.target_image_size), margins=tuple(config.margins)
    ),
    sampling.TARGET,
    'target_image_size',
  )
  return _checked(source_domain), _checked(target_domain)


def labeled_domain(config: Any, data: manifest_lib.Manifest) -> Domain:
  """Returns the labelled part of the target, which is cut as the target is.

  Args:
    config: the `data` block of a config.
    data: its images, with labels.
  """
  spec = spec_of(config)._replace(image_size=tuple(config.target_image_size))
  return _checked(Domain(data, spec, sampling.LABELED, 'target_image_size'))


def spec_of(config: Any) -> transforms.Spec:
  """Returns what both domains share of the transforms of `config.data`."""
  if config.resize not in transforms.RESIZE:
    raise ValueError(
      'config.data.resize: expected one of '
      f'{sorted(transforms.RESIZE)}, got {config.resize!r}'
    )
  return transforms.Spec(
    keep_ratio=config.keep_ratio,
    resize=config.resize,
    crop_size=tuple(config.crop_size),
    scale_range=tuple(config.scale_range),
    flip=config.flip,
    pad=config.pad,
  )


def _rare_pixels(config: Any, source: manifest_lib.Manifest) -> float:
  """Returns the pixels of a rare class that a crop must exceed."""
  rare = config.rare_class
  pixels = rare.min_pixels * rare.min_crop_ratio
  if rare.min_pixels >= 1:
    return pixels
  size = (
    config.crop_size
    if any(config.crop_size)
    else (source.heights[0], source.widths[0])
  )
  return pixels * float(np.prod(size))


def _checked(domain: Domain) -> Domain:
  """Raises if images are smaller than the crop, or differ without a crop."""
  data, spec = domain.data, domain.spec
  sizes = np.stack([data.heights, data.widths], 1)
  if (sizes == spec.image_size).all():
    # Nothing to resize: a good deal less to do for every image.
    spec = spec._replace(image_size=(0, 0))
  full = transforms.resized_size(sizes, spec, spec.scale_range[0]).numpy()
  if not any(spec.crop_size):
    if spec.scale_range != (1.0, 1.0) or len(np.unique(full, axis=0)) > 1:
      raise ValueError(
        'config.data.crop_size: expected a size, because the images of '
        f'{data.name} differ in size after config.data.{domain.field} and '
        'config.data.scale_range, got (0, 0)'
      )
    return domain._replace(spec=spec)
  small = np.flatnonzero((full < spec.crop_size).any(1))
  if small.size and not spec.pad:
    first = small[0]
    raise ValueError(
      'config.data.crop_size: expected at most '
      f'{tuple(full[first].tolist())}, the smallest size that '
      f'{data.image_paths[first]} is resized to, got {spec.crop_size}; use a '
      f'smaller crop, a larger config.data.{domain.field} or '
      'config.data.scale_range, or config.data.pad=True'
    )
  return domain._replace(spec=spec)


def choose(
  domain: Domain, seed: int, element: tf.Tensor
) -> tuple[tf.Tensor, crop_rules.Wanted | None]:
  """Returns which image an element is, and what its crop must hold.

  Args:
    domain: what to choose from.
    seed: of the run.
    element: int64 scalar k.

  Returns:
    int64 scalar index, and a rare class that was asked for (or None).
  """
  if domain.rare is None:
    return sampling.permuted_index(
      seed, domain.name, element, len(domain.data.image_paths)
    ), None
  index, class_id = sampling.rare_index(seed, domain.name, element, domain.rare)
  return index, crop_rules.Wanted(class_id, domain.rare_pixels)


def reader(domain: Domain, seed: int) -> Callable[[tf.Tensor], Example]:
  """Makes the function from an element's number to its example.

  Args:
    domain: where and how to read.
    seed: of the run.

  Returns:
    `read(element)`: int64 scalar k to a dict of 'image' uint8 [H, W, N],
    'label' uint8 [H, W] if there are labels, 'valid_mask' bool [H, W] and
    'index'
    int32, a pure function of (seed, k).
  """
  data, spec = domain.data, domain.spec
  # Held as constants of the graph: each is a few megabytes at most.
  images = transforms.path_tensor(data.image_paths)
  labels = transforms.path_tensor(data.label_paths) if data.labelled else None
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
        whole = transforms.Window(tf.zeros(2, tf.int32), full, full)
        label = transforms.cut_label(label, whole, spec.resize)
      window = crop_rules.choose_window(
        shares, label, full, spec, len(data.class_names), wanted
      )
    flip = spec.flip & (uniform(sampling.FLIP) < 0.5)
    values = transforms.example(image, label, window, flip, spec)
    return values | {'index': tf.cast(index, tf.int32)}

  return read
