"""Label files that cannot be scored, and images that cannot be predicted."""

from __future__ import annotations

import json
import os
import pathlib

import numpy as np
from PIL import Image

from tests.bad_inputs import case
from uda_jax.evaluate import __main__ as evaluate
from uda_jax.predict import images as predict_images
from uda_jax.predict import video

_IDS = np.arange(16, dtype=np.uint8).reshape(4, 4) % 3


def _write(path: pathlib.Path, pixels=_IDS) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def _scored(make, *flags):
  """Two folders of two files, changed by `make`, are scored."""

  def run(folder):
    for kind in ('pred', 'true'):
      for name in 'ab':
        _write(folder / f'{kind}/{name}.png')
    make(folder)
    evaluate.main(
      [
        f'--predictions={folder / "pred"}',
        f'--labels={folder / "true"}',
        f'--out={folder / "out/scores.json"}',
        *(flags or ('--ids=train',)),
      ]
    )

  return run


def _over(name, write):
  def make(folder):
    (folder / name).unlink()
    write(folder / name)

  return make


def _empty(kind):
  def make(folder):
    for path in (folder / kind).iterdir():
      path.unlink()

  return make


def _record(content):
  text = content if isinstance(content, str) else json.dumps(content)
  return lambda folder: (folder / 'pred/ids.json').write_text(text)


_FRAMES = [Image.fromarray(np.roll(_IDS, n)) for n in range(2)]
# Name, what is done, what the line says.
_PAIRS = (
  ('no prediction', _empty('pred'), 'pred'),
  ('no label', _empty('true'), 'true|pred'),
  ('a prediction is gone', lambda f: (f / 'pred/a.png').unlink(), r'a\.png'),
  ('another size', lambda f: _write(f / 'pred/a.png', _IDS[:3]), 'the size of'),
  ('ignored', lambda f: _write(f / 'pred/a.png', _IDS * 0 + 255), '0..2'),
  ('a class too many', lambda f: _write(f / 'pred/a.png', _IDS + 1), '0..2'),
  ('labels of 9', lambda f: _write(f / 'true/a.png', _IDS * 0 + 9), r'0\.\.2'),
  ('cut', lambda f: case.cut(f / 'pred/a.png', 20), r'pred/a\.png.*truncated'),
  (
    'cut label',
    lambda f: case.cut(f / 'true/a.png', 20),
    r'true/a\.png.*trunc',
  ),
  ('empty', _over('pred/a.png', lambda p: p.write_bytes(b'')), r'a\.png'),
  ('text', _over('pred/a.png', lambda p: p.write_text('x')), r'pred/a\.png'),
  ('pointer of Git LFS', _over('true/a.png', case.lfs), 'git lfs pull'),
  ('a folder', _over('pred/a.png', os.mkdir), r'a\.png'),
  ('a link to itself', _over('pred/a.png', case.loop), r'a\.png'),
  (
    'a picture',
    lambda f: _write(f / 'pred/a.png', np.zeros((4, 4, 3))),
    r'pred/a\.png.*class ids',
  ),
  (
    'an animation',
    _over(
      'pred/a.png',
      lambda p: _FRAMES[0].save(p, save_all=True, append_images=_FRAMES[1:]),
    ),
    '2 frames',
  ),
  (
    'JPEG',
    _over('true/a.png', lambda p: _FRAMES[0].save(p, format='JPEG')),
    'got JPEG',
  ),
  ('a record of text', _record('x'), r'ids\.json'),
  ('a list as record', _record([]), r'ids\.json'),
  ('an empty record', _record({}), r'ids\.json'),
  ('unknown ids', _record({'ids': 'x', 'classes': ['a', 'b', 'c']}), 'ids'),
  ('deep', _record('[' * 100_000), r'ids\.json'),
  (
    'other classes',
    _record({'ids': 'train', 'classes': ['a', 'b', 'd']}),
    r'--classes: expected .*ids\.json',
  ),
)


def _found(make, pattern='.'):
  """Images to predict are looked for and read."""

  def run(folder):
    make(folder)
    failures: list[str] = []
    files = predict_images.find(str(folder / pattern))
    for _ in predict_images.read(files, (), failures.append):
      pass
    if failures:
      raise ValueError(failures[0])

  return run


def _video(content):
  def run(folder):
    (folder / 'a.mp4').write_bytes(content)
    _, frames = video.read(str(folder / 'a.mp4'))
    list(frames)

  return run


_IMAGES = (
  ('no file', lambda f: None, '--images: found no image'),
  ('an empty file', lambda f: (f / 'a.png').write_bytes(b''), 'found no image'),
  ('a text', lambda f: (f / 'a.txt').write_text('x'), 'found no image'),
  ('a folder', lambda f: (f / 'a.png').mkdir(), 'found no image'),
  ('a link to itself', lambda f: case.loop(f / 'a.png'), 'found no image'),
  ('a pipe', lambda f: os.mkfifo(f / 'a.png'), 'found no image'),
  ('a hidden file', lambda f: _write(f / '.a.png'), 'found no image'),
  (
    'two of one name',
    lambda f: (_write(f / 'a.png'), _write(f / 'a.gif')),
    'a',
  ),
  ('a web page', lambda f: (f / 'a.png').write_text('<html>'), 'a web page'),
  ('a pointer', lambda f: case.lfs(f / 'a.jpg'), 'git lfs pull'),
)
CASES = (
  *(
    case.Case(name, _scored(make, '--ids=train', '--classes=a,b,c'), line)
    for name, make, line in _PAIRS
  ),
  case.Case(
    'train ids as label ids',
    _scored(lambda f: None, '--ids=cityscapes'),
    'true',
  ),
  *(
    case.Case(f'to predict: {name}', _found(make), line)
    for name, make, line in _IMAGES
  ),
  case.Case(
    'a pattern of none', _found(lambda f: None, '*.png'), 'found no im'
  ),
  case.Case('a film of text', _video(b'no film'), 'a.mp4: '),
)
