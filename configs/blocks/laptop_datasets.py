"""Records of data sets that train on a laptop: CamVid and IDD-Lite."""

import ml_collections

from uda_jax.configs.blocks import datasets

ConfigDict = ml_collections.ConfigDict

_CAMVID = (
  'sky',
  'building',
  'pole',
  'road',
  'pavement',
  'tree',
  'sign',
  'fence',
  'car',
  'pedestrian',
  'bicyclist',
)
_CAMVID_PALETTE = (
  (70, 130, 180),
  (70, 70, 70),
  (153, 153, 153),
  (128, 64, 128),
  (244, 35, 232),
  (107, 142, 35),
  (220, 220, 0),
  (190, 153, 153),
  (0, 0, 142),
  (220, 20, 60),
  (119, 11, 32),
)
_STREETS = (
  'road',
  'sidewalk',
  'building',
  'fence',
  'pole',
  'sign',
  'vegetation',
  'sky',
  'person',
  'car',
  'bicycle',
)
_IDD = (
  'drivable',
  'non-drivable',
  'living things',
  'vehicles',
  'roadside objects',
  'far objects',
  'sky',
)
_IDD_PALETTE = (
  (128, 64, 128),
  (244, 35, 232),
  (220, 20, 60),
  (0, 0, 142),
  (190, 153, 153),
  (107, 142, 35),
  (70, 130, 180),
)
# CamVid's classes as the first level of IDD's hierarchy. A bicyclist is a rider
# and a two-wheeler, which IDD keeps apart: ignored.
_CAMVID_TO_IDD = (
  (0, 6),
  (1, 5),
  (2, 4),
  (3, 0),
  (4, 1),
  (5, 5),
  (6, 4),
  (7, 4),
  (8, 3),
  (9, 2),
  (10, 255),
)
# CamVid's classes are those of the rendered streets, by other names.
_CAMVID_TO_STREETS = (
  (0, 7),
  (1, 2),
  (2, 4),
  (3, 0),
  (4, 1),
  (5, 6),
  (6, 5),
  (7, 3),
  (8, 9),
  (9, 8),
  (10, 10),
)
# Of the lists in docs/datasets.md.
_CAMVID_IMAGES = {
  'day_train': 406,
  'day_test': 171,
  'dusk_train': 62,
  'dusk_test': 62,
}


def camvid(split: str, *, skip_last: int = 0) -> ConfigDict:
  """CamVid with its 11 classes, without its last images."""
  return datasets.folder(
    name=f'CamVid {split}',
    root='camvid',
    images='images/*.jpg',
    labels='labels/*.png',
    files=f'{split}.txt',
    skip_last=skip_last,
    class_names=_CAMVID,
    palette=_CAMVID_PALETTE,
    published_images=_CAMVID_IMAGES[split] - skip_last,
    published_size=(360, 480),
  )


def camvid_as_idd(split: str) -> ConfigDict:
  """CamVid with the 7 classes of IDD-Lite."""
  config = camvid(split)
  config.update(
    class_names=_IDD, palette=_IDD_PALETTE, label_map=_CAMVID_TO_IDD
  )
  return config


def camvid_as_streets(split: str) -> ConfigDict:
  """CamVid with the names and numbers of the rendered streets' 11 classes."""
  config = camvid(split)
  palette = [
    _CAMVID_PALETTE[raw]
    for raw, _ in sorted(_CAMVID_TO_STREETS, key=lambda row: row[1])
  ]
  config.update(
    class_names=_STREETS,
    palette=tuple(palette),
    label_map=_CAMVID_TO_STREETS,
  )
  return config


def idd(split: str) -> ConfigDict:
  """IDD-Lite, 7 classes."""
  return datasets.folder(
    name=f'IDD-Lite {split}',
    root='idd_lite',
    images='images/*.jpg',
    labels='labels/*.png',
    files=f'{split}.txt',
    class_names=_IDD,
    palette=_IDD_PALETTE,
    published_images={'train': 1403, 'val': 204}[split],
    published_size=(227, 320),
  )
