"""The benchmark's parts on small files: the same work, and all of it timed."""

import itertools
import json
import sys

import numpy as np
from PIL import Image
import pytest

from benchmarks import input_pipeline
from benchmarks import input_stages
from benchmarks import pytorch_loader
from benchmarks import street_files
from uda_jax.data import datasets
from uda_jax.data import domains as domains_lib

SIZES = dict(gta5_size=(52, 94), cityscapes_size=(64, 128))


@pytest.fixture(name='root', scope='module')
def _root(tmp_path_factory):
  root = tmp_path_factory.mktemp('street_files')
  street_files.write(root, 3, **SIZES)
  return root


def block(root, form='raw', data_block=input_pipeline.data_block):
  config = data_block(root, form)
  config.update(
    source_image_size=(36, 64),
    target_image_size=(32, 64),
    crop_size=(24, 32),
    margins=(1, 4, 0, 0),
  )
  config.rare_class.min_pixels = 5
  return config


def test_files_are_as_published(root):
  image = Image.open(root / 'gta5/images/00000.png')
  label = Image.open(root / 'gta5/labels/00000.png')
  assert (image.mode, label.mode, image.size) == ('RGB', 'P', label.size)
  # Ids of Cityscapes' label files: road and sky, and no train ids.
  assert {7, 23} <= set(np.unique(label)) <= set(range(7, 34))
  assert len(list(root.glob('cityscapes/leftImg8bit/train/*/*.png'))) == 3
  stamps = [f.stat().st_mtime_ns for f in root.rglob('*.png')]
  street_files.write(root, 3, **SIZES)
  assert [f.stat().st_mtime_ns for f in root.rglob('*.png')] == stamps


@pytest.mark.parametrize('reader', sorted(pytorch_loader.READERS))
def test_the_other_loader_does_our_work(root, reader, monkeypatch):
  monkeypatch.setattr(pytorch_loader, 'torch', None)
  found = input_pipeline.loaders(block(root))
  assert found.keys() == {'uda_jax', *pytorch_loader.READERS}
  batches = list(found[reader](4))
  assert len(batches) == 4
  (ours,) = found['uda_jax'](1)
  for image, label, target in batches:
    assert image.shape == ours.source.image.shape[1:]
    assert label.shape == ours.source.label.shape[1:]
    assert target.shape == ours.target.image.shape[1:]
    assert label.dtype == ours.source.label.dtype == np.int32
    for x in label:  # The crop rule.
      counts = np.bincount(x.ravel(), minlength=256)[:255]
      assert np.count_nonzero(counts) > 1


def test_times_and_ratios(root, monkeypatch):
  spent = iter(
    itertools.accumulate(
      itertools.cycle(
        # Of a round: ours, and one that takes twice as long.
        [0, 1.0, 0, 2.0]
      )
    )
  )
  monkeypatch.setattr(input_pipeline, '_cpu_at_rest', lambda: next(spent))
  taken = {'uda_jax': [], 'other': []}
  loaders = {
    name: lambda steps, name=name: iter(
      taken[name].append(i) or i for i in range(steps)
    )
    for name in taken
  }
  found = input_pipeline.compare(loaders, steps=5, rounds=3)
  assert found == {
    'cpu_ms_an_image': {'uda_jax': 50.0, 'other': 100.0},
    'images_a_second_a_core': {'uda_jax': 20.0, 'other': 10.0},
    'times_as_long_as_uda_jax': {'other': [2.0, 2.0, 2.0]},
  }
  assert taken == {'uda_jax': list(range(20)), 'other': list(range(20))}


def test_time_of_workers_counts(monkeypatch):
  class Worker:
    pid = 'self'

  before = input_pipeline._cpu()
  monkeypatch.setattr(
    input_pipeline.multiprocessing, 'active_children', lambda: [Worker]
  )
  assert input_pipeline._cpu() > 1.5 * before


def test_stages_of_both_domains(root):
  config = block(root)
  found = [datasets.load_part(config, name) for name in ('source', 'target')]
  source, target = (
    input_stages.stages(domain, count=2, repeats=1)
    for domain in domains_lib.domains(config, *found)
  )
  assert source.keys() == {
    'decode image',
    'decode label',
    'resize label',
    'choose crop',
    'resize and cut image',
    'all',
  }
  assert target.keys() == {'decode image', 'resize and cut image', 'all'}
  assert min(*source.values(), *target.values()) > 0


def test_json_lines(root, monkeypatch, capsys):
  monkeypatch.setattr(street_files, 'write', lambda *_: None)
  monkeypatch.setattr(input_pipeline, 'data_block', block)
  monkeypatch.setattr(
    input_pipeline,
    'compare',
    lambda found, **kind: {'found': sorted(found), **kind},
  )
  monkeypatch.setattr(
    sys,
    'argv',
    ['input_pipeline', f'--cache_dir={root}', '--steps=1', '--rounds=2'],
  )
  input_pipeline.main()
  lines = list(map(json.loads, capsys.readouterr().out.splitlines()))
  assert tuple(line.pop('images') for line in lines) == input_pipeline.FORMS
  assert lines[0] == lines[1] == lines[2]
  assert lines[0]['found'] == sorted(['uda_jax', *pytorch_loader.READERS])
  assert (lines[0]['steps'], lines[0]['rounds']) == (1, 2)
  assert lines[0]['versions']['pillow']
