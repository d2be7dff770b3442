"""The data sets of a run: read, and prepared if need be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax

from uda_jax import parallel
from uda_jax import types
from uda_jax import words
from uda_jax.data import checks
from uda_jax.data import datasets
from uda_jax.data import label_fraction
from uda_jax.data import prepared


class Data(NamedTuple):
  """The manifests of the data sets of a run.

  Attributes:
    source: with labels.
    target: without labels.
    evaluation: with labels.
    target_labels: the images of the target whose labels are learned from
      (`config.data.target_labels`), None without any.
  """

  source: Any
  target: Any
  evaluation: Any
  target_labels: Any = None

  def parts(self) -> dict[str, Any]:
    """Returns the data sets that there are, by name."""
    return {name: x for name, x in self._asdict().items() if x is not None}


def load(config: types.Config) -> Data:
  """Reads the data sets; all processes prepare them together if need be."""
  if jax.process_count() > 1:
    prepare_share(config)
    parallel.barrier('shares of the data are prepared')
  if jax.process_index() == 0:
    data = read(config)
  parallel.barrier('data is prepared')
  return data if jax.process_index() == 0 else read(config)


def prepare_share(config: types.Config) -> None:
  """Prepares this process's part of the files of the data sets."""
  channels = config.model.in_channels
  recipes = [
    recipe
    for name in datasets.PARTS
    for recipe in datasets.recipes_of_part(config.data, name, channels)
  ]
  if part := label_fraction.part(config.data, config.seed):
    recipes += datasets.recipes_of_labeled(config.data, part, channels)
  for recipe in recipes:
    prepared.prepare_share(
      recipe, config.data.cache_dir, jax.process_index(), jax.process_count()
    )


def read(config: types.Config) -> Data:
  """Reads the data sets in this process alone, and prepares them if need be."""
  channels = config.model.in_channels
  data = Data(
    **{
      name: datasets.load_part(config.data, name, channels)
      for name in datasets.PARTS
    }
  )
  if part := label_fraction.part(config.data, config.seed):
    labeled = datasets.load_labeled(config.data, part, channels)
    data = data._replace(target_labels=labeled)
  checks.need_equal_classes(
    data.source.class_names, data.evaluation.class_names
  )
  return data


def describe(data: Data) -> Iterator[str]:
  """Yields a line on each data set: its name, images and share of batches."""
  for name, part in data.parts().items():
    if not part.sets:
      count = words.counted(len(part.image_paths), 'image')
      yield f'{name}: {part.name}, {count}'
    total = sum(one.weight for one in part.sets)
    for one in part.sets:
      share = f', {one.weight / total:.1%} of the batches'
      yield (
        f'{name} {one.name}: {one.title}, '
        + words.counted(one.stop - one.start, 'image')
        + (share if name != 'evaluation' else '')
      )


def seen_labels(data: Data) -> Iterator[str]:
  """Yields a line on images that are scored and whose labels are learned from.

  Their scores do not show how well a network does on other images.
  """
  scored = set(data.evaluation.originals)
  for name in ('source', 'target_labels'):
    part = getattr(data, name)
    both = scored.intersection(part.originals) if part is not None else ()
    if both:
      yield (
        f'config.data.evaluation: {len(both)} of {len(scored)} images are '
        f'those of config.data.{name}, whose labels are learned from, so that '
        'the scores say little of other images'
      )


def oddities(data: Data) -> Iterator[str]:
  """Yields a line on each kind of thing that makes scores other than meant.

  `prepare` says more; many start without it.
  """
  yield from seen_labels(data)
  uses = {'source': 'learned', 'evaluation': 'scored by their labels'}
  for name, part in data.parts().items():
    if part.labeled and name in uses:
      total = part.class_pixels.sum(0)
      absent = [x for x, n in zip(part.class_names, total) if not n]
      if absent:
        yield (
          f'config.data.{name}: no label shows {", ".join(absent)}, which are '
          f'not {uses[name]}'
        )
    if part.notes:
      yield (
        f'config.data.{name}: {len(part.notes)} note(s) on files, such as '
        f'{part.notes[0]}; python -m uda_jax.data.prepare lists them'
      )
