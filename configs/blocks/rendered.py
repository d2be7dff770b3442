"""Records of rendered data sets, which need no files."""

import ml_collections

ConfigDict = ml_collections.ConfigDict


def streets(
  split: str,
  *,
  num_images: int,
  gap: tuple[float, float],
  image_size: tuple[int, int] = (96, 192),
) -> ConfigDict:
  """Rendered scenes; see `uda_jax.data.streets.record.StreetsRecord`."""
  return ConfigDict(
    dict(
      kind='streets',
      split=split,
      num_images=num_images,
      gap=gap,
      image_size=image_size,
      seed=0,
      name=f'streets {split}',
    )
  )


def town(split: str, *, num_images: int) -> ConfigDict:
  """Rendered scenes; see `uda_jax.data.town.record.TownRecord`."""
  return ConfigDict(
    dict(
      kind='town',
      split=split,
      num_images=num_images,
      without=(),
      image_size=(160, 214),
      seed=0,
      name=f'town {split}',
    )
  )


def cells(split: str, *, num_images: int, lab: str) -> ConfigDict:
  """Rendered cells; see `uda_jax.data.cells.record.CellsRecord`."""
  return ConfigDict(
    dict(
      kind='cells',
      split=split,
      num_images=num_images,
      lab=lab,
      image_size=(96, 96),
      seed=0,
      name=f'cells {split}',
    )
  )
