"""Reading label files like the released conversion tools."""

import pathlib

import numpy as np
from PIL import Image
import pytest

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
