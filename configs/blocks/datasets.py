"""Records of data sets: paths of their files, and meaning of their labels.

Published data sets keep their layout, one folder each under `config.data.root`:
gta5, synthia, synscapes, cityscapes, acdc, dark_zurich, bdd100k, mapillary,
wilddash; the small ones are in `laptop_datasets`.
"""

from collections.abc import Mapping
from typing import Any

import ml_collections

from uda_jax import labels

ConfigDict = ml_collections.ConfigDict


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
