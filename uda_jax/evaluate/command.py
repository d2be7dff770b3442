"""Scores of a run's network on a labeled split."""

from __future__ import annotations

import argparse
from typing import Any

import jax
import ml_collections

from uda_jax import parallel
from uda_jax import words
from uda_jax.data import datasets
from uda_jax.data import image_size
from uda_jax.evaluate import protocol
from uda_jax.evaluate import reports
from uda_jax.evaluate import scoring
from uda_jax.evaluate import selection
from uda_jax.evaluate import tta
from uda_jax.runs import compile_cache
from uda_jax.runs import restore


def run(
  args: argparse.Namespace, config: ml_collections.ConfigDict
) -> dict[str, dict[str, Any]]:
  """Scores a network and writes results.json, .csv and .txt.

  Args:
    args: of `uda_jax.evaluate.__main__`: `workdir`, `network`, `out`.
    config: what is scored and how, see `settings.read`.

  Returns:
    The reports by row, see `reports.report`.
  """
  trained = restore.load(args.workdir, args.network)
  data = datasets.load_part(
    config.data, 'evaluation', trained.config.model.in_channels
  )
  if tuple(data.class_names) != trained.class_names:
    raise ValueError(
      f'config.data.evaluation: expected the classes of {args.workdir}, '
      f'{trained.class_names}, got {tuple(data.class_names)}'
    )
  mesh = parallel.make_mesh(config.devices or None)
  variables = jax.device_put(trained.variables, parallel.replicated(mesh))
  predict = scoring.make_predict(config, trained.network, mesh)
  labeled = scoring.make_labeled(config, predict, data)
  name = args.network or restore.reported(trained.config)
  about: dict[str, Any] = selection.note(trained.config, name)
  if trained.step is not None:
    about['step'] = trained.step
  with compile_cache.using(config.compile_cache):
    rows = {name: labeled.score(variables) | about}
    if labeled.full_size:
      full = labeled.full_size(variables)
      rows[reports.full_size(name)] = full | about
  rows = reports.with_sets(rows)
  reports.write_results(
    args.out,
    rows,
    [
      f'{args.workdir}: the {restore.described(trained, args.network)} on '
      f'{data.name}, {words.counted(len(data.image_paths), "image")}, '
      f'{tta.describe(config.eval.scales, config.eval.flip)}.',
      f'The network saw images {image_size.seen(config.data)}.',
      f'Scoring: {protocol.describe(config.eval)}.',
    ],
  )
  return rows
