"""The published data sets in miniature, as training reads them."""

import json

import pytest

from tests.data import raw_layouts
from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import datasets as datasets_block
from uda_jax.data import datasets
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
  unlabelled = _load(block, 'target', root, tmp_path)
  assert len(unlabelled.image_paths) == target
  assert not unlabelled.class_pixels.any()
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
    (datasets_block.camvid('day_test').class_names[raw], style.CLASSES[index])
    for raw, index in block.evaluation.label_map
  )
  other_names = {pair for pair in pairs if pair[0] != pair[1]}
  assert other_names == {
    ('pavement', 'sidewalk'),
    ('tree', 'vegetation'),
    ('pedestrian', 'person'),
    ('bicyclist', 'bicycle'),
  }


def test_a_truncated_label_is_named(root, tmp_path):
  raw_layouts.write(tmp_path)
  path = tmp_path / 'gta5/labels/00001.png'
  path.write_bytes(path.read_bytes()[:-30])
  with pytest.raises(ValueError, match='00001.png.*truncated'):
    _load(benchmarks.gta5_to_cityscapes(), 'source', tmp_path, tmp_path / 'c')
