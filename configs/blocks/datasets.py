"""Records of data sets: paths of their files, and meaning of their labels.

Published data sets keep their layout, one folder each under `config.data.root`:
gta5, synthia, synscapes, cityscapes, acdc, dark_zurich, bdd100k, mapillary,
wilddash.
"""

from collections.abc import Mapping
from typing import Any

import ml_collections

from uda_jax import labels

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


def folder(**fields: Any) -> ConfigDict:
  """A data set in a folder; see `uda_jax.data.folder_record.FolderRecord`."""
  defaults = dict(
    kind='folder',
    name='folder',
    root='',
    images='',
    labels='',
    files=(),
    skip_last=0,
    class_names=(),
    palette=(),
    label_map=(),
    ignore_ids=(labels.IGNORE_LABEL,),
    label_channel=-1,
    label_colors=(),
    resize_labels=False,
    value_range=(),
    published_images=0,
    published_size=(0, 0),
  )
  return ConfigDict(defaults | fields)


def camvid(split: str, *, skip_last: int = 0) -> ConfigDict:
  """CamVid with its 11 classes, without its last images."""
  return folder(
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
  return folder(
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


def _street_classes(table: Mapping[int, int]) -> dict[str, Any]:
  """The 19 classes of Cityscapes; all other raw ids are ignored."""
  return dict(
    class_names=labels.CITYSCAPES_CLASSES,
    palette=labels.CITYSCAPES_PALETTE,
    **id_fields(table),
  )


def id_fields(table: Mapping[int, int]) -> dict[str, Any]:
  """The fields of a table raw id -> train id; other raw ids are ignored."""
  return dict(
    label_map=tuple(sorted(table.items())),
    ignore_ids=tuple(i for i in range(256) if i not in table),
  )


def gta5() -> ConfigDict:
  """GTA5; a few of its labels have another size than their image."""
  return folder(
    name='GTA5',
    root='gta5',
    images='images/*.png',
    labels='labels/*.png',
    resize_labels=True,
    published_images=24966,
    published_size=(1052, 1914),
    **_street_classes(labels.GTA5_IDS),
  )


def synthia() -> ConfigDict:
  """SYNTHIA, which has 16 of the 19 classes."""
  return folder(
    name='SYNTHIA-RAND-CITYSCAPES',
    root='synthia',
    images='RGB/*.png',
    labels='GT/LABELS/*.png',
    label_channel=0,
    published_images=9400,
    published_size=(760, 1280),
    **_street_classes(labels.SYNTHIA_IDS),
  )


def cityscapes(split: str) -> ConfigDict:
  """Cityscapes with fine labels."""
  return folder(
    name=f'Cityscapes {split}',
    root='cityscapes',
    images=f'leftImg8bit/{split}/*/*_leftImg8bit.png',
    labels=f'gtFine/{split}/*/*_gtFine_labelIds.png',
    published_images={'train': 2975, 'val': 500}[split],
    published_size=(1024, 2048),
    **_street_classes(labels.CITYSCAPES_IDS),
  )


def _train_ids(**fields: Any) -> ConfigDict:
  """Images of 1080 x 1920 whose label files hold train ids."""
  return folder(
    published_size=(1080, 1920),
    class_names=labels.CITYSCAPES_CLASSES,
    palette=labels.CITYSCAPES_PALETTE,
    **fields,
  )


def acdc(split: str) -> ConfigDict:
  """ACDC: fog, night, rain and snow."""
  return _train_ids(
    name=f'ACDC {split}',
    root='acdc',
    images=f'rgb_anon/*/{split}/*/*_rgb_anon.png',
    labels=f'gt/*/{split}/*/*_gt_labelTrainIds.png',
    published_images={'train': 1600, 'val': 406}[split],
  )


def dark_zurich(split: str) -> ConfigDict:
  """Dark Zurich by night."""
  return _train_ids(
    name=f'Dark Zurich {split} night',
    root='dark_zurich',
    images=f'rgb_anon/{split}/night/*/*_rgb_anon.png',
    labels=f'gt/{split}/night/*/*_gt_labelTrainIds.png',
    published_images={'train': 2416, 'val': 50}[split],
  )


def synscapes() -> ConfigDict:
  """Synscapes at its own size; its labels have the ids of Cityscapes."""
  return folder(
    name='Synscapes',
    root='synscapes',
    images='img/rgb/*.png',
    labels='img/class/*.png',
    resize_labels=True,
    published_images=25000,
    published_size=(720, 1440),
    **_street_classes(labels.CITYSCAPES_IDS),
  )


def bdd100k(split: str) -> ConfigDict:
  """BDD100K, the 10k images with semantic labels, which are train ids."""
  return folder(
    name=f'BDD100K {split}',
    root='bdd100k',
    images=f'images/10k/{split}/*.jpg',
    labels=f'labels/sem_seg/masks/{split}/*.png',
    published_images={'train': 7000, 'val': 1000}[split],
    published_size=(720, 1280),
    class_names=labels.CITYSCAPES_CLASSES,
    palette=labels.CITYSCAPES_PALETTE,
  )


def mapillary(split: str) -> ConfigDict:
  """Mapillary Vistas with its labels of version 1.2; images of many sizes."""
  folder_name = {'train': 'training', 'val': 'validation'}[split]
  return folder(
    name=f'Mapillary Vistas {split}',
    root='mapillary',
    images=f'{folder_name}/images/*.jpg',
    labels=f'{folder_name}/v1.2/labels/*.png',
    published_images={'train': 18000, 'val': 2000}[split],
    **_street_classes(labels.MAPILLARY_IDS),
  )


def wilddash() -> ConfigDict:
  """WildDash 2's public images, which are one split."""
  return folder(
    name='WildDash 2',
    root='wilddash',
    images='images/*.jpg',
    labels='labels/*.png',
    published_images=4256,
    published_size=(1080, 1920),
    **_street_classes(labels.WILDDASH_IDS),
  )
