"""Class tables."""

import numpy as np
import pytest

from uda_jax import labels


def test_tables_reach_every_class_once():
  for table, classes in (
    (labels.CITYSCAPES_IDS, 19),
    (labels.SYNTHIA_IDS, 19),
    (labels.CITYSCAPES_16_IDS, 16),
    (labels.SYNTHIA_16_IDS, 16),
  ):
    assert sorted(table.values()) == list(range(classes))
  assert len(labels.CITYSCAPES_CLASSES) == len(labels.CITYSCAPES_PALETTE) == 19
  assert len(set(labels.CITYSCAPES_PALETTE)) == 19


def test_subsets_leave_out_the_known_classes():
  names = lambda subset: {labels.CITYSCAPES_CLASSES[c] for c in subset}
  assert names(labels.SUBSET_19) - names(labels.SUBSET_16) == {
    'terrain',
    'truck',
    'train',
  }
  assert names(labels.SUBSET_16) - names(labels.SUBSET_13) == {
    'wall',
    'fence',
    'pole',
  }


def test_both_domains_mean_the_same_class_by_the_same_number():
  road = lambda table: [raw for raw, c in table.items() if c == 0]
  assert road(labels.CITYSCAPES_IDS) == road(labels.GTA5_IDS) == [7]
  assert road(labels.SYNTHIA_IDS) == [3]
  # The bicycle is the last of 16 as well as of 19.
  assert labels.CITYSCAPES_16_IDS[33] == labels.SYNTHIA_16_IDS[11] == 15


def test_restrict_renumbers_by_place():
  assert labels.restrict({7: 0, 8: 1, 9: 2}, (2, 0)) == {7: 1, 9: 0}


@pytest.mark.parametrize('classes', [2, 11, 32, 254])
def test_default_palette_is_saturated_and_distinct(classes):
  palette = np.array(labels.default_palette(classes))
  assert palette.shape == (classes, 3)
  assert (
    labels.default_palette(classes) == labels.default_palette(254)[:classes]
  )
  lab = labels._lab(palette.astype(float))
  # Neither grey nor black, which pictures of streets are full of.
  assert (np.hypot(lab[:, 1], lab[:, 2]) >= 40).all()
  assert (lab[:, 0] >= 30).all()
  # Two colors 2.3 apart can just be distinguished side by side.
  apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
  least = apart[~np.eye(classes, dtype=bool)].min()
  assert least > (25 if classes <= 32 else 7), least
