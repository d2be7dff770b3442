"""The data blocks of the benchmarks."""

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
# Of the lists in docs/datasets.md.
_CAMVID_IMAGES = {'day_train': 406, 'dusk_train': 62, 'dusk_test': 62}


def block(source, target, evaluation, **fields) -> ConfigDict:
  """The fields of every data block; `fields` override the defaults."""
  config = ConfigDict(
    dict(
      # Folder that holds the data sets; their own paths are relative to it.
      root='',
      # Where label maps and manifests that are made once are kept.
      cache_dir='~/.cache/uda_jax',
      source=source,
      target=target,
      evaluation=evaluation,
      # (height, width) that images are resized to; (0, 0): as the files are.
      # `eval_image_size` serves scoring, prediction and export; (0, 0) there:
      # the target's size. See `data.image_size`.
      source_image_size=(0, 0),
      target_image_size=(0, 0),
      eval_image_size=(0, 0),
      keep_ratio=False,
      resize='bilinear',
      # Train on copies of source and target that were resized once: the same
      # pixels, faster where images are large.
      resized_copies=False,
      crop_size=(0, 0),
      scale_range=(1.0, 1.0),
      pad=False,
      flip=True,
      # A source crop whose commonest class has this share is drawn again.
      max_class_share=1.0,
      # Rows and columns of the target that are never trusted: top, bottom,
      # left, right.
      margins=(0, 0, 0, 0),
      # Rare-class sampling of the source; temperature 0 = off. `min_pixels`
      # below 1 is a share of the image's labelled pixels, and of the crop's.
      rare_class=dict(temperature=0.0, min_pixels=0.0, min_crop_ratio=0.0),
      # Two overlapping crops of further target images, (0, 0) = none: see
      # `data.pair_crops`.
      pair=dict(
        crop_size=(0, 0),
        long_side=(0, 0),
        overlap=(0.1, 1.0),
        stride=8,
        group_size=2,
        first_step=0,
      ),
    )
  )
  config.update(fields)
  return config


def streets() -> ConfigDict:
  """Rendered scenes: from a clean game style to a camera-like style."""

  def split(name, num_images, gap):
    return ConfigDict(
      dict(
        kind='streets',
        split=name,
        num_images=num_images,
        gap=gap,
        image_size=(96, 192),
        seed=0,
        name=f'streets {name}',
      )
    )

  game, camera = (0.0, 0.0), (0.2, 0.8)
  return block(
    split('source_train', 400, game),
    split('target_train', 400, camera),
    split('target_test', 100, camera),
    crop_size=(96, 192),
  )


def _camvid(split: str, label_map, class_names, palette, skip_last=0):
  return ConfigDict(
    dict(
      kind='folder',
      name=f'CamVid {split}',
      root='camvid',
      images='images/*.jpg',
      labels='labels/*.png',
      files=f'{split}.txt',
      skip_last=skip_last,
      class_names=class_names,
      palette=palette,
      label_map=label_map,
      ignore_ids=(255,),
      published_images=_CAMVID_IMAGES[split] - skip_last,
      published_size=(360, 480),
    )
  )


def _idd(split: str):
  return ConfigDict(
    dict(
      kind='folder',
      name=f'IDD-Lite {split}',
      root='idd_lite',
      images='images/*.jpg',
      labels='labels/*.png',
      files=f'{split}.txt',
      skip_last=0,
      class_names=_IDD,
      palette=_IDD_PALETTE,
      label_map=(),
      ignore_ids=(255,),
      published_images={'train': 1403, 'val': 204}[split],
      published_size=(227, 320),
    )
  )


def camvid_to_idd() -> ConfigDict:
  """Cambridge by day to Indian roads, 7 classes."""
  return block(
    _camvid('day_train', _CAMVID_TO_IDD, _IDD, _IDD_PALETTE),
    _idd('train'),
    _idd('val'),
    source_image_size=(160, 214),
    target_image_size=(152, 214),
    eval_image_size=(152, 214),
    crop_size=(128, 176),
    scale_range=(0.9, 1.4),
  )


def camvid_day_to_dusk() -> ConfigDict:
  """Cambridge by day to Cambridge at dusk, 11 classes.

  The last 5 frames of dusk_train show the scene in which dusk_test begins.
  """
  return block(
    _camvid('day_train', (), _CAMVID, _CAMVID_PALETTE),
    _camvid('dusk_train', (), _CAMVID, _CAMVID_PALETTE, skip_last=5),
    _camvid('dusk_test', (), _CAMVID, _CAMVID_PALETTE),
    source_image_size=(160, 214),
    target_image_size=(160, 214),
    eval_image_size=(160, 214),
    crop_size=(128, 176),
    scale_range=(0.9, 1.4),
  )


def as_oracle(data: ConfigDict) -> ConfigDict:
  """The same benchmark with the target's training labels as the source.

  For the upper bound only: this is the one place where they are read.
  """
  data.source = data.target.copy_and_resolve_references()
  data.source_image_size = data.target_image_size
  return data


# The published benchmarks. Files lie as their publishers have them, one folder
# a data set under `data.root`: gta5, synthia, cityscapes, acdc, dark_zurich.
# `sizes` are the fields source_image_size, target_image_size,
# eval_image_size, crop_size, ..., which differ from paper to paper.


def _street_classes(table, raw_ids) -> dict:
  """The 19 classes; all other raw ids are ignored."""
  return dict(
    class_names=labels.CITYSCAPES_CLASSES,
    palette=labels.CITYSCAPES_PALETTE,
    label_map=tuple(sorted(table.items())),
    ignore_ids=tuple(i for i in raw_ids if i not in table),
  )


def _gta5():
  # A few labels have another size than their image.
  return ConfigDict(
    dict(
      kind='folder',
      name='GTA5',
      root='gta5',
      images='images/*.png',
      labels='labels/*.png',
      resize_labels=True,
      published_images=24966,
      published_size=(1052, 1914),
      **_street_classes(labels.GTA5_IDS, range(256)),
    )
  )


def _synthia():
  return ConfigDict(
    dict(
      kind='folder',
      name='SYNTHIA-RAND-CITYSCAPES',
      root='synthia',
      images='RGB/*.png',
      labels='GT/LABELS/*.png',
      label_channel=0,
      published_images=9400,
      published_size=(760, 1280),
      **_street_classes(labels.SYNTHIA_IDS, range(256)),
    )
  )


def _cityscapes(split: str):
  return ConfigDict(
    dict(
      kind='folder',
      name=f'Cityscapes {split}',
      root='cityscapes',
      images=f'leftImg8bit/{split}/*/*_leftImg8bit.png',
      labels=f'gtFine/{split}/*/*_gtFine_labelIds.png',
      published_images={'train': 2975, 'val': 500}[split],
      published_size=(1024, 2048),
      **_street_classes(labels.CITYSCAPES_IDS, range(256)),
    )
  )


def _train_ids(name: str, root: str, images: str, truth: str, published: int):
  return ConfigDict(
    dict(
      kind='folder',
      name=name,
      root=root,
      images=images,
      labels=truth,
      published_images=published,
      published_size=(1080, 1920),
      class_names=labels.CITYSCAPES_CLASSES,
      palette=labels.CITYSCAPES_PALETTE,
      label_map=(),
      ignore_ids=(255,),
    )
  )


def _acdc(split: str):
  return _train_ids(
    f'ACDC {split}',
    'acdc',
    f'rgb_anon/*/{split}/*/*_rgb_anon.png',
    f'gt/*/{split}/*/*_gt_labelTrainIds.png',
    {'train': 1600, 'val': 406}[split],
  )


def _dark_zurich(split: str):
  return _train_ids(
    f'Dark Zurich {split} night',
    'dark_zurich',
    f'rgb_anon/{split}/night/*/*_rgb_anon.png',
    f'gt/{split}/night/*/*_gt_labelTrainIds.png',
    {'train': 2416, 'val': 50}[split],
  )


def gta5_to_cityscapes(**sizes) -> ConfigDict:
  """A game to German streets, 19 classes."""
  return block(_gta5(), _cityscapes('train'), _cityscapes('val'), **sizes)


def synthia_to_cityscapes(**sizes) -> ConfigDict:
  """A simulator, which has 16 of the 19 classes, to German streets."""
  return block(_synthia(), _cityscapes('train'), _cityscapes('val'), **sizes)


def synthia_16_to_cityscapes(**sizes) -> ConfigDict:
  """The same with the 16 classes alone, numbered anew in both domains."""
  data = synthia_to_cityscapes(**sizes)
  take = lambda rows: tuple(rows[c] for c in labels.SUBSET_16)
  for name, table in (
    ('source', labels.SYNTHIA_16_IDS),
    ('target', labels.CITYSCAPES_16_IDS),
    ('evaluation', labels.CITYSCAPES_16_IDS),
  ):
    data[name].update(
      class_names=take(labels.CITYSCAPES_CLASSES),
      palette=take(labels.CITYSCAPES_PALETTE),
      label_map=tuple(sorted(table.items())),
      ignore_ids=tuple(i for i in range(256) if i not in table),
    )
  return data


def synthia_16_means() -> ConfigDict:
  """`eval.subsets` of the 16 classes: those that older papers report."""
  places = tuple(labels.SUBSET_16.index(c) for c in labels.SUBSET_13)
  return ConfigDict({'13 classes': places})


def synthia_means() -> ConfigDict:
  """`eval.subsets` of SYNTHIA: the classes that it has, and fewer."""
  return ConfigDict(
    {'16 classes': labels.SUBSET_16, '13 classes': labels.SUBSET_13}
  )


def cityscapes_to_acdc(**sizes) -> ConfigDict:
  """Clear days to fog, night, rain and snow."""
  return block(_cityscapes('train'), _acdc('train'), _acdc('val'), **sizes)


def cityscapes_to_dark_zurich(**sizes) -> ConfigDict:
  """Days to nights."""
  return block(
    _cityscapes('train'), _dark_zurich('train'), _dark_zurich('val'), **sizes
  )


# Published data sets by themselves, as `uda_jax.data.prepare --dataset` takes
# them: in the part of a run that they usually are.
DATASETS = {
  'gta5': lambda: block(_gta5(), None, None),
  'synthia': lambda: block(_synthia(), None, None),
  'cityscapes': lambda: block(None, _cityscapes('train'), _cityscapes('val')),
  'acdc': lambda: block(None, _acdc('train'), _acdc('val')),
  'dark_zurich': lambda: block(
    None, _dark_zurich('train'), _dark_zurich('val')
  ),
  'camvid': camvid_day_to_dusk,
  'idd_lite': lambda: block(None, _idd('train'), _idd('val')),
}
