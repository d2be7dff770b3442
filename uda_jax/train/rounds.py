"""The start of a round of LSE (arXiv 2007.14449): rank, choose, cut patches.

A round starts with a checkpoint. Its network ranks the target images; the plan
of the round is written to `<workdir>/rounds/round_NN.json`, and the patches cut
from the chosen images become a prepared data set beside it. Both are written
whole or not at all and are pure functions of the checkpoint, so a run that is
killed in between continues with the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import dataclasses
import functools
import hashlib
import json
import pathlib
from typing import NamedTuple

from absl import logging
import jax
import numpy as np

from uda_jax import files
from uda_jax import parallel
from uda_jax import rng
from uda_jax import types
from uda_jax import words
from uda_jax.data import patches
from uda_jax.data import pipeline
from uda_jax.train import round_mining
from uda_jax.train import round_patches
from uda_jax.train import round_ranking
from uda_jax.train import setup
from uda_jax.train import target_statistics

_FOLDER = 'rounds'


class Plan(NamedTuple):
  """The plan of a round, as stored in its JSON file.

  Attributes:
    network: hash of the variables that ranked the images.
    portion: fraction of the images to take.
    images: numbers of the images to cut patches from, in order.
    names: their names.
    limits: [C] limits of class-wise entropy, None where every pixel is trusted.
    counts: [C], number of images taken per class.
    steps: number of steps of the round.
  """

  network: str
  portion: float
  images: list[int]
  names: list[str]
  limits: list[float | None]
  counts: list[int]
  steps: int


def over(state: types.TrainState) -> bool:
  """Returns whether the round of the state is over."""
  return int(state.step) >= int(state.round.first_step + state.round.length)


def finished(config: types.Config, state: types.TrainState) -> bool:
  """Returns whether the round of the state is over and is the last one."""
  return over(state) and int(state.round.index) + 1 == len(_portions(config))


def begin(
  run: setup.Run,
  functions: round_mining.Functions,
  state: types.TrainState,
  between: Callable[[], None] = lambda: None,
) -> types.TrainState:
  """Plans the next round and cuts its patches, unless that is done already.

  All processes call this, after the checkpoint of `state` is on disk.

  Args:
    run: of a config with `rounds`.
    functions: of this run.
    state: at the end of a round.
    between: called after each batch of the ranking, in all processes equally
      often.

  Returns:
    The state in the next round.
  """
  index = int(state.round.index) + 1
  # Whole: a process cannot read the shards of another.
  student = jax.device_put(state.student, parallel.replicated(run.mesh))
  if run.config.rounds.target_statistics:
    student = target_statistics.adapted(
      run, student, run.config.rounds.target_statistics
    )
  student = jax.device_get(student)
  plan = _stored_plan(run, functions, student, index, between)
  logging.info(
    'round %d of %d: %d of %d target images, %s',
    index + 1,
    len(_portions(run.config)),
    len(plan.images),
    len(run.data.target.image_paths),
    words.counted(plan.steps, 'step'),
  )
  if plan.steps:
    round_patches.make(
      run,
      functions,
      student,
      _store(run, index),
      images=plan.images,
      limits=_limits(plan),
      key=window_key(run.config.seed, index),
      between=between,
    )
  put = lambda value, old: jax.device_put(np.int32(value), old.sharding)
  return dataclasses.replace(
    state,
    round=jax.tree.map(
      put, types.Round(index, int(state.step), plan.steps), state.round
    ),
  )


def window_key(seed: int, index: int) -> jax.Array:
  """Returns the key of a round; `round_mining.cut` folds the image into it."""
  return jax.random.fold_in(rng.stream(jax.random.key(seed), 'windows'), index)


def batches(run: setup.Run, state: types.TrainState) -> Iterator[types.Batch]:
  """Returns this process's batches from the state's step to the round's end."""
  index, first, length = map(int, state.round)
  config = run.config
  data, seed = run.data, config.seed
  if not length:
    return iter(())
  if index >= 0:
    data = data._replace(target=round_patches.read(_store(run, index)))
    # Each round has its own order, in which every patch comes once per epoch.
    seed = 1000 * (seed + 1) + index
  return pipeline.train_batches(
    config.data,
    seed=seed,
    first_step=int(state.step) - first,
    num_steps=length,
    groups=config.batch.groups,
    group_size=config.batch.group_size,
    process_index=jax.process_index(),
    process_count=jax.process_count(),
    source=data.source,
    target=data.target,
    labeled=data.target_labels,
    note=functools.partial(setup.note_left_out, run),
  )


def _portions(config: types.Config) -> tuple[float, ...]:
  fields = config.rounds
  return round_ranking.portions(fields.p_start, fields.p_step, fields.p_max)


def _path(run: setup.Run, index: int) -> pathlib.Path:
  return run.workdir / _FOLDER / f'round_{index:02d}.json'


def _store(run: setup.Run, index: int) -> patches.Store:
  """Returns where the patches of a planned round are."""
  plan = _read(_path(run, index))
  return patches.Store(
    run.data.target,
    f'patches of round {index}',
    [plan._asdict(), run.config.rounds.to_dict()],
    run.workdir / _FOLDER,
    count=len(plan.images),
    # Files count from 0, messages from 1.
    title=f'patches of round {index + 1}',
  )


def _read(path: pathlib.Path) -> Plan:
  return Plan(**json.loads(path.read_text()))


def _limits(plan: Plan) -> np.ndarray:
  return np.array([np.inf if x is None else x for x in plan.limits])


def _digest(variables: types.Variables) -> str:
  """Returns a hash of the variables of a network."""
  hashed = hashlib.sha256()
  for leaf in jax.tree.leaves(variables):
    hashed.update(np.ascontiguousarray(leaf).tobytes())
  return hashed.hexdigest()[:16]


def _stored_plan(
  run: setup.Run,
  functions: round_mining.Functions,
  student: types.Variables,
  index: int,
  between: Callable[[], None],
) -> Plan:
  """Returns a round's plan; makes and stores it if this network has none."""
  path, network = _path(run, index), _digest(student)
  if not parallel.of_first(
    lambda: path.exists() and _read(path).network == network
  ):
    plan = _plan(run, functions, student, network, index, between)
    if jax.process_index() == 0:
      files.write_atomically(
        path,
        (json.dumps(plan._asdict(), indent=2, allow_nan=False) + '\n').encode(),
      )
  parallel.barrier('the round is planned')
  return _read(path)


def _plan(
  run: setup.Run,
  functions: round_mining.Functions,
  student: types.Variables,
  network: str,
  index: int,
  between: Callable[[], None],
) -> Plan:
  """Ranks the target images and chooses those of the round."""
  target, fields = run.data.target, run.config.rounds
  limits = np.ones(len(target.class_names))
  if index:
    limits = _limits(_read(_path(run, index - 1)))
  confidence, entropy = round_mining.collect(
    round_mining.rank(run, functions, student, between),
    len(target.image_paths),
  )
  portion = _portions(run.config)[index]
  choice = round_ranking.choose(
    confidence,
    entropy,
    target.originals,
    limits,
    portion=portion,
    divisor=fields.divisor,
    skip_classes=tuple(fields.skip_classes),
  )
  if not choice.images:
    raise ValueError(
      f'config.rounds.divisor: round {index + 1} chooses none of the '
      f'{len(target.image_paths)} target images: expected a class that the '
      f'network finds in at least {-(-fields.divisor // portion):.0f} of them, '
      f'got at most {np.isfinite(confidence).sum(0).max()}. Lower '
      'divisor or raise config.rounds.p_start, with a new --workdir'
    )
  images = _images(run, choice.images, index)
  return Plan(
    network,
    portion,
    images,
    [pathlib.PurePath(target.originals[i]).name for i in images],
    [float(x) if np.isfinite(x) else None for x in choice.limits],
    choice.counts.tolist(),
    _length(run, len(choice.images), index),
  )


def _images(run: setup.Run, chosen: tuple[int, ...], index: int) -> list[int]:
  """Returns the numbers of the images that patches are cut from.

  These are the chosen ones. The released code takes one more, from the repeated
  list, and from the second round on a random draw from that list, in which an
  image may come twice or not at all.
  """
  fields, total = run.config.rounds, len(run.data.target.image_paths)
  repeated = (list(chosen) * (total // len(chosen) + 2))[
    : max(total, len(chosen) + 1)
  ]
  if fields.shuffle_later_rounds and index:
    key = jax.random.fold_in(_key(run, 'chosen images'), index)
    place = jax.random.permutation(key, len(repeated)).tolist()
    repeated = [repeated[i] for i in place]
  return repeated[: len(chosen) + bool(fields.one_image_more)]


def _length(run: setup.Run, num_chosen: int, index: int) -> int:
  """Returns the steps of a round: part of the run's, or epochs over patches."""
  config, fields = run.config, run.config.rounds
  if config.steps:
    count, steps = (
      len(_portions(config)),
      (config.steps - config.method.adapt_from),
    )
    return steps * (index + 1) // count - steps * index // count
  images = num_chosen * fields.patches_per_image * fields.epochs
  return -(-images // (config.batch.groups * config.batch.group_size))


def _key(run: setup.Run, name: str) -> jax.Array:
  return rng.stream(jax.random.key(run.config.seed), name)
