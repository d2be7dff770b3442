"""Reading label files like the released conversion tools."""

import pathlib

import numpy as np
from PIL import Image
import pytest
import tensorflow as tf

from uda_jax import labels
from uda_jax.data import label_files

_TOOLS = pathlib.Path(__file__).parents[1] / 'golden/dataset_tools'


@pytest.mark.parametrize(
  'folder,table,channel',
  [
    ('gta/labels', labels.GTA5_IDS, -1),
    ('synthia/GT/LABELS', labels.SYNTHIA_IDS, 0),
  ],
)
def test_raw_ids_of_the_benchmarks(folder, table, channel):
  raw = [
    p
    for p in sorted((_TOOLS / folder).glob('*.png'))
    if not p.stem.endswith('_labelTrainIds')
  ]
  assert raw
  for path in raw:
    expected = Image.open(path.with_name(path.stem + '_labelTrainIds.png'))
    ids = label_files.read_label(path, channel=channel)
    to_train_id = np.vectorize(lambda i: table.get(i, labels.IGNORE_LABEL))
    np.testing.assert_array_equal(to_train_id(ids), expected)


def test_colors_of_16_bits_are_those_of_8_bits_or_refused(tmp_path):
  path = tmp_path / 'a.png'
  colors = np.array([[[1, 2, 255], [0, 7, 9]]], np.uint16)
  # 255 becomes 65535; 1000 and 1001 have one high byte.
  path.write_bytes(tf.io.encode_png(colors * 257).numpy())
  np.testing.assert_array_equal(label_files.read_colors(path), colors)
  path.write_bytes(tf.io.encode_png(colors + 1000).numpy())
  with pytest.raises(ValueError, match='a.png: expected colors of 8 bits'):
    label_files.read_colors(path)
