"""Files beside an exported network: network.json, README.md, segment.py."""

from __future__ import annotations

from collections.abc import Mapping
import json
import pathlib
from typing import Any

import jax

from uda_jax import types
from uda_jax.data import image_size
from uda_jax.evaluate import protocol
from uda_jax.evaluate import selection
from uda_jax.evaluate import tta
from uda_jax.export import markdown
from uda_jax.export import segment
from uda_jax.export import weights_file
from uda_jax.runs import restore

_PIXELS = (
  'as decoded from a file, 0..255; the network normalizes them itself: do '
  'not divide, subtract or reorder'
)
_STABLEHLO = """## StableHLO: JAX

`pip install jax flatbuffers pillow`, CPU, CUDA or TPU:

```python
import pathlib

import jax
from jax import export
from PIL import Image

import segment

content = pathlib.Path('network.stablehlo').read_bytes()
network = jax.jit(export.deserialize(bytearray(content)).call)
ids = segment.photo('photo.jpg', lambda images: network(images)['{output}'])
Image.fromarray(ids).save('ids.png')
```

JAX promises to read the file for six months after jax {jax}, which wrote it.
"""
_ONNX = """## ONNX

`pip install onnxruntime pillow`:

```python
import onnxruntime
from PIL import Image

import segment

network = onnxruntime.InferenceSession(
  'network.onnx', providers=['CPUExecutionProvider']
)
ids = segment.photo(
  'photo.jpg', lambda images: network.run(['{output}'], {{'images': images}})[0]
)
Image.fromarray(ids).save('ids.png')
```

`network.get_modelmeta().custom_metadata_map` has the keys `classes`, `palette`
and `input` of network.json.
"""
_TITLE = '# An exported network'
_README = """# An exported network

It segments images into {count} classes: {classes}.
Trained on: {trained_on}.

Run the code in this folder, on any machine without uda_jax. `segment.py` needs
numpy and Pillow: it resizes a photo for the network and its answer to the size
of the photo.

{snippets}
## Input

`images`, {shape}, uint8: {pixels}.

A photo is {rule}.{padding}

## Output

`logits`, float32, and `ids`, int32, the largest of them, both at the size of
the input{grid}; `segment.photo` decides at the size of the photo, as the run's
scoring does. {views}

{table}
"""
_GRID = (
  ', and `grid`, float32, {shape}, the logits of the network itself, which the '
  "run's scoring enlarges in one step"
)
_PADDING = (
  ' The network takes one size, so a photo of another ratio fits into its '
  'upper left corner and the rest repeats the last row or column. Its labels '
  'differ from those of `uda_jax predict`, the more the less of the input it '
  'covers (`segment.py` warns below three quarters): export again at the size '
  'of such photos, for upright ones with height and width swapped.'
)


def check_folder(out: pathlib.Path) -> None:
  """Raises ValueError if a folder holds the README.md of something else."""
  page = out / 'README.md'
  if page.exists() and not page.read_text('utf8', 'replace').startswith(_TITLE):
    raise ValueError(
      f'--out: expected a folder for the exported files, got one with a '
      f'README.md of its own: {out}'
    )


def about(
  trained: restore.Trained,
  which: str,
  workdir: pathlib.Path,
  shape: tuple[int | str, ...],
  grid: tuple[int, ...] = (),
) -> dict[str, Any]:
  """Returns the contents of network.json, without `files`.

  Args:
    trained: the network.
    which: 'student', 'teacher' or 'best'.
    workdir: the run's directory.
    shape: of the input, [B, H, W, N]; B may be a name.
    grid: (height, width) of the output `grid`, () without one.
  """
  config = trained.config
  started_from = weights_file.started_from(workdir)
  declared = weights_file.declaration(
    config, which, '', started_from, trained.step
  ) | selection.note(config, which)
  return {
    'input': _input(config, shape),
    'outputs': _outputs(trained, [*shape[:3]], grid),
    'scoring': protocol.describe(config.eval),
    # Used in the run's evaluation, not in the files.
    'test_time_augmentation': {
      'scales': config.eval.scales,
      'flip': config.eval.flip,
      'in_files': False,
    },
    'classes': trained.class_names,
    'palette': trained.palette,
    # Its name would invite to normalize once more.
    'trained': {k: x for k, x in declared.items() if k != 'preprocessing'},
    'jax': jax.__version__,
  }


def _input(
  config: types.Config, shape: tuple[int | str, ...]
) -> dict[str, Any]:
  return {
    'name': 'images',
    'dtype': 'uint8',
    'shape': list(shape),
    'layout': 'NHWC',
    'colors': _colors(shape[-1]),
    'range': [0, 255],
    'pixels': f'{_colors(shape[-1])} {_PIXELS}',
    # The size that scoring resizes images to; the files do not resize.
    'image_size': str(image_size.seen(config.data)),
    'resize': _resize(config),
  }


def _outputs(
  trained: restore.Trained, lead: list[int | str], grid: tuple[int, ...]
) -> dict[str, dict[str, Any]]:
  """Returns what the outputs are, and how a photo gets its labels from them."""
  config, count = trained.config, len(trained.class_names)
  how = protocol.configured(config.eval).without_views()
  outputs: dict[str, dict[str, Any]] = {
    'ids': {'dtype': 'int32', 'shape': lead, 'values': 'index of classes'},
    'logits': {'dtype': 'float32', 'shape': [*lead, count]},
  }
  if grid:
    outputs['grid'] = {'dtype': 'float32', 'shape': [lead[0], *grid, count]}
  # A margin, where the ratio is kept, is no whole part of the grid.
  whole = not _resize(config)['keep_ratio']
  # How scoring brings an output to the size of a photo.
  outputs['enlarge'] = {
    'output': 'grid' if grid and whole else 'logits',
    'what': 'probabilities' if how.gives_probabilities else 'logits',
    'align_corners': bool(config.eval.align_corners),
  }
  return outputs


def _colors(channels: int | str) -> str:
  return 'RGB' if channels == 3 else f'{channels} channels'


def _resize(config: types.Config) -> dict[str, Any]:
  """Returns the rule by which a photo comes to the size of the input."""
  rule = image_size.seen(config.data)
  return {
    # Without a size of the run: as `predict --size` has it.
    'keep_ratio': rule.keep_ratio and any(rule.size),
    'filter': rule.resize,
    'antialias': rule.resize != 'bilinear',
  }


def metadata(about: Mapping[str, Any]) -> dict[str, str]:
  """Returns what an ONNX file states itself, as texts of JSON."""
  return {
    name: json.dumps(about[name]) for name in ('classes', 'palette', 'input')
  }


def readme(about: Mapping[str, Any]) -> str:
  """Returns README.md of a folder.

  Args:
    about: the contents of network.json, with `files`.
  """
  shape, rule = about['input']['shape'], about['input']['resize']
  size = f'{shape[1]} x {shape[2]} pixels (height x width)'
  antialias = 'antialiasing' if rule['antialias'] else 'no antialiasing'
  how = f'resized to fit into {size}, its ratio kept'
  if not rule['keep_ratio']:
    how = f'resized to {size}, whatever its ratio'
  outputs = about['outputs']
  output = outputs['enlarge']['output']
  snippets = [_STABLEHLO.format(jax=about['jax'], output=output)]
  if 'network.onnx' in about['files']:
    snippets.append(_ONNX.format(output=output))
  grid = ''
  if 'grid' in outputs:
    grid = _GRID.format(shape=outputs['grid']['shape'])
  views = 'The run scores one pass, as the files do.'
  augmentation = about['test_time_augmentation']
  if tta.is_used(augmentation['scales'], augmentation['flip']):
    views = (
      "The run's scores average over scales or mirror images "
      '(`test_time_augmentation`), the files make one pass.'
    )
  return _README.format(
    count=len(about['classes']),
    classes=markdown.text(', '.join(about['classes'])),
    trained_on=markdown.text(about['trained']['trained_on']),
    snippets='\n'.join(snippets),
    shape=shape,
    pixels=about['input']['pixels'],
    rule=f'{how} ({rule["filter"]}, {antialias})',
    padding=_PADDING if rule['keep_ratio'] else '',
    views=views,
    grid=grid,
    table=markdown.table(
      ('id', 'class', 'color'),
      [
        (i, name, f'#{"".join(f"{x:02x}" for x in color)}')
        for i, (name, color) in enumerate(
          zip(about['classes'], about['palette'], strict=True)
        )
      ],
    ),
  )


def segment_source() -> bytes:
  """Returns segment.py."""
  return pathlib.Path(segment.__file__).read_bytes()
