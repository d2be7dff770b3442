"""Sizes that fit images, and steps that fit minutes."""

from collections import Counter

import numpy as np
from PIL import Image
import pytest

from uda_jax.adapt import budget
from uda_jax.adapt import sizes

COSTS = {
  'source_only': budget.Cost(10, 0.2, 6, 0.1, 5, 0.5),
  'adapted': budget.Cost(20, 0.3, 8, 0.1, 6, 0.5),
}


def fit(left, images=40):
  return budget.fit(COSTS, left=left, steps=800, images=images, scored=100)


def test_without_minutes_everything_is_done():
  plan = fit(None, images=1000)
  assert (plan.steps, plan.predictions) == (800, 1000)
  assert plan.seconds == pytest.approx(
    {
      'source_only': 10 + 5 * 6 + 160,
      'adapted': 20 + 6 * 8 + 240,
      'score': 20,
      'predict': 500,
    }
  )


def test_the_plan_fills_the_time_but_a_tenth():
  plan = fit(600)
  assert plan.predictions == 40
  total = sum(plan.seconds.values())
  assert 0.9 * 600 - 0.5 < total <= 0.9 * 600
  assert plan.steps == int((540 - 40 - 68 - 20 - 20) / 0.5)


def test_predictions_take_a_quarter_at_most():
  plan = fit(600, images=10_000)
  assert plan.predictions == 300
  assert sum(plan.seconds.values()) <= 0.9 * 600


@pytest.mark.parametrize('left', [-5, 0, 100])
def test_too_few_minutes_are_one_line(left):
  with pytest.raises(ValueError, match=r'--minutes: expected about .* more'):
    fit(left)


def test_sizes_of_a_run():
  source, target = Counter({(360, 480): 9}), Counter({(227, 320): 9})
  found = sizes.choose(source, target, pixels=36_000)
  assert found.image == (160, 225) and found.keep_ratio
  # 360 x 480 is seen at 160 x 213, and 144 x 191 fits into nine tenths.
  assert found.crop == (144, 176) and found.export == (160, 225)
  found = sizes.choose(source, target, pixels=10**6, crop=(64, 64))
  assert found.image == (227, 320) and found.crop == (64, 64)
  assert 'none is enlarged' in found.why_image and found.why_crop == '--crop'
  found = sizes.choose(source, target, pixels=1, image=(96, 192))
  assert found.image == (96, 192) and found.why_image == '--size'


def test_many_sizes_of_nearly_one_ratio_are_brought_to_one():
  target = Counter({(100, 150 + n): 1 for n in range(9)} | {(100, 150): 5})
  found = sizes.choose(target, target, pixels=10**6)
  assert not found.keep_ratio and 'are not kept' in found.why_image
  target[(200, 100)] = 1
  found = sizes.choose(target, target, pixels=10**6)
  assert found.keep_ratio and 'is compiled for each' in found.why_image


def test_portraits_are_seen_upright():
  target = Counter({(640, 360): 5})
  found = sizes.choose(Counter({(640, 360): 5}), target, pixels=57_600)
  assert found.image == (320, 180) == found.export
  assert found.crop == (288, 160)


@pytest.mark.parametrize('ending', ['png', 'tif'])
def test_sizes_are_those_of_upright_images(tmp_path, ending):
  paths = []
  for orientation in (0, 1, 3, 5, 6, 8, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    paths.append(tmp_path / f'{orientation}.{ending}')
    Image.fromarray(np.zeros((4, 7), np.uint8)).save(paths[-1], exif=exif)
  assert sizes.read(paths) == Counter({(4, 7): 4, (7, 4): 3})
