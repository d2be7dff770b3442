"""The code of an exported folder in environments without this library.

  python -m tests.deployment build/deployment

Trains a few steps, exports to StableHLO and ONNX (extra `onnx`), makes an
environment for each with what its page names (pip), and runs the page's code
there on a photo; the two label maps must agree with `uda_jax.predict`.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import venv

import numpy as np
from PIL import Image

from uda_jax import cli
from uda_jax.data.streets import render

# Least fraction of equal labels.
_AGREEMENT = 0.999


def _run(*command, **options):
  subprocess.run([str(x) for x in command], check=True, **options)


def check(args: argparse.Namespace) -> None:
  """Makes the folder, runs its code, and prints the agreement."""
  folder = args.folder.absolute()
  shutil.rmtree(folder, ignore_errors=True)
  out, python = folder / 'exported', sys.executable
  _run(
    python, '-m', 'uda_jax.main', '--config=streets/self_training',
    f'--workdir={folder}/run', f'--config.data.cache_dir={folder}/cache',
    '--config.steps=20', '--config.log.panels_every=0',
  )  # fmt: skip
  _run(
    python, '-m', 'uda_jax.export', f'--workdir={folder}/run', f'--out={out}',
    '--onnx', '--size=64x128',
  )  # fmt: skip
  image, _ = render.render(
    0, 7, size=(150, 310), style=render.style(gap=(0.5, 0.5))
  )
  Image.fromarray(image).save(out / 'photo.jpg', quality=95)
  _run(
    python, '-m', 'uda_jax.predict', f'--workdir={folder}/run',
    f'--images={out}/photo.jpg', f'--out={folder}/predicted', '--size=64x128',
  )  # fmt: skip
  with Image.open(folder / 'predicted/ids/photo.png') as file:
    expected = np.asarray(file)
  page = (out / 'README.md').read_text()
  parts = re.findall(
    '`pip install ([^`]*)`.*?```python\n(.*?)```', page, re.DOTALL
  )
  assert len(parts) == 2, page
  for packages, code in parts:
    place = folder / packages.split()[0]
    venv.create(place, with_pip=True)
    own = place / 'bin/python'
    alone = {k: x for k, x in os.environ.items() if k != 'PYTHONPATH'}
    _run(own, '-m', 'pip', 'install', '--quiet', *packages.split(), env=alone)
    _run(own, '-c', code, cwd=out, env=alone)
    with Image.open(out / 'ids.png') as file:
      same = float((np.asarray(file) == expected).mean())
    (out / 'ids.png').unlink()
    print(f'{packages}: {same:.3%} of the labels of predict')
    if same < _AGREEMENT:
      raise ValueError(
        f'{packages}: expected {_AGREEMENT:.1%} equal labels, got {same:.3%}'
      )


def main() -> None:
  """Runs the command; see the module's docstring."""
  parser = cli.Parser('tests.deployment', __doc__)
  parser.add_argument('folder', type=pathlib.Path)
  cli.run(parser, check)


if __name__ == '__main__':
  main()
