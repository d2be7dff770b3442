"""The page of a published network: what it is, what it saw, how it scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import uda_jax
from uda_jax import methods
from uda_jax import words
from uda_jax.data import image_size
from uda_jax.data import records
from uda_jax.evaluate import protocol
from uda_jax.evaluate import reports as reports_lib
from uda_jax.export import markdown
from uda_jax.runs import restore

_TEXT = """---
library_name: uda_jax
pipeline_tag: image-segmentation
tags:
- semantic-segmentation
- domain-adaptation
---

# {title}

A network that segments images into {count} classes, trained with
uda_jax {version}.

{facts}

## Scores

{scores}

## Classes

{classes}

## Use

```
python -m uda_jax.predict --workdir=hf://{repo} \\
    --images=photos/ --out=segmented/
python -m uda_jax.main --config=CONFIG --workdir=RUN \\
    --config.warm_start.workdir=hf://{repo} \\
    --config.warm_start.network={network}
```

```python
from uda_jax.runs import restore

trained = restore.load('hf://{repo}')   # network, variables, config, classes
```

Both need `pip install 'uda_jax[train,hub]'`. `model.safetensors` has the tensor
names of the network's authors, so that their PyTorch code loads it;
`manifest.json` is the config of the run.
"""


def write(
  repo: str,
  trained: restore.Trained,
  declared: Mapping[str, Any],
  data: Mapping[str, Mapping[str, Any]],
  reports: Mapping[str, Mapping[str, Any]] | None,
) -> str:
  """Returns the page as Markdown with the hub's header.

  Args:
    repo: 'OWNER/NAME'.
    trained: the network.
    declared: its declaration, see `weights_file.declaration`.
    data: of the run's manifest: name and number of images by part; {} unknown.
    reports: of `results.json`; None without any.
  """
  config = trained.config
  facts = {
    'network': f'{_network(config)}, the {declared["network"]} of its run',
    'method': methods.full_name(config.method),
    'source': _data(config, data, 'source'),
    'target': _data(config, data, 'target'),
    'all data seen': declared['trained_on'],
    'saw labels of the target': _yes(declared['saw_target_labels']),
    'steps, seed': f'{_steps(trained)}, {config.seed}',
    'images': f'{_channels(config)}, {image_size.seen(config.data)}',
    'licence of its start weights': declared.get('licence')
    or 'not declared (random start, or a file that states none)',
  }
  return _TEXT.format(
    title=repo.partition('/')[2],
    repo=repo,
    count=len(trained.class_names),
    version=uda_jax.__version__,
    network=declared['network'],
    facts=markdown.table(('', ''), list(facts.items())),
    scores=_scores(config, data, reports),
    classes=markdown.table(
      ('id', 'name', 'color'),
      [
        (str(i), name, '#{:02x}{:02x}{:02x}'.format(*color))
        for i, (name, color) in enumerate(
          zip(trained.class_names, trained.palette, strict=True)
        )
      ],
    ),
  )


def _yes(value: bool) -> str:
  return 'yes' if value else 'no'


def _steps(trained: restore.Trained) -> str:
  step, steps = trained.step, trained.config.steps
  return str(steps) if step in (None, steps) else f'{step} of {steps}'


def _channels(config) -> str:
  count = config.model.in_channels
  return 'RGB' if count == 3 else f'{count} channels'


def _network(config) -> str:
  parts = [config.model.get(name) for name in ('encoder', 'head')]
  inner = ', '.join(part for part in parts if part)
  return f'{config.model.name} ({inner})' if inner else config.model.name


def _data(config, data: Mapping[str, Mapping[str, Any]], part: str) -> str:
  """Returns the name of a data set, and its number of images if known."""
  name = records.title(config.data, part)
  if part not in data:
    return name
  return f'{name}, {words.counted(data[part]["images"], "image")}'


def _scores(
  config,
  data: Mapping[str, Mapping[str, Any]],
  reports: Mapping[str, Mapping[str, Any]] | None,
) -> str:
  """Returns the tables of means and of classes, in percent."""
  if not reports:
    return 'The run has no scores yet.'
  percent = lambda score: '–' if score is None else f'{100 * score:.1f}'
  names = {row: reports_lib.row_name(row, r) for row, r in reports.items()}
  first = next(iter(reports.values()))
  means = markdown.table(
    ('mIoU', *first['miou'], 'pixel accuracy'),
    [
      (
        names[row],
        *map(percent, report['miou'].values()),
        percent(report['pixel_accuracy']),
      )
      for row, report in reports.items()
    ],
  )
  classes = markdown.table(
    ('IoU', *names.values()),
    [
      (name, *(percent(report['iou'][name]) for report in reports.values()))
      for name in first['iou']
    ],
  )
  how = (
    f'In percent, on {markdown.text(_data(config, data, "evaluation"))}; '
    f'{protocol.describe(config.eval)}.'
  )
  return f'{how}\n\n{means}\n\n{classes}'
