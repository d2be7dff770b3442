"""Batches for training.

The global batch of a step is a pure function of (seed, step): nothing of an
iterator needs to be saved, any step can be started at, and each process reads
its contiguous share of the groups, however many processes there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import itertools
from typing import Any

from absl import logging
import numpy as np
import tensorflow as tf

from uda_jax import types
from uda_jax.data import bad_files
from uda_jax.data import domains as domains_lib
from uda_jax.data import examples
from uda_jax.data import loading
from uda_jax.data import manifest as manifest_lib
from uda_jax.data import pair_crops
from uda_jax.data import sampling
from uda_jax.data import several


def train_batches(
  config: Any,
  *,
  seed: int,
  first_step: int,
  num_steps: int,
  groups: int,
  group_size: int,
  process_index: int,
  process_count: int,
  source: manifest_lib.Manifest,
  target: manifest_lib.Manifest,
  labeled: manifest_lib.Manifest | None = None,
  read_target: bool = True,
  note: Callable[[str], None] = logging.warning,
) -> Iterator[types.Batch]:
  """Returns this process's share of the batches of training.

  Args:
    config: the `data` block of a config.
    seed: of the run.
    first_step: the step of the first batch.
    num_steps: the step after the last batch, counted from the run's start.
    groups: groups of a global batch, a multiple of `process_count`.
    group_size: source images, and target images, of a group.
    process_index: which share: groups
      [process_index * groups / process_count, ...).
    process_count: number of shares.
    source: labelled images.
    target: images; with labels only if a method made them (LSE).
    labeled: target images with labels (`config.target_labels`), if any.
    read_target: False for batches without target and views, for methods that
      use neither (`types.Method.uses_target`).
    note: called with a line for each file that `config.on_error` leaves out.

  Returns:
    Iterator of batches of numpy arrays with leading axes
    [groups / process_count, group_size]: images uint8, labels int32, valid
    bool, indices int32; `views` of the target where `config.pair` asks for
    them, `labeled` images as many as those of a domain. A config that does not
    fit the data is an error here, not at the first batch.
  """
  if groups % process_count:
    raise ValueError(
      f'config.batch.groups: expected a multiple of the '
      f'{process_count} processes, got {groups}'
    )

  def make(step, *sets):
    return _batches(
      config,
      seed,
      range(step, num_steps),
      groups // process_count,
      group_size,
      process_index,
      process_count,
      read_target,
      *sets,
    )

  sets = [source, target] + ([] if labeled is None else [labeled])
  if config.on_error == bad_files.FAIL:
    return make(first_step, *sets)
  return bad_files.left_out(make, first_step, sets, note)


def _batches(
  config: Any,
  seed: int,
  steps: range,
  local_groups: int,
  group_size: int,
  process_index: int,
  process_count: int,
  read_target: bool,
  source: manifest_lib.Manifest,
  target: manifest_lib.Manifest,
  labeled: manifest_lib.Manifest | None = None,
) -> Iterator[types.Batch]:
  """Returns the batches of some steps; see `train_batches`."""
  domains = dict(
    zip(('source', 'target'), domains_lib.domains(config, source, target))
  )
  if not read_target:
    del domains['target']
  if labeled is not None:
    domains['labeled'] = domains_lib.labeled_domain(config, labeled)
  readers = {
    name: examples.reader(domain, seed) for name, domain in domains.items()
  }
  local = local_groups * group_size
  element = _element(local, process_index, process_count)

  def read(count):
    return {name: read(element(count)) for name, read in readers.items()}

  def files(number):
    first = (steps.start + number) * local
    for count in range(first, first + local):
      for domain in domains.values():
        index, _ = examples.choose(domain, seed, element(count))
        yield from loading.files_of(domain.data, int(index))

  dataset = tf.data.Dataset.range(steps.start * local, steps.stop * local)
  batches = loading.to_numpy(loading.parallel(dataset, read, local), files)
  views: Iterator[Any] = itertools.repeat(None)
  if read_target:
    views = _views(
      config,
      target,
      seed,
      steps,
      local_groups,
      process_index,
      process_count,
    )
  return (
    _batch((local_groups, group_size), **values)._replace(views=pairs)
    for values, pairs in zip(batches, views)
  )


def _element(
  local: int, process_index: int, process_count: int
) -> Callable[[tf.Tensor], tf.Tensor]:
  """Makes the function from a local row's number to that among all rows."""

  def element(count):
    step, row = count // local, count % local
    return (step * process_count + process_index) * local + row

  return element


def _views(
  config: Any,
  target: manifest_lib.Manifest,
  seed: int,
  steps: range,
  groups: int,
  process_index: int,
  process_count: int,
) -> Iterator[dict[str, np.ndarray] | None]:
  """Yields `Batch.views` of each step: None or pairs [groups, pairs, ...]."""
  pair = pair_crops.spec(config.pair)
  first_step = (
    steps.stop
    if pair is None
    else min(max(pair.first_step, steps.start), steps.stop)
  )
  for _ in range(steps.start, first_step):
    yield None
  if first_step == steps.stop:
    return
  local = groups * pair.group_size
  element = _element(local, process_index, process_count)
  read = pair_crops.reader(target, pair, seed)

  def files(number):
    for count in range(local):
      row = element((first_step + number) * local + count)
      index = several.permuted_index(seed, sampling.PAIR, row, target)
      yield next(loading.files_of(target, int(index)))

  dataset = tf.data.Dataset.range(first_step * local, steps.stop * local)
  for values in loading.to_numpy(
    loading.parallel(dataset, lambda count: read(element(count)), local), files
  ):
    yield {
      name: x.reshape(groups, pair.group_size, *x.shape[1:])
      for name, x in values.items()
    }


def _batch(
  lead: tuple[int, int],
  source: examples.Example,
  target: examples.Example | None = None,
  labeled: examples.Example | None = None,
) -> types.Batch:
  """Arranges flat rows in groups."""
  group = lambda x: x.reshape(*lead, *x.shape[1:])
  label = lambda values: group(values['label']).astype(np.int32)
  with_label = lambda values: types.Source(
    group(values['image']), label(values), group(values['index'])
  )
  return types.Batch(
    with_label(source),
    None
    if target is None
    else types.Target(
      group(target['image']),
      group(target['valid_mask']),
      label(target) if 'label' in target else None,
      group(target['index']),
    ),
    labeled=None if labeled is None else with_label(labeled),
  )
