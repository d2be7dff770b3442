"""The table of published numbers: one line a config, docs/published/table.md.

  python -m benchmarks.published_scores --write

The numbers are of papers, of the authors' repositories and of users of their
code, never of this library; the pages in docs/published say which. Steps,
batch, network and checkpoint are read from the configs.
"""

from __future__ import annotations

import argparse
import pathlib
from typing import NamedTuple

from uda_jax import configs

PAGE = pathlib.Path(__file__).parents[1] / 'docs' / 'published' / 'table.md'


class Run(NamedTuple):
  """Known facts of a published run; '' = unknown.

  Attributes:
    score: mean IoU in percent; with SYNTHIA over 16 / 13 classes.
    seeds: which seeds it is the mean of, and their spread.
    users: what users of the authors' code got, or a remark.
    cost: time and memory with the authors' code, and the card.
  """

  score: str = ''
  seeds: str = ''
  users: str = ''
  cost: str = ''


_AS_MEANT = Run(users='as described; no published number')
_START = Run(users='a start for others; no published number')
_EHTDI = 'RTX 3090, 24 GB'
_LSE = 'Tesla K80'
_DAFORMER = '16 h, 9.7 GB, RTX 2080 Ti'
_HRDA = '32 h, 22.5 GB, Titan RTX'
_MIC = 'Titan RTX, 24 GB'
_CLUDA = 'V100, 32 GB'
_RESNET = 'start and learning rate were not released'
_NO_PAPER = Run(users='from no paper')
_OUR_PAIR = Run(users='our construction; no published number')
_OWN_NUMBER = "the repository's number; the paper's own differs slightly"
_BASELINE = Run(users="baseline of PiPa's longer run; no published number")

_VFM_UDA, _VFM_UDA_PP = (
  tuple(f'{name}{size}' for size in ('', '_base', '_small'))
  for name in ('vfm_uda', 'vfm_uda_pp')
)

_ON_FOUNDATION = (
  *(
    f'dinov2_{name}'
    for name in ('self_training', 'pipa', 'cluda', 'mic', 'pipa_cluda_mic')
  ),
  'dinov3_convnext_self_training',
  'dinov3_convnext_pipa_cluda_mic',
  'eva02_self_training',
)

# Benchmark -> config -> what is published of it.
RUNS: dict[str, dict[str, Run]] = {
  'gta5_to_cityscapes': {
    'pixmatch_released': Run('50.3', users='47.8 (Paddle, 60,000 steps)'),
    'pixmatch': _AS_MEANT,
    'pixmatch_start': Run(users='a start for others; its original: 36.9'),
    'ehtdi_released': Run('58.8', cost=_EHTDI),
    'ehtdi': _AS_MEANT,
    'ehtdi_edge_released': Run('62.0', cost=_EHTDI),
    'ehtdi_edge': _AS_MEANT,
    'lse_released': Run('39.0', cost=_LSE),
    'lse': _AS_MEANT,
    'lse_start': _START,
    'lse_deeplab_released': Run('47.5', users=_RESNET, cost=_LSE),
    'lse_deeplab': _AS_MEANT,
    'lse_deeplab_start': _START,
    'daformer': Run('68.3', '0, 1, 2', '66.1, 66.2, 67.1', _DAFORMER),
    'hrda': Run('73.8', 'three', cost=_HRDA),
    'mic': Run('75.9', 'three', '76.0, 72.47, 75.86', _MIC),
    'cluda_released': Run('74.4', 'spread 0.32', cost=_CLUDA),
    'cluda': _AS_MEANT,
    'cluda_daformer': Run(
      users='our construction; listed 70.11 by code that is not released, a '
      'user 67.88'
    ),
    'pipa_released': Run('75.6', users='74.52, 74.34, 74.73'),
    'pipa': _AS_MEANT,
    'pipa_daformer_released': Run('71.7', users='69.8; 70.2, 69.9, 70.5'),
    'pipa_daformer': _AS_MEANT,
    'hrda_60k': _BASELINE,
    'daformer_640_60k': _BASELINE,
    'pipa_cluda_mic': _NO_PAPER,
    **dict.fromkeys(_ON_FOUNDATION, _NO_PAPER),
    'vfm_uda': Run('78.4', 'one', _OWN_NUMBER, 'about 20 h, A100'),
    'vfm_uda_base': Run('77.1', 'one', _OWN_NUMBER),
    'vfm_uda_small': _OUR_PAIR,
    'vfm_uda_pp': Run('79.8', 'one', _OWN_NUMBER, 'about 30 h, H100'),
    'vfm_uda_pp_base': _OUR_PAIR,
    'vfm_uda_pp_small': _OUR_PAIR,
  },
  'synthia_to_cityscapes': {
    'pixmatch_released': Run('46.1 / 54.5'),
    'pixmatch': _AS_MEANT,
    'ehtdi_released': Run('57.8 / 64.6', cost=_EHTDI),
    'ehtdi': _AS_MEANT,
    'ehtdi_edge_released': Run('61.3 / 69.2', cost=_EHTDI),
    'ehtdi_edge': _AS_MEANT,
    'ehtdi_start': _START,
    'lse_released': Run('40.0 / 47.0', cost=_LSE),
    'lse': _AS_MEANT,
    'lse_start': _START,
    'lse_deeplab_released': Run('42.6 / 49.4', users=_RESNET, cost=_LSE),
    'lse_deeplab': _AS_MEANT,
    'lse_deeplab_start': _START,
    'daformer': Run('60.9 / -', '0, 1, 2', cost=_DAFORMER),
    'hrda': Run('65.8 / -', 'three', cost=_HRDA),
    'mic': Run('67.3 / 74.0', 'three', cost=_MIC),
    'cluda_released': Run(
      '67.2 / -', users='the full text: 66.8, spread 0.44', cost=_CLUDA
    ),
    'cluda': _AS_MEANT,
    'cluda_daformer': _OUR_PAIR,
    'pipa_released': Run('68.2 / -'),
    'pipa': _AS_MEANT,
    'pipa_daformer_released': Run('63.4 / -'),
    'pipa_daformer': _AS_MEANT,
    'hrda_60k': _BASELINE,
    'daformer_640_60k': _BASELINE,
    **dict.fromkeys(_VFM_UDA, _OUR_PAIR),
    'vfm_uda_pp': _OUR_PAIR,
    'vfm_uda_pp_base': Run(
      '69.7 / -', 'one', 'over classes that the repository does not name'
    ),
    'vfm_uda_pp_small': _OUR_PAIR,
  },
  'cityscapes_to_acdc': {
    'daformer': Run('55.4 (test)'),
    'hrda': Run('68.0 (test)'),
    'mic': Run(users='not at hand', cost=_MIC),
    **dict.fromkeys(_VFM_UDA + _VFM_UDA_PP, _OUR_PAIR),
  },
  'cityscapes_to_dark_zurich': {
    'daformer': Run('53.8 (test)'),
    'hrda': Run('55.9 (test)'),
    'mic': Run(
      users='60.3 as a user quotes it, who got 56 to 59 (test)', cost=_MIC
    ),
    **dict.fromkeys(_VFM_UDA, _OUR_PAIR),
    'vfm_uda_pp': Run(
      '68.7', 'one', 'split not named; the column is headed Cityscapes'
    ),
    'vfm_uda_pp_base': _OUR_PAIR,
    'vfm_uda_pp_small': _OUR_PAIR,
  },
}

_HEAD = """\
# Published numbers and the configs that make them

One line a config, written by `python -m benchmarks.published_scores --write`.
Scores are mean IoU in percent on Cityscapes' validation set (SYNTHIA: over
16 / 13 classes), on ACDC and Dark Zurich those of the test servers. **Scores,
seeds, users' results and cost are of the papers, the authors' repositories and
users of their code; none of these runs has been made with this library yet.**
Steps, batch and what is scored are read from the configs. The pages of the
systems ([README.md](README.md)) have the commands; `_released` is the released
code, which made the number.
"""
_COLUMNS = (
  'config',
  'published',
  'scored',
  'steps x images of each domain',
  'seeds of the mean',
  'users, remarks',
  "cost with the authors' code",
)


def _row(name: str, run: Run) -> list[str]:
  """Returns the cells of a config."""
  config = configs.load(name)
  steps = f'{config.steps:,}' if config.steps else 'seven rounds'
  scored = f'{config.eval.network}, {config.eval.checkpoint} step'
  batch = f'{steps} x {config.batch.groups * config.batch.group_size}'
  cells = [run.score, scored, batch, run.seeds, run.users, run.cost]
  return [f'`{name.split("/")[1]}`', *(cell or '-' for cell in cells)]


def page() -> str:
  """Returns the whole page."""
  line = lambda cells: f'| {" | ".join(cells)} |'
  parts = [_HEAD]
  for benchmark, runs in RUNS.items():
    rows = [_row(f'{benchmark}/{name}', run) for name, run in runs.items()]
    table = [_COLUMNS, ['---'] * len(_COLUMNS), *rows]
    parts.append(f'## {benchmark}\n\n' + '\n'.join(map(line, table)) + '\n')
  return '\n'.join(parts)


def main() -> None:
  """Reads the arguments."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--write', action='store_true', help=f'write {PAGE.name}')
  if parser.parse_args().write:
    PAGE.write_text(page())
  else:
    print(page())


if __name__ == '__main__':
  main()
