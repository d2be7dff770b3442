"""Ablations: a method with some of its terms, one table row each.

  python -m benchmarks.ablations --methods=pixmatch,ehtdi,lse,pipa,cluda

All rows have the same steps, seed and data. Runs resume; one that is done is
not repeated; `<workdir>/<benchmark>_<method>.md` holds a method's table.
"""

from __future__ import annotations

import pathlib
from typing import Any

from absl import app
from absl import flags

from benchmarks import adaptation
from benchmarks import runs

# method -> rows: name, leaf, changed fields of `config.method`.
ROWS: dict[str, tuple[tuple[str, str, dict[str, Any]], ...]] = {
    'pixmatch': (
        ('augmentation', 'pixmatch', {}),
        ('Fourier', 'pixmatch',
         {'weight_augment': 0.0, 'weight_fourier': 0.1}),
        ('CutMix', 'pixmatch', {'weight_augment': 0.0, 'weight_cutmix': 0.1}),
        ('Fourier and CutMix', 'pixmatch',
         {'weight_augment': 0.0, 'weight_fourier': 0.1, 'weight_cutmix': 0.1}),
        ('all three', 'pixmatch',
         {'weight_fourier': 0.1, 'weight_cutmix': 0.1}),
    ),
    'ehtdi': (
        ('views and class paste', 'ehtdi',
         {'weight_into_source': 0.0, 'weight_contrast': 0.0}),
        ('and target into source', 'ehtdi', {'weight_contrast': 0.0}),
        ('and contrast', 'ehtdi', {}),
        ('and edges', 'ehtdi_edge', {}),
    ),
    'lse': (
        ('without focal term', 'lse', {'weight_focal': 0.0}),
        ('all', 'lse', {}),
        ('as released', 'lse_released', {}),
    ),
    'pipa': (
        ('pixels', 'pipa', {'weight_patch': 0.0}),
        ('patches', 'pipa', {'weight_pixel': 0.0}),
        ('both', 'pipa', {}),
        ('as released', 'pipa_released', {}),
    ),
    'cluda': (
        ('contrast', 'cluda', {}),
        ('as released', 'cluda_released', {}),
    ),
}

_BENCHMARK = flags.DEFINE_string('benchmark', 'streets', 'Folder in configs/.')
_METHODS = flags.DEFINE_list('methods', list(ROWS), 'Which of the tables.')
_SEED = flags.DEFINE_integer('seed', 0, 'Seed of all runs.')
_ROOT = flags.DEFINE_string('root', '', 'config.data.root, for real images.')
_WORKDIR = flags.DEFINE_string('workdir', 'runs', 'Where the runs go.')


def main(argv):
  """Runs what is missing and prints the tables."""
  del argv
  from uda_jax import writers
  writers.plain_log()
  workdir = pathlib.Path(_WORKDIR.value)
  for method in _METHODS.value:
    reports = {}
    for name, leaf, changes in ROWS[method]:
      fields = [f'{field}={value}' for field, value in changes.items()]
      result = runs.one_run(
          _BENCHMARK.value, leaf, _SEED.value, root=_ROOT.value,
          workdir=workdir, name='_'.join((leaf, *fields)), changes={
              f'method.{field}': value for field, value in changes.items()})
      network = result.run.config.eval.network
      reports[f'{method}: {name} ({network})'] = [result.reports[network]]
    table = adaptation.markdown(reports)
    (workdir / f'{_BENCHMARK.value}_{method}.md').write_text(table)
    print(table)


if __name__ == '__main__':
  app.run(main)
