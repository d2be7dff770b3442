"""Batches from arrays in memory."""

import subprocess
import sys

import jax
import numpy as np
import pytest

from uda_jax.data import arrays


def _images(count, size, seed):
  images = np.random.default_rng(seed).integers(0, 255, (count, *size, 3))
  images[..., 1] = np.arange(count)[:, None, None]
  return images.astype(np.uint8)


_SOURCE = _images(5, (10, 12), 0)
_LABELS = _SOURCE[..., 0] % 7
_TARGET = _images(3, (9, 14), 1)


def batches(**kwargs):
  return list(
    arrays.train_batches(
      _SOURCE,
      _LABELS,
      _TARGET,
      **(
        dict(
          seed=1,
          first_step=0,
          num_steps=15,
          groups=2,
          group_size=2,
          crop_size=(6, 7),
        )
        | kwargs
      ),
    )
  )


def assert_equal(first, second):
  jax.tree.map(np.testing.assert_array_equal, first, second)


def test_contract():
  kinds = jax.tree.map(lambda x: (x.dtype.name, x.shape), batches()[0])
  assert kinds.source == (
    ('uint8', (2, 2, 6, 7, 3)),
    ('int32', (2, 2, 6, 7)),
    ('int32', (2, 2)),
  )
  assert kinds.target == (
    ('uint8', (2, 2, 6, 7, 3)),
    ('bool', (2, 2, 6, 7)),
    None,
    ('int32', (2, 2)),
  )
  whole = batches(crop_size=None)[0]
  assert whole.source.image.shape == (2, 2, 10, 12, 3)
  assert whole.target.valid_mask.shape == (2, 2, 9, 14)
  assert whole.target.valid_mask.all()


def test_resumed_and_shared():
  whole = batches()
  for batch, again in zip(whole[7:], batches(first_step=7), strict=True):
    assert_equal(batch, again)
  shares = [batches(process_index=p, process_count=2) for p in range(2)]
  for batch, *parts in zip(whole, *shares, strict=True):
    assert_equal(batch, jax.tree.map(lambda *x: np.concatenate(x), *parts))


def test_epochs_and_streams():
  whole = batches()
  for domain, size in (('source', 5), ('target', 3)):
    epochs = np.concatenate(
      [getattr(b, domain).index.ravel() for b in whole]
    ).reshape(-1, size)
    np.testing.assert_array_equal(
      np.sort(epochs), [list(range(size))] * len(epochs)
    )
    assert len(np.unique(epochs, axis=0)) > 1
  other = batches(seed=2)
  assert any(
    (a.source.index != b.source.index).any() for a, b in zip(whole, other)
  )


def test_same_window_of_image_and_label():
  found = set()
  for batch in batches():
    np.testing.assert_array_equal(
      batch.source.image[..., 0] % 7, batch.source.label
    )
    np.testing.assert_array_equal(
      batch.source.image[..., 0, 0, 1], batch.source.index
    )
    image, index = batch.target.image[0, 0], batch.target.index[0, 0]
    windows = np.lib.stride_tricks.sliding_window_view(
      _TARGET[index], (6, 7, 3)
    )[:, :, 0]
    straight = (windows == image).all((2, 3, 4)).any()
    assert straight or (windows == image[:, ::-1]).all((2, 3, 4)).any()
    found.add(bool(straight))
  assert found == {True, False}
  for batch in batches(flip=False):
    index = batch.target.index[0, 0]
    windows = np.lib.stride_tricks.sliding_window_view(
      _TARGET[index], (6, 7, 3)
    )[:, :, 0]
    assert (windows == batch.target.image[0, 0]).all((2, 3, 4)).any()


@pytest.mark.parametrize(
  'kwargs,words',
  [
    (dict(crop_size=(10, 10)), 'crop_size.*target_images'),
    (dict(groups=3, process_count=2), 'groups'),
  ],
)
def test_impossible_requests_are_refused(kwargs, words):
  with pytest.raises(ValueError, match=words):
    batches(**kwargs)


@pytest.mark.parametrize(
  ('kwargs', 'words'),
  [
    (dict(groups=0), 'groups: .* 1 or more, got 0'),
    (dict(group_size=1.5), 'group_size: .* got 1.5'),
    (dict(seed=-1), 'seed: .* 0 or more, got -1'),
    (dict(crop_size=(0, 4)), r'crop_size: .* got \(0, 4\)'),
    (dict(process_index=2), 'process_index: expected 0 to 0, got 2'),
    (dict(labels=_LABELS / 1), 'source_labels: .* float64 from'),
    (dict(labels=_LABELS - np.int32(300)), 'source_labels: .* 0 to 255, got'),
    (
      dict(labels=_LABELS[:0], source=_SOURCE[:0]),
      'source_images: .* 1 or more',
    ),
    (dict(target=_TARGET[:0]), 'target_images: .* N of 1 or more'),
  ],
)
def test_numbers_and_labels_that_make_no_batch_are_refused(kwargs, words):
  usual = dict(seed=0, first_step=0, num_steps=1, groups=1, group_size=1)
  kwargs = usual | kwargs
  own = [
    kwargs.pop(name, default)
    for name, default in (
      ('source', _SOURCE),
      ('labels', _LABELS),
      ('target', _TARGET),
    )
  ]
  with pytest.raises(ValueError, match=words):
    arrays.train_batches(*own, **kwargs)


def test_wrong_arrays_are_refused():
  kwargs = dict(seed=0, first_step=0, num_steps=1, groups=1, group_size=1)
  with pytest.raises(ValueError, match='source_labels'):
    arrays.train_batches(_SOURCE, _LABELS[:2], _TARGET, **kwargs)
  with pytest.raises(ValueError, match='source_images.*float'):
    arrays.train_batches(_SOURCE / 255, _LABELS, _TARGET, **kwargs)


def test_needs_no_tensorflow():
  code = (
    'import sys; sys.modules["tensorflow"] = None; '
    'from uda_jax.data import arrays; '
    'assert not [m for m in sys.modules if m.startswith("tensorflow_")]'
  )
  subprocess.run([sys.executable, '-c', code], check=True)
