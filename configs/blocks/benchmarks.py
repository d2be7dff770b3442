"""Data of the benchmarks: source, target and evaluation, sizes and crops."""

import ml_collections

from uda_jax import labels
from uda_jax.configs.blocks import datasets
from uda_jax.configs.blocks import laptop_datasets
from uda_jax.configs.blocks import rendered
from uda_jax.configs.blocks import several

ConfigDict = ml_collections.ConfigDict


def block(source, target, evaluation, **fields) -> ConfigDict:
  """The block `data`; `fields` override the defaults."""
  config = ConfigDict(
    dict(
      # Folder of the data sets; their own paths are relative to it.
      root='',
      # Cache of label maps and manifests, which are made once.
      cache_dir='~/.cache/uda_jax',
      # Whether a run may be resumed on other data than before.
      allow_changes=False,
      # What a file does that is damaged or gone during training: 'fail' ends
      # the run, 'skip' puts the next image in its place and lists it.
      on_error='fail',
      source=source,
      target=target,
      evaluation=evaluation,
      # The fraction of the target whose labels are learned from, such as
      # '1/16', '' for none; the weight of that term, 0: no label is read.
      target_labels='',
      target_labels_weight=1.0,
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
      # A source crop is drawn again if one class has at least this fraction.
      max_class_share=1.0,
      # Rows and columns of the target whose pseudo-labels are ignored: top,
      # bottom, left, right; or, all below 1, fractions of its sides.
      margins=(0, 0, 0, 0),
      # Rare-class sampling of the source; temperature 0 = off. `min_pixels`
      # below 1 is a fraction of the labeled pixels of the image or crop.
      rare_class=dict(temperature=0.0, min_pixels=0.0, min_crop_ratio=0.0),
      # Two overlapping crops of further target images, (0, 0) = no crops: see
      # `uda_jax.data.pair_crops`.
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
  game, camera = (0.0, 0.0), (0.2, 0.8)
  return block(
    rendered.streets('source_train', num_images=400, gap=game),
    rendered.streets('target_train', num_images=400, gap=camera),
    rendered.streets('target_test', num_images=100, gap=camera),
    crop_size=(96, 192),
  )


def cells() -> ConfigDict:
  """Rendered cells, stained in one laboratory and in another, 4 classes."""
  return block(
    rendered.cells('source_train', num_images=200, lab='pink'),
    rendered.cells('target_train', num_images=200, lab='violet'),
    rendered.cells('target_test', num_images=100, lab='violet'),
    crop_size=(96, 96),
  )


def camvid_to_idd() -> ConfigDict:
  """Cambridge by day to Indian roads, 7 classes."""
  return block(
    laptop_datasets.camvid_as_idd('day_train'),
    laptop_datasets.idd('train'),
    laptop_datasets.idd('val'),
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
    laptop_datasets.camvid('day_train'),
    laptop_datasets.camvid('dusk_train', skip_last=5),
    laptop_datasets.camvid('dusk_test'),
    source_image_size=(160, 214),
    target_image_size=(160, 214),
    eval_image_size=(160, 214),
    crop_size=(128, 176),
    scale_range=(0.9, 1.4),
  )


def streets_to_camvid() -> ConfigDict:
  """Rendered scenes to Cambridge by day, 11 classes."""
  return block(
    rendered.town('source_train', num_images=800),
    laptop_datasets.camvid_as_streets('day_train'),
    laptop_datasets.camvid_as_streets('day_test'),
    source_image_size=(160, 214),
    target_image_size=(160, 214),
    eval_image_size=(160, 214),
    crop_size=(128, 176),
    scale_range=(0.9, 1.4),
  )


def as_oracle(data: ConfigDict) -> ConfigDict:
  """Returns the benchmark with the target's training labels as the source.

  For the upper bound only: this is the one place where they are read.
  """
  data.source = data.target.copy_and_resolve_references()
  data.source_image_size = data.target_image_size
  return data


# The published benchmarks. `sizes` are the fields source_image_size,
# target_image_size, eval_image_size, crop_size, ..., which differ from paper to
# paper.


def _block(source, target, **sizes) -> ConfigDict:
  """The block of a source and the two splits of a target."""
  return block(source, target('train'), target('val'), **sizes)


def gta5_to_cityscapes(**sizes) -> ConfigDict:
  """A game to German streets, 19 classes."""
  return block(
    datasets.gta5(),
    datasets.cityscapes('train'),
    datasets.cityscapes('val'),
    **sizes,
  )


def synthia_to_cityscapes(**sizes) -> ConfigDict:
  """A simulator, which has 16 of the 19 classes, to German streets."""
  return block(
    datasets.synthia(),
    datasets.cityscapes('train'),
    datasets.cityscapes('val'),
    **sizes,
  )


def synthia_16_to_cityscapes(**sizes) -> ConfigDict:
  """SYNTHIA to Cityscapes with 16 classes, renumbered in both domains."""
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
      **datasets.id_fields(table),
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
  return block(
    datasets.cityscapes('train'),
    datasets.acdc('train'),
    datasets.acdc('val'),
    **sizes,
  )


def cityscapes_to_dark_zurich(**sizes) -> ConfigDict:
  """Days to nights."""
  return block(
    datasets.cityscapes('train'),
    datasets.dark_zurich('train'),
    datasets.dark_zurich('val'),
    **sizes,
  )


def synthetic_to_real(**sizes) -> ConfigDict:
  """Three synthetic sets to five real ones, 19 classes.

  Every image is as likely as any other of its part. GTA5's shorter side is
  1440, as VFM-UDA has it; that of all others is `source_image_size`.
  """
  share = lambda record, **fields: several.weighted(
    record, record.published_images, **fields
  )
  return block(
    several.sets(
      gta5=share(datasets.gta5(), resize_to=(1440, 0)),
      synthia=share(datasets.synthia()),
      synscapes=share(datasets.synscapes()),
    ),
    several.sets(
      cityscapes=share(datasets.cityscapes('train')),
      bdd100k=share(datasets.bdd100k('train')),
      mapillary=share(datasets.mapillary('train')),
      acdc=share(datasets.acdc('train')),
      dark_zurich=share(datasets.dark_zurich('train')),
    ),
    datasets.cityscapes('val'),
    **sizes,
  )


# Published data sets by themselves, as `uda_jax.data.prepare --dataset` takes
# them: in the part of a run that they usually are.
DATASETS = {
  'gta5': lambda: block(datasets.gta5(), None, None),
  'synthia': lambda: block(datasets.synthia(), None, None),
  'cityscapes': lambda: block(
    None, datasets.cityscapes('train'), datasets.cityscapes('val')
  ),
  'acdc': lambda: _block(None, datasets.acdc),
  'dark_zurich': lambda: _block(None, datasets.dark_zurich),
  'synscapes': lambda: block(datasets.synscapes(), None, None),
  'bdd100k': lambda: _block(None, datasets.bdd100k),
  'mapillary': lambda: _block(None, datasets.mapillary),
  'wilddash': lambda: block(None, None, datasets.wilddash()),
  'camvid': camvid_day_to_dusk,
  'idd_lite': lambda: _block(None, laptop_datasets.idd),
}
