"""Label conversion, class statistics and official scores: folder trees."""

from __future__ import annotations

from collections.abc import Iterator
import json
import pathlib
import tempfile
from typing import Any

from etils import epath
import numpy as np
from PIL import Image
import tensorflow as tf

from tests.golden_checks import common
from uda_jax import labels
from uda_jax.configs.blocks import datasets as datasets_blocks
from uda_jax.data import crop_rules
from uda_jax.data import cutting
from uda_jax.data import datasets
from uda_jax.data import label_files
from uda_jax.data import sampling
from uda_jax.data import transforms
from uda_jax.evaluate import __main__ as evaluate
from uda_jax.evaluate import files
from uda_jax.models import preprocessing


def cityscapes_eval(folder: pathlib.Path) -> Iterator[common.Difference]:
  """Every score of the official evaluation, and what the command prints."""
  for record in sorted(folder.rglob('expected.json')):
    for name, golden in json.loads(record.read_text())['cases'].items():
      yield from _case(record.parent / name, golden)


def _case(predictions, golden) -> Iterator[common.Difference]:
  """One folder of predictions; it may be a tree with labels of its own."""
  case, truth = predictions.name, predictions.parent / 'gtFine'
  if (predictions / 'gtFine').is_dir():
    predictions, truth = predictions / 'results', predictions / 'gtFine'
  ours, table = _scored(predictions, truth)
  for key, value in golden.items():
    if key.startswith('printed'):
      continue
    if isinstance(value, dict):
      for name, score in value.items():
        yield (
          f'{case}.{key}.{name}',
          _number(ours[key][name]),
          _number(score),
          1e-9,
          0,
        )
    else:
      yield f'{case}.{key}', _number(ours[key]), _number(value), 1e-9, 0
  yield from _printed(case, table, golden)


def _scored(predictions, truth) -> tuple[dict[str, Any], str]:
  """The scores and the table of `python -m uda_jax.evaluate`."""
  with tempfile.TemporaryDirectory() as folder:
    out = pathlib.Path(folder, 'scores.json')
    args = evaluate.parser().parse_args(
      [
        f'--predictions={predictions}',
        f'--labels={truth}',
        '--ids=cityscapes',
        f'--out={out}',
      ]
    )
    table = files.run(args)
    return json.loads(out.read_text()), table


def _number(value):
  return np.nan if value is None else value


def _printed(case, table, golden) -> Iterator[common.Difference]:
  """The three decimals of the official table; NaN has no row in ours."""
  for kind, part in zip(('classes', 'categories'), table.split('\n\n')):
    rows = {row[:16].strip(): row[16:].split() for row in part.splitlines()}
    golden_rows = golden[f'printed_{kind}_iou_niou'] | {
      'mean': golden[f'printed_average_{kind}']
    }
    for name, text in golden_rows.items():
      ours = rows.get(name, ['nan', 'nan'])
      yield f'{case}.printed.{name}', np.array(ours), np.array(text), 0, 0


# Set -> files of raw labels below the golden folder, and the record of the
# published configs that reads them.
_SETS = {
  'gta': ('gta/labels', '[0-9]*[0-9].png', datasets_blocks.gta5()),
  'synthia': (
    'synthia/GT/LABELS',
    '[0-9]*[0-9].png',
    datasets_blocks.synthia(),
  ),
  'cityscapes': (
    'cityscapes/gtFine',
    '*/*/*_polygons.json',
    datasets_blocks.cityscapes('train'),
  ),
}


def _prepare(files_: list[pathlib.Path], record: Any, root: pathlib.Path):
  """The manifest of a data set of these labels, beside black images."""
  for path in files_:
    size = label_files.read_label(
      epath.Path(path), channel=record.label_channel
    ).shape
    for folder, write in (
      ('images', lambda p, size=size: Image.new('RGB', size[::-1]).save(p)),
      ('labels', lambda p, path=path: p.symlink_to(path.absolute())),
    ):
      name = path.name.replace('_gtFine_polygons', '')
      suffix = '.png' if folder == 'images' else path.suffix
      target = (root / folder / name).with_suffix(suffix)
      target.parent.mkdir(parents=True, exist_ok=True)
      write(target)
  record = record.copy_and_resolve_references()
  record.update(
    root='', images='images/*.png', labels=f'labels/*{files_[0].suffix}'
  )
  return datasets.load(
    record,
    root=str(root),
    cache_dir=str(root / 'cache'),
    field='config.data.source',
    labels=True,
  )


def dataset_tools(folder: pathlib.Path) -> Iterator[common.Difference]:
  """Train ids of three formats, pixel counts, rare-class probabilities."""
  expected = json.loads((folder / 'rcs_expected.json').read_text())
  for name, (root, pattern, record) in _SETS.items():
    counts = {}
    paths = sorted((folder / root).glob(pattern), key=lambda path: path.name)
    with tempfile.TemporaryDirectory() as copies:
      data = _prepare(paths, record, pathlib.Path(copies))
      for path, prepared, pixels in zip(
        paths, data.label_paths, data.class_pixels
      ):
        stem = path.name.removesuffix('.png').removesuffix('_polygons.json')
        golden = path.with_name(f'{stem}_labelTrainIds.png')
        yield (
          f'{name}/{stem}',
          label_files.read_label(epath.Path(prepared)),
          label_files.read_label(epath.Path(golden)),
          0,
          0,
        )
        counts[golden.relative_to(folder).as_posix()] = pixels
    yield from _statistics(folder / name, name, counts, expected[name])


def _statistics(folder, name, counts, expected) -> Iterator[common.Difference]:
  """Pixel counts file by file, and the draws that they lead to."""
  stats = json.loads((folder / 'sample_class_stats_dict.json').read_text())
  table = np.array([counts[file] for file in stats])
  golden = np.array(
    [
      [by_class.get(str(c), 0) for c in range(19)]
      for by_class in stats.values()
    ]
  )
  yield f'{name}.counts', table, golden, 0, 0
  listed = json.loads((folder / 'samples_with_class.json').read_text())
  for c in range(19):
    ours = sorted((f, int(counts[f][c])) for f in stats if counts[f][c])
    yield (
      f'{name}.with_class.{c}',
      np.array(ours, str),
      np.array(sorted(map(tuple, listed.get(str(c), []))), str),
      0,
      0,
    )
  for temperature, rare in expected.items():
    ours = sampling.rare_classes(
      table, temperature=float(temperature), min_pixels=0
    )
    yield (
      f'{name}.T{temperature}.prob',
      ours.probability,
      np.array(rare['prob']),
      2e-6,
      0,
    )
    order = table.sum(0)
    # Classes of equal size may stand in any order.
    yield (
      f'{name}.T{temperature}.classes',
      order[ours.classes],
      order[np.array(rare['classes'])],
      0,
      0,
    )
    yield (
      f'{name}.T{temperature}.all',
      np.sort(ours.classes),
      np.sort(rare['classes']),
      0,
      0,
    )


def rare_classes(path: pathlib.Path) -> Iterator[common.Difference]:
  """The probabilities of rare-class sampling."""
  d = dict(np.load(path))
  for key in sorted(k for k in d if k.endswith('.prob')):
    case, temperature = key.removesuffix('.prob').split('.T')
    ours = sampling.rare_classes(
      d[f'{case}.pixels'], temperature=float(temperature), min_pixels=0
    )
    # The released code's shares are in float32, which small temperatures show.
    yield key, ours.probability, d[key], 1e-5, 1e-4
    classes = d[key.replace('.prob', '.classes')]
    # Classes of equal size may stand in any order.
    total = d[f'{case}.pixels'].sum(0)
    yield f'{key}.classes', total[ours.classes], total[classes], 0, 0
    yield f'{key}.all', np.sort(ours.classes), np.sort(classes), 0, 0


def preprocess(path: pathlib.Path) -> Iterator[common.Difference]:
  """Resizing with the ratio kept, standardising, padding, choice of crops."""
  d = dict(np.load(path))
  for key in sorted(k for k in d if k.endswith('.bgr')):
    yield from _resized(key.removesuffix('.bgr'), d)
  sizes = [
    transforms.resized_size(
      tf.constant([h, w]), transforms.Spec((short, long), keep_ratio=True)
    )
    for w, h, long, short in d['size.in'].tolist()
  ]
  yield 'size.out', np.stack(sizes)[:, ::-1], d['size.out'], 0, 0
  for key in sorted(k for k in d if k.endswith('.boxes')):
    yield from _crop(key.removesuffix('.boxes'), d)


def _resized(case: str, d) -> Iterator[common.Difference]:
  image, label = d[f'{case}.bgr'][..., ::-1], d[f'{case}.label']
  long, short = d[f'{case}.scale'].tolist()
  padded = d[f'{case}.label_padded'].shape
  spec = transforms.Spec(
    (short, long), keep_ratio=True, crop_size=padded, pad=True
  )
  full = transforms.resized_size(tf.constant(label.shape), spec)
  window = cutting.Window(tf.zeros(2, tf.int32), full, full)
  made = transforms.example(
    tf.constant(image.copy()),
    tf.constant(label),
    window,
    tf.constant(False),
    spec._replace(crop_size=(0, 0), pad=False),
  )
  pixels, small = made['image'], made['label']
  yield (
    f'{case}.bgr_resized',
    pixels.numpy()[..., ::-1],
    d[f'{case}.bgr_resized'],
    1,
    0,
  )  # OpenCV rounds in fixed point
  yield f'{case}.label_resized', small.numpy(), d[f'{case}.label_resized'], 0, 0
  # From the recorded pixels on, so that their rounding does not matter.
  recorded = d[f'{case}.bgr_resized'][..., ::-1]
  normalised = np.asarray(preprocessing.IMAGENET.normalize(recorded))
  yield f'{case}.normalised', normalised, d[f'{case}.normalised'], 1e-5, 1e-4
  filled = transforms.finish(
    {'image': tf.constant(normalised), 'label': small}, tf.constant(False), spec
  )
  yield f'{case}.padded', filled['image'].numpy(), d[f'{case}.padded'], 1e-5, 0
  yield (
    f'{case}.label_padded',
    filled['label'].numpy(),
    d[f'{case}.label_padded'],
    0,
    0,
  )


def _crop(case: str, d) -> Iterator[common.Difference]:
  """Boxes are drawn until one is accepted, or the last one is reached."""
  label = tf.constant(d[f'{case}.label'])
  num_classes = 1 + max(
    set(d[f'{case}.label'].flat) - {labels.IGNORE_LABEL}, default=0
  )
  boxes = d[f'{case}.boxes']
  for number, (top, bottom, left, right) in enumerate(boxes.tolist()):
    window = cutting.Window(
      tf.constant([top, left]),
      tf.constant([bottom - top, right - left]),
      tf.shape(label),
    )
    crop = cutting.cut_label(label, window, 'bilinear')
    accepted = crop_rules.accept_crop(
      crop_rules.class_counts(crop, num_classes), 0.75
    )
    last = number == len(boxes) - 1
    if not last or number < crop_rules.DRAWS - 1:
      yield f'{case}.accepted[{number}]', accepted.numpy(), np.array(last), 0, 0
  yield f'{case}.out', crop.numpy(), d[f'{case}.out'], 0, 0


CHECKS = {
  'cityscapes_eval*': cityscapes_eval,
  'dataset_tools*': dataset_tools,
  'daformer_hrda/rcs*.npz': rare_classes,
  'daformer_hrda/preprocess*.npz': preprocess,
}
