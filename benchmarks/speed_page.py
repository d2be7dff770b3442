"""Text of benchmarks/README.md from the stored measurements.

`benchmarks.speed` stores them and writes the page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import json
import pathlib
from typing import Any

_FOLDER = pathlib.Path(__file__).parent
PAGE = _FOLDER / 'README.md'
RESULTS = _FOLDER / 'results' / 'speed'
# What a record of a measurement names.
PACKAGES = (
  'jax',
  'jaxlib',
  'flax',
  'tensorflow-cpu',
  'torch',
  'opencv-python-headless',
  'pillow',
)
Record = Mapping[str, Any]

_HEAD = """# Speed

This page is written by `python -m benchmarks.speed` from the measurements
in [results/speed](results/speed): change those, not the page. A ratio
compares both sides in one run on one machine; above 1, this library is
faster. What to set for speed: [docs/speed.md](../docs/speed.md).
"""


def path(part: str) -> pathlib.Path:
  """Returns the file of a part's record."""
  return RESULTS / f'{part}.json'


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
  """Returns a table in Markdown."""
  lines = [head, ['---'] * len(head), *rows]
  return ''.join(f'| {" | ".join(map(str, line))} |\n' for line in lines)


def ratio(values: Sequence[float]) -> str:
  """Returns the median with the range of (lowest, median, highest)."""
  low, middle, high = values
  if low == high:
    return f'**{middle:.2f}**'
  return f'**{middle:.2f}** ({low:.2f} to {high:.2f})'


def _start(record: Record) -> str:
  names = {
    'compact': '`streets/self_training`, compact network',
    'mit_b5': 'DAFormer, MiT-B5, crops of 128',
  }
  parts = list(record['lines'][0]['cold']['parts'])
  rows = [
    [
      names[line['case']],
      kind,
      f'**{line[kind]["seconds"]:.1f}**',
      line[kind]['cpu_seconds'],
    ]
    + [line[kind]['parts'][part] for part in parts]
    for line in record['lines']
    for kind in ('cold', 'cached')
  ]
  return (
    'Seconds from the command to the end of the first train step, with '
    'prepared data. "cold": nothing is compiled yet. "cached": the compile '
    'cache has the programs of an earlier start. The goal is 15 seconds for '
    'MiT-B5, cached. CPU seconds, and their parts, are those of all threads; '
    'the wall time is of a machine with the load that is named below.\n\n'
    + table(('training', 'cache', 'wall', 'CPU', *parts), rows)
    + '\n"imports" is Python reading TensorFlow and JAX; "data and network" '
    'reads manifests and weights and makes the network; "train step" is '
    'tracing, which no cache saves, and compiling it or reading it from the '
    'cache; "pictures" is the program that draws the first pictures of the '
    'run.\n'
  )


# Form of the data -> what ours and the other loaders read.
_READ = {
  'copies': ('copies', 'PNG as published'),
  'raw': ('PNG as published', 'PNG as published'),
  'prepared': ('copies', 'the same copies'),
}


def _input(record: Record) -> str:
  names = {'opencv': 'OpenCV', 'pillow': 'Pillow'}
  rows = []
  for line in record['lines']:
    speed = line['images_a_second_a_core']
    for name, ratios in sorted(line['times_as_long_as_uda_jax'].items()):
      own, others = _READ[line['images']]
      cells = (own, others, ratio(ratios), speed['uda_jax'], speed[name])
      rows.append((names[name], *cells))
  (copies,) = (line for line in record['lines'] if line['images'] == 'copies')
  return (
    'Training images a second of one core, from the CPU time of the pipeline '
    "and of PyTorch's DataLoader with the usual code for the same crops. "
    'Copies are those of `config.data.resized_copies=True`: made once, they '
    'give the same bits as the PNG files as published (2.3 MB each). The goal '
    'is twice the OpenCV loader of the files as published.\n\n'
    + table(
      ('beside', 'ours reads', 'it reads', 'ratio', 'ours', 'it'),
      rows,
    )
    + f'\nA copy takes {copies["cpu_ms_to_copy_an_image"]} ms of a core, once, '
    f'and {copies["mb_an_image"]} MB of disk, for an image.\n'
  )


def _inference(record: Record) -> str:
  titles = {
    'evaluate': 'evaluation at 1024 x 2048',
    'predict': 'prediction of a folder of 1024 x 2048 PNG files',
  }
  rows = [
    [
      titles[line['case']],
      ratio(line['torch_times_as_long']),
      f'{1 / line["ours_seconds"]:.3f}',
      f'{1 / line["torch_seconds"]:.3f}',
    ]
    for line in record['lines']
  ]
  alike = [f'{100 * line["pixels_alike"]:.2f} %' for line in record['lines']]
  return (
    f'{record["lines"][0]["network"]} with the same weights in both, image by '
    'image, float32. Evaluation is a forward pass at full size, the '
    'enlargement and the counts of classes. Prediction reads a file, predicts '
    'at 512 x 1024 and writes the label map, its colors and an overlay at full '
    'size.\n\n'
    + table(('task', 'ratio', 'ours, images/s', 'PyTorch, images/s'), rows)
    + f'\nBoth gave the same class at {" and ".join(alike)} of the pixels.\n'
  )


def _demo(record: Record) -> str:
  rows = [
    [
      line['case'],
      f'**{line["seconds"] // 60} min {line["seconds"] % 60} s**',
      f'{line["miou"]["source-only"]:.1f}',
      f'{line["miou"]["adapted"]:.1f}',
    ]
    for line in record['lines']
  ]
  return (
    '`make demo` after the installation, with nothing prepared and nothing '
    'compiled. The goal is four minutes on two cores.\n\n'
    + table(('run', 'wall time', 'source-only, mIoU', 'adapted, mIoU'), rows)
  )


def _train_step(record: Record) -> str:
  names = {
    'mit_b0': 'DAFormer, MiT-B0, 2 + 2 images of 256 x 256',
    'resnet101': 'PixMatch (Fourier), ResNet-101, 1 + 1 images of 192 x 192',
    'lite0': '`camvid_to_idd/self_training`, EfficientNet-Lite0',
    'compact': '`streets/self_training`, compact network',
  }
  each = lambda values: ' / '.join(f'{x:.3g}' for x in values)
  rows = [
    [
      names[line['case']],
      f'**{line["ratio"]:.2f}**' if line['ratio'] else 'not compared',
      each(line['ours']),
      each(line['peer']),
    ]
    for line in record['lines']
  ]
  tunables = record['lines'][0]['glibc_tunables'] or 'not set'
  return (
    'Seconds of a train step on a CPU, float32, beside a program of PyTorch '
    'with the same network, batch and terms, in turns: median of each round. '
    'The goal is a ratio above 1 everywhere.\n\n'
    + table(('step', 'ratio', 'ours, s', 'PyTorch, s'), rows)
    + f'\n`GLIBC_TUNABLES`: {tunables} (for both).\n'
  )


# Part -> title and text of its section.
SECTIONS: dict[str, tuple[str, Callable[[Record], str]]] = {
  'train_step': ('Train step', _train_step),
  'start': ('Start', _start),
  'input': ('Input', _input),
  'inference': ('Evaluation and prediction', _inference),
  'demo': ('Demo', _demo),
}


def section(title: str, text: str, record: Record) -> str:
  """Returns a section with how and where it was measured."""
  found = ', '.join(f'{k} {v}' for k, v in record['versions'].items())
  return (
    f'## {title}\n\n{text}\n`{record["command"]}`\n\n{record["date"]}, '
    f'{record["machine"]}, load {record["load"]} at the end; {found}.\n'
  )


def page() -> str:
  """Returns the page: all stored measurements, and what is missing."""
  sections = []
  for part, (title, text) in SECTIONS.items():
    if path(part).exists():
      record = json.loads(path(part).read_text())
      sections.append(section(title, text(record), record))
    else:
      command = f'`python -m benchmarks.speed --parts={part}`'
      sections.append(f'## {title}\n\nNot measured yet: {command}.\n')
  return '\n'.join([_HEAD, *sections])
