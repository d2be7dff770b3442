"""Your own two folders: A with labels, B without. Edit this file alone.

docs/custom.md walks through it; docs/datasets.md has all fields of a record.
Folders are relative to --config.data.root=DIR.
"""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import datasets
from uda_jax.configs.blocks import networks

# The names of the classes 0, 1, ...; two or more, up to 254.
CLASS_NAMES = ('background', 'car')

# One (red, green, blue) for each class in pictures; () = a standard palette.
PALETTE = ()

# How label files encode classes. By default pixels hold 0, 1, ... and 255 for
# unknown. Otherwise fill in one of the two:
# rows (id in the file, class), and the ids without a class
LABEL_MAP = ()
IGNORE_IDS = (255,)
# or rows ((red, green, blue), class); class 255 = ignore.
LABEL_COLORS = ()


def _folder(name: str, images: str, labels: str = ''):
  """A data set whose images and labels are paired by what * matches."""
  return datasets.folder(
    name=name,
    images=images,
    labels=labels,
    class_names=CLASS_NAMES,
    palette=PALETTE,
    label_map=LABEL_MAP,
    ignore_ids=IGNORE_IDS,
    label_colors=LABEL_COLORS,
    # True: labels of another size are resized to their image.
    resize_labels=False,
  )


def get_config():
  """A run without a method."""
  config = common.run(steps=2000)
  config.data = benchmarks.block(
    # Image files of any format and size.
    source=_folder('A', 'A/images/*', 'A/labels/*'),
    target=_folder('B', 'B/images/*'),
    # The images that are scored: if possible a few labeled images of B that are
    # not trained on. Scores on A show whether training works, but not how well
    # the network does on B.
    evaluation=_folder('A', 'A/images/*', 'A/labels/*'),
    # (height, width) that images are resized to fit into, with their ratio
    # kept. Crops are cut from the result; smaller images are padded, and the
    # padding is ignored. Scoring, prediction and export use the target's size.
    source_image_size=(360, 640),
    target_image_size=(360, 640),
    keep_ratio=True,
    crop_size=(256, 256),
    pad=True,
    # Rare classes are drawn more often, more so with a smaller temperature
    # (0 = off), from images with more than `min_pixels` of the class.
    rare_class=dict(temperature=0.5, min_pixels=0.01, min_crop_ratio=0.5),
  )
  config.model = networks.efficientnet_lite0()
  config.optim = common.adamw(
    weight_decay=1e-2, clip_norm=5.0, groups=(('decoder', 5.0, 1.0),)
  )
  config.schedule = common.poly(
    learning_rate=1e-3, warmup_steps=50, warmup_ratio=1e-2
  )
  config.teacher = common.no_teacher()
  return config
