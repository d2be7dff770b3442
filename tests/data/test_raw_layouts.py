"""The published data sets in miniature, as training reads them."""

import json

import pytest

from tests.data import raw_layouts
from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import laptop_datasets
from uda_jax.configs.blocks import several
from uda_jax.data import datasets
from uda_jax.data import manifest
from uda_jax.data.streets import style


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  return raw_layouts.write(tmp_path_factory.mktemp('data'))


def _load(block, part, root, cache):
  return datasets.load(
    block[part],
    root=str(root),
    cache_dir=str(cache),
    field=f'config.data.{part}',
    labels=part != 'target',
  )


@pytest.mark.parametrize(
  'name, source, target, evaluation',
  [
    ('gta5_to_cityscapes', ({0: 48, 13: 48}, 2), 1, {13: 48}),
    ('synthia_to_cityscapes', ({0: 48}, 1), 1, {13: 48}),
    ('synthia_16_to_cityscapes', ({0: 48}, 1), 1, {12: 48}),
    ('cityscapes_to_acdc', ({13: 48}, 1), 2, {0: 96}),
    ('cityscapes_to_dark_zurich', ({13: 48}, 1), 1, {0: 48}),
    ('camvid_to_idd', ({0: 48}, 1), 1, {0: 48, 6: 48}),
    ('camvid_day_to_dusk', ({3: 48}, 1), 1, {3: 48}),
  ],
)
def test_benchmark(root, tmp_path, name, source, target, evaluation):
  block = getattr(benchmarks, name)()
  pixels = lambda manifest: {
    int(c): int(n) for c, n in enumerate(manifest.class_pixels.sum(0)) if n
  }
  first = _load(block, 'source', root, tmp_path)
  assert (pixels(first), len(first.image_paths)) == source
  unlabeled = _load(block, 'target', root, tmp_path)
  assert len(unlabeled.image_paths) == target
  assert not unlabeled.class_pixels.any()
  assert pixels(_load(block, 'evaluation', root, tmp_path)) == evaluation
  json.dumps(json.loads(block.to_json_best_effort()))


def test_camvid_has_the_classes_of_the_rendered_streets(root, tmp_path):
  block = benchmarks.streets_to_camvid()
  data = _load(block, 'evaluation', root, tmp_path)
  assert data.class_names == style.CLASSES
  assert data.palette == style.PALETTE
  # The miniature's raw id 3 is CamVid's road.
  assert data.class_pixels[0].tolist() == [48] + 10 * [0]
  pairs = (
    (laptop_datasets.camvid('day_test').class_names[raw], style.CLASSES[index])
    for raw, index in block.evaluation.label_map
  )
  other_names = {pair for pair in pairs if pair[0] != pair[1]}
  assert other_names == {
    ('pavement', 'sidewalk'),
    ('tree', 'vegetation'),
    ('pedestrian', 'person'),
    ('bicyclist', 'bicycle'),
  }


# Name -> classes and pixels of its training labels, and of its evaluation.
NAMED = {
  'gta5': ({0: 48, 13: 48}, None),
  'synthia': ({0: 48}, None),
  'synscapes': ({13: 96}, None),
  'cityscapes': ({13: 48}, {13: 48}),
  'acdc': ({0: 96}, {0: 96}),
  'dark_zurich': (None, {0: 48}),
  'bdd100k': ({13: 48}, {13: 48}),
  'mapillary': ({0: 48}, {0: 48}),
  'wilddash': (None, {0: 48, 13: 96}),
}


def test_sets_by_name(root, tmp_path):
  assert set(NAMED) == set(several.NAMED)
  for place, part in enumerate(('source', 'evaluation')):
    expected = {name: row[place] for name, row in NAMED.items() if row[place]}
    found = several.named(part, ','.join(expected))
    parts = {'source': None, 'target': None, 'evaluation': None} | {part: found}
    block = benchmarks.block(**parts, root=str(root), cache_dir=str(tmp_path))
    data = datasets.load_part(block, part)
    pixels = {
      one.name: {
        int(c): int(n) for c, n in enumerate(own.class_pixels.sum(0)) if n
      }
      for one, own in zip(data.sets, manifest.split(data), strict=True)
    }
    assert pixels == expected


def test_a_truncated_label_is_named(root, tmp_path):
  raw_layouts.write(tmp_path)
  path = tmp_path / 'gta5/labels/00001.png'
  path.write_bytes(path.read_bytes()[:-30])
  with pytest.raises(ValueError, match='00001.png.*truncated'):
    _load(benchmarks.gta5_to_cityscapes(), 'source', tmp_path, tmp_path / 'c')
