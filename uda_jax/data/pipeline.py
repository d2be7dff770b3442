"""Batches for training.

The global batch of a step is a pure function of (seed, step): nothing of an
iterator needs to be saved, any step can be started at, and each process reads
its contiguous share of the groups, however many processes there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import itertools
from typing import Any, NamedTuple

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
  config: types.Config,
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
    source: labeled images.
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
    share = _Share(
      seed,
      range(step, num_steps),
      groups // process_count,
      process_index,
      process_count,
    )
    return _batches(config, share, group_size, read_target, *sets)

  sets = [source, target] + ([] if labeled is None else [labeled])
  if config.on_error == bad_files.FAIL:
    return make(first_step, *sets)
  return bad_files.left_out(make, first_step, sets, note)


class _Share(NamedTuple):
  """A process's share of the batches of some steps.

  Attributes:
    seed: of the run.
    steps: the steps.
    groups: of a step, in this process.
    process_index: which share.
    process_count: number of shares.
  """

  seed: int
  steps: range
  groups: int
  process_index: int
  process_count: int

  def element(self, count: tf.Tensor, rows: int) -> tf.Tensor:
    """Returns the number among all rows of a row of this process.

    Args:
      count: the row, counted over this process's rows of all steps.
      rows: of a step, in this process.
    """
    step, row = count // rows, count % rows
    return (step * self.process_count + self.process_index) * rows + row


def _domains(
  config: types.Config,
  source: manifest_lib.Manifest,
  target: manifest_lib.Manifest,
  labeled: manifest_lib.Manifest | None,
  read_target: bool,
) -> dict[str, domains_lib.Domain | domains_lib.Mixture]:
  """Returns the domains that are read, by name."""
  domains = dict(
    zip(('source', 'target'), domains_lib.domains(config, source, target))
  )
  if not read_target:
    del domains['target']
  if labeled is not None:
    domains['labeled'] = domains_lib.labeled_domain(config, labeled)
  return domains


def _batches(
  config: types.Config,
  share: _Share,
  group_size: int,
  read_target: bool,
  source: manifest_lib.Manifest,
  target: manifest_lib.Manifest,
  labeled: manifest_lib.Manifest | None = None,
) -> Iterator[types.Batch]:
  """Returns the batches of a share; see `train_batches`."""
  domains = _domains(config, source, target, labeled, read_target)
  readers = {
    name: examples.reader(domain, share.seed)
    for name, domain in domains.items()
  }
  rows = share.groups * group_size

  def read(count):
    element = share.element(count, rows)
    return {name: read(element) for name, read in readers.items()}

  def files(number):
    first = (share.steps.start + number) * rows
    for count in range(first, first + rows):
      for domain in domains.values():
        index, _ = examples.choose(
          domain, share.seed, share.element(count, rows)
        )
        yield from loading.files_of(domain.data, int(index))

  dataset = tf.data.Dataset.range(
    share.steps.start * rows, share.steps.stop * rows
  )
  batches = loading.to_numpy(loading.parallel(dataset, read, rows), files)
  views: Iterator[Any] = itertools.repeat(None)
  if read_target:
    views = _views(config, target, share)
  return (
    _batch((share.groups, group_size), **values)._replace(views=pairs)
    for values, pairs in zip(batches, views)
  )


def _views(
  config: types.Config, target: manifest_lib.Manifest, share: _Share
) -> Iterator[dict[str, np.ndarray] | None]:
  """Yields `Batch.views` of each step: None or pairs [groups, pairs, ...]."""
  pair, steps = pair_crops.spec(config.pair), share.steps
  if pair is None:
    yield from itertools.repeat(None, len(steps))
    return
  first_step = min(max(pair.first_step, steps.start), steps.stop)
  yield from itertools.repeat(None, first_step - steps.start)
  if first_step == steps.stop:
    return
  rows = share.groups * pair.group_size
  read = pair_crops.reader(target, pair, share.seed)

  def files(number):
    for count in range(rows):
      element = share.element((first_step + number) * rows + count, rows)
      index = several.permuted_index(share.seed, sampling.PAIR, element, target)
      yield next(loading.files_of(target, int(index)))

  dataset = tf.data.Dataset.range(first_step * rows, steps.stop * rows)
  for values in loading.to_numpy(
    loading.parallel(
      dataset, lambda count: read(share.element(count, rows)), rows
    ),
    files,
  ):
    yield {
      name: x.reshape(share.groups, pair.group_size, *x.shape[1:])
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
