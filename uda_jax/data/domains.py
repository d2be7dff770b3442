"""The domains of training: which images, and how they become examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from uda_jax.data import cutting
from uda_jax.data import manifest as manifest_lib
from uda_jax.data import sampling
from uda_jax.data import several
from uda_jax.data import transforms


class Domain(NamedTuple):
  """A data set and how its images are read.

  Attributes:
    data: the manifest.
    spec: how images become examples.
    name: of its draws: sampling.SOURCE, sampling.TARGET, ...
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


class Mixture(NamedTuple):
  """Several data sets, which take turns.

  Attributes:
    data: the manifest of all of them.
    name: as of `Domain`.
    members: each set with its own rule.
    turns: whose turn it is.
  """

  data: manifest_lib.Manifest
  name: str
  members: tuple[Domain, ...]
  turns: several.Turns


def domains(
  config: Any, source: manifest_lib.Manifest, target: manifest_lib.Manifest
) -> tuple[Domain | Mixture, Domain | Mixture]:
  """Reads `config.data` and checks it against the images.

  Args:
    config: the `data` block of a config.
    source: labeled images.
    target: images, unlabeled unless a method labeled them itself (LSE).

  Returns:
    The source and the target domain.
  """
  spec = spec_of(config)
  return (
    _domain(
      config,
      source,
      spec._replace(max_class_share=config.max_class_share),
      sampling.SOURCE,
      rare=config.rare_class.temperature > 0,
    ),
    _domain(
      config,
      target,
      spec._replace(margins=tuple(config.margins)),
      sampling.TARGET,
    ),
  )


def labeled_domain(
  config: Any, data: manifest_lib.Manifest
) -> Domain | Mixture:
  """Returns the labeled part of the target, which is cut as the target is.

  Args:
    config: the `data` block of a config.
    data: its images, with labels.
  """
  return _domain(config, data, spec_of(config), sampling.LABELED)


def _domain(
  config: Any,
  data: manifest_lib.Manifest,
  spec: transforms.Spec,
  name: str,
  *,
  rare: bool = False,
) -> Domain | Mixture:
  """Returns a domain of one data set, or of several that take turns."""
  part = 'source' if name == sampling.SOURCE else 'target'
  field = f'{part}_image_size'
  spec = spec._replace(image_size=tuple(config[field]))

  def single(data, name, spec, field):
    tables = None
    if rare:
      tables = sampling.rare_classes(
        data.class_pixels,
        temperature=config.rare_class.temperature,
        min_pixels=config.rare_class.min_pixels,
      )
    pixels = _rare_pixels(config, data)
    return _checked(Domain(data, spec, name, field, tables, pixels))

  if not data.sets:
    return single(data, name, spec, field)
  members = []
  for one, own in zip(data.sets, manifest_lib.split(data)):
    own_spec, own_field = spec, field
    if any(one.resize_to):
      own_spec = spec._replace(image_size=one.resize_to)
      own_field = f'{part}.{one.name}.resize_to'
    own_name = several.stream(name, one.name)
    members.append(single(own, own_name, own_spec, own_field))
  _check_one_size(members, part)
  turns = several.turns([one.weight for one in data.sets])
  return Mixture(data, name, tuple(members), turns)


def _check_one_size(members: Sequence[Domain], part: str) -> None:
  """Raises unless images without a crop have one size in all sets."""
  if any(members[0].spec.crop_size):
    return
  sizes = {}
  for member in members:
    size = (int(member.data.heights[0]), int(member.data.widths[0]))
    full = transforms.resized_size(np.array(size), member.spec, 1.0)
    sizes[member.data.name] = tuple(full.numpy().tolist())
  if len(set(sizes.values())) > 1:
    raise ValueError(
      'config.data.crop_size: expected a size, because the sets of '
      f'config.data.{part} differ in size without a crop ({sizes}), got (0, 0)'
    )


def spec_of(config: Any) -> transforms.Spec:
  """Returns what both domains share of the transforms of `config.data`."""
  if config.resize not in cutting.RESIZE:
    raise ValueError(
      'config.data.resize: expected one of '
      f'{sorted(cutting.RESIZE)}, got {config.resize!r}'
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
  _check_margins(domain, full)
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
      f'{data.originals[first]} is resized to, got {spec.crop_size}; use a '
      f'smaller crop, a larger config.data.{domain.field} or '
      'config.data.scale_range, or config.data.pad=True'
    )
  return domain._replace(spec=spec)


def _check_margins(domain: Domain, full: np.ndarray) -> None:
  """Raises if margins in pixels cover all of an image, [N, 2] as resized."""
  margins = np.array(domain.spec.margins)
  if margins.max() < 1:
    return
  covered = (full <= margins.reshape(2, 2).sum(1)).any(1)
  if covered.any():
    first = np.flatnonzero(covered)[0]
    raise ValueError(
      'config.data.margins: expected rows and columns that leave a part of '
      f'{domain.data.originals[first]}, which is resized to '
      f'{tuple(full[first].tolist())}, got {domain.spec.margins}'
    )
