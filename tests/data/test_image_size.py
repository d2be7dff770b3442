"""One rule of the size at which a network sees an image."""

import numpy as np
import pytest

from tests.data import tiny_folder
from uda_jax import configs
from uda_jax.data import cutting
from uda_jax.data import datasets
from uda_jax.data import image_resize
from uda_jax.data import image_size
from uda_jax.data import splits
from uda_jax.data import transforms
from uda_jax.export import segment


@pytest.mark.parametrize(
  'rule, size, expected',
  [
    (image_size.Rule(), (300, 400), (300, 400)),
    (image_size.Rule((360, 640)), (300, 400), (360, 640)),
    (image_size.Rule((360, 640), True), (1080, 1920), (360, 640)),
    (image_size.Rule((360, 640), True), (1920, 1080), (640, 360)),
    (image_size.Rule((360, 640), True), (1000, 1000), (360, 360)),
    (image_size.Rule((360, 640), True), (100, 1000), (64, 640)),
    (image_size.Rule((360, 640), True), (90, 160), (360, 640)),
  ],
)
def test_rule(rule, size, expected):
  assert rule.of(size) == expected


@pytest.mark.parametrize('keep_ratio', [False, True])
def test_training_computes_the_same_in_its_graph(keep_ratio):
  random = np.random.default_rng(0)
  sizes = random.integers(1, 5000, (2000, 2))
  for wanted in ((360, 640), (513, 513), (1, 3)):
    spec = transforms.Spec(image_size=wanted, keep_ratio=keep_ratio)
    rule = image_size.Rule(wanted, keep_ratio)
    np.testing.assert_array_equal(
      transforms.resized_size(sizes, spec), [rule.of(size) for size in sizes]
    )


def test_two_folders_are_scored_as_they_are_trained():
  data = configs.load('custom/self_training').data
  assert image_size.seen(data) == image_size.training(data, 'target')
  assert image_size.seen(data).of((1280, 908)) == (507, 360)
  assert image_size.describe(data) == (
    'images are resized to fit into 360 x 640, ratio kept, in training, '
    'scoring, prediction and export'
  )
  data.eval_image_size = (180, 320)
  assert image_size.seen(data) == image_size.Rule((180, 320), True)
  line = image_size.describe(data)
  assert '; in scoring, prediction and export resized to fit into 180' in line


@pytest.mark.parametrize(
  'name, size',
  [
    ('streets/self_training', (0, 0)),
    ('camvid_to_idd/pipa', (152, 214)),
    ('gta5_to_cityscapes/daformer', (512, 1024)),
  ],
)
def test_published_configs_keep_their_sizes(name, size):
  data = configs.load(name).data
  assert image_size.seen(data).size == size
  if size == (512, 1024):
    assert image_size.seen(data).of((1024, 2048)) == size


def test_scoring_resizes_as_training():
  random = np.random.default_rng(0)
  for _ in range(40):
    old = random.integers(20, 60, 2)
    new = (old * random.uniform(0.4, 2, 2)).astype(np.int32)
    image = random.integers(0, 256, (*old, 3), np.uint8)
    window = cutting.Window(np.zeros(2, np.int32), new, new)
    for kind in cutting.RESIZE:
      limit = 2 if kind == 'bicubic' else 0
      rule = image_size.Rule(tuple(new.tolist()), resize=kind)
      ours = image_resize.by_rule(image, rule).astype(int)
      trained = cutting.cut_image(image, window, kind).numpy()
      assert ours.shape == trained.shape
      assert np.abs(ours - trained).max() <= limit, (kind, old, new)


@pytest.mark.parametrize(
  'kind, expected',
  [
    ('bicubic', [[148, 144, 138, 124, 117], [148, 180, 224, 78, 0]]),
    ('pillow_bilinear', [[146, 146, 146, 124, 109], [146, 175, 219, 87, 0]]),
  ],
)
def test_columns_come_before_rows_with_every_pillow(kind, expected):
  # Of Pillow 12.3. Version 13, which shrinks the rows first here, gives others.
  channel = np.array([[0, 1, 1], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.uint8)
  image = np.repeat(255 * channel[..., None], 3, -1)
  ours = image_resize.by_rule(image, image_size.Rule((2, 5), resize=kind))
  np.testing.assert_array_equal(ours[..., 1], expected)
  exported = segment.antialiased(
    image[..., 1], (2, 5), segment.ANTIALIASED[kind]
  )
  np.testing.assert_array_equal(exported, expected)
  size = np.array([2, 5], np.int32)
  window = cutting.Window(np.zeros(2, np.int32), size, size)
  trained = cutting.cut_image(image, window, kind).numpy()[..., 1].astype(int)
  assert np.abs(trained - expected).max() <= (kind == 'bicubic')


def test_scoring_keeps_the_ratio(tmp_path):
  folder = tiny_folder.write(tmp_path / 'data', size=(24, 12))
  data = datasets.load(
    tiny_folder.record(),
    root=str(folder),
    cache_dir=str(tmp_path / 'cache'),
    field='config.data.evaluation',
    labels=True,
  )
  (batch,) = splits.eval_batches(
    data, batch_size=6, rule=image_size.Rule((8, 12), True)
  )
  assert batch.image.shape == (6, 12, 6, 3) and batch.label.shape == (6, 24, 12)
