"""Rendered data sets: files, splits, and the processes that render them."""

import os
import pathlib
import shutil

import ml_collections
import numpy as np
from PIL import Image
import pytest

from tests.data import tiny_folder
from uda_jax.data import datasets
from uda_jax.data import pipeline
from uda_jax.data import prepared
from uda_jax.data import rendered
from uda_jax.data.streets import render as render_lib

_SIZE = (32, 48)


def record(**fields):
  kind = fields.setdefault('kind', 'streets')
  return ml_collections.ConfigDict(
    dict(split='source_train', num_images=3, image_size=_SIZE)
    | (dict(gap=(0.0, 0.0)) if kind == 'streets' else {})
    | fields
  )


def load(cache, labeled=True, **fields):
  return datasets.load(
    record(**fields),
    root='',
    cache_dir=str(cache),
    field='config.data.source',
    labels=labeled,
  )


def test_files_are_what_the_renderer_returns(tmp_path):
  data = load(tmp_path, gap=(0.2, 0.8), seed=4)
  assert data.class_names == tuple(render_lib.CLASSES)
  assert data.palette == tuple(
    map(tuple, np.array(render_lib.PALETTE).tolist())
  )
  for number in range(3):
    image, label = render_lib.render(
      4, number, size=_SIZE, style=render_lib.style(gap=(0.2, 0.8))
    )
    np.testing.assert_array_equal(Image.open(data.image_paths[number]), image)
    np.testing.assert_array_equal(Image.open(data.label_paths[number]), label)
    np.testing.assert_array_equal(
      data.class_pixels[number],
      np.bincount(label.ravel(), minlength=256)[: len(render_lib.CLASSES)],
    )


def test_splits_differ_in_their_scenes(tmp_path):
  splits = ('source_train', 'source_test', 'target_train', 'target_test')
  images = [
    np.asarray(
      Image.open(load(tmp_path, split=split, num_images=1).image_paths[0])
    )
    for split in splits
  ]
  assert len({image.tobytes() for image in images}) == 4


def test_target_without_labels_has_no_label_files(tmp_path):
  data = load(tmp_path, labeled=False)
  assert not data.labeled and data.class_pixels.sum() == 0
  assert not list(tmp_path.rglob('labels'))
  batch = next(
    pipeline.train_batches(
      tiny_folder.data(),
      seed=0,
      first_step=0,
      num_steps=1,
      groups=1,
      group_size=2,
      process_index=0,
      process_count=1,
      source=load(tmp_path),
      target=data,
    )
  )
  assert batch.target.image.shape == (1, 2, *_SIZE, 3)


@pytest.mark.parametrize(
  'fields,words',
  [
    (dict(split='train'), r"source.split.*'source_test'.*'train'"),
    (dict(num_images=0), 'source.num_images'),
    (dict(image_size=(8, 48)), r'source: size.*\(8, 48\)'),
    (dict(gap=(0.0, 2.0)), r'source\.gap.*2.0'),
  ],
)
def test_wrong_records_are_refused(tmp_path, fields, words):
  with pytest.raises(ValueError, match=words):
    load(tmp_path, **fields)


def test_failing_workers_leave_nothing(tmp_path, monkeypatch):
  monkeypatch.setattr(rendered.render_worker, '__name__', 'uda_jax.no')
  with pytest.raises(ChildProcessError, match='config.data.source.*scene 0'):
    load(tmp_path)
  assert not [path for path in tmp_path.rglob('*') if path.is_file()]


def test_processes_share_the_scenes(tmp_path, monkeypatch):
  """The same files as of one process; each renders what is its own."""
  whole = load(tmp_path / 'one', num_images=5)
  digests = lambda data: [
    pathlib.Path(path).read_bytes()
    for path in data.image_paths + data.label_paths
  ]
  recipe = datasets._recipe(
    record(num_images=5),
    root='',
    cache_dir=str(tmp_path),
    field='',
    labels=True,
    resize=None,
    channels=3,
  )
  for share in range(2):
    prepared.prepare_share(recipe, tmp_path / 'two', share, 2)
    there = {path.stem for path in (tmp_path / 'two').rglob('*.json')}
    own = (0, 2, 4) if share == 0 else range(5)
    assert there == {f'{number:06d}' for number in own}
  # A file that a disk has lost is rendered again.
  lost = next((tmp_path / 'two').rglob('images/000003.png'))
  lost.write_bytes(b'')
  shared = prepared.prepare(recipe, tmp_path / 'two')
  assert digests(shared) == digests(whole)
  np.testing.assert_array_equal(shared.class_pixels, whole.class_pixels)
  # All is there: no worker starts.
  monkeypatch.setattr(rendered, '_start', None)
  shutil.rmtree(tmp_path / 'two/prepared')
  assert prepared.prepare(recipe, tmp_path / 'two').image_paths == (
    shared.image_paths
  )


def test_changed_renderer_renders_afresh(tmp_path, monkeypatch):
  first = load(tmp_path)
  assert load(tmp_path).image_paths == first.image_paths
  render = render_lib.render
  monkeypatch.setattr(
    render_lib,
    'render',
    lambda *args, **kwargs: [255 - x for x in render(*args, **kwargs)],
  )
  assert load(tmp_path).image_paths != first.image_paths


def test_a_task_with_one_core_of_many_renders_with_one(monkeypatch):
  """A scheduler gives tasks some of the cores of a machine."""
  monkeypatch.setattr(rendered.cores.os, 'cpu_count', lambda: 128)
  mine = os.sched_getaffinity(0)
  try:
    os.sched_setaffinity(0, {min(mine)})
    assert rendered._cores(range(7)) == range(1)
  finally:
    os.sched_setaffinity(0, mine)
