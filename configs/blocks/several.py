"""Several data sets as one part of a run, and published ones by name."""

from collections.abc import Callable
from typing import Any

import ml_collections

from uda_jax.configs.blocks import datasets

ConfigDict = ml_collections.ConfigDict

# Name -> the published data set as a part of a run, with the 19 classes of
# Cityscapes. A set is missing as a part that it has no labels or images for.
NAMED: dict[str, dict[str, Callable[[], ConfigDict]]] = {
  'gta5': {'source': datasets.gta5},
  'synthia': {'source': datasets.synthia},
  'synscapes': {'source': datasets.synscapes},
  'cityscapes': {
    'source': lambda: datasets.cityscapes('train'),
    'target': lambda: datasets.cityscapes('train'),
    'evaluation': lambda: datasets.cityscapes('val'),
  },
  'acdc': {
    'source': lambda: datasets.acdc('train'),
    'target': lambda: datasets.acdc('train'),
    'evaluation': lambda: datasets.acdc('val'),
  },
  'dark_zurich': {
    'target': lambda: datasets.dark_zurich('train'),
    'evaluation': lambda: datasets.dark_zurich('val'),
  },
  'bdd100k': {
    'source': lambda: datasets.bdd100k('train'),
    'target': lambda: datasets.bdd100k('train'),
    'evaluation': lambda: datasets.bdd100k('val'),
  },
  'mapillary': {
    'source': lambda: datasets.mapillary('train'),
    'target': lambda: datasets.mapillary('train'),
    'evaluation': lambda: datasets.mapillary('val'),
  },
  'wilddash': {'evaluation': datasets.wilddash},
}


def sets(**records: ConfigDict) -> ConfigDict:
  """Several data sets as one part of a run, by their names.

  Each gets a `weight`, its share of the batches relative to the others, and
  `resize_to`, which replaces the part's image size if it is not (0, 0). Both
  may be among the fields of a set already.
  """
  defaults = dict(weight=1.0, resize_to=(0, 0))
  return ConfigDict(
    {name: defaults | record.to_dict() for name, record in records.items()}
  )


def weighted(record: ConfigDict, weight: float, **fields: Any) -> ConfigDict:
  """A set of `sets` with its weight, and `resize_to`."""
  return ConfigDict(record.to_dict() | dict(weight=float(weight)) | fields)


def named(part: str, text: str) -> ConfigDict:
  """The published data sets of a list 'NAME[:WEIGHT],NAME[:WEIGHT],...'.

  Args:
    part: 'source', 'target' or 'evaluation'.
    text: the list; one name without a weight is the data set alone.

  Raises:
    ValueError: there is no such data set, or a weight is no number.
  """
  field, found = f'config.data.{part}', {}
  for word in text.split(','):
    name, colon, weight = word.strip().partition(':')
    if part not in NAMED.get(name, {}):
      known = [name for name in NAMED if part in NAMED[name]]
      raise ValueError(
        f'{field}: expected names of {known} with commas, such as '
        f'{known[0]},{known[1]}:2, got {name!r}'
      )
    if name in found:
      raise ValueError(f'{field}: expected each name once, got {name!r} twice')
    try:
      found[name] = weighted(NAMED[name][part](), float(weight or 1))
    except ValueError:
      raise ValueError(
        f'{field}: expected a number after {name!r}:, got {weight!r}'
      ) from None
    if not colon and text.strip() == name:
      return NAMED[name][part]()
  return sets(**found)
