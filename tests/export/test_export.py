"""Exported files give what the network gives, or are not there."""

import hashlib
import importlib.util
import json
import re
import subprocess
import sys
import warnings

import jax
from jax import export as jax_export
import numpy as np
from PIL import Image
import pytest

from tests import small_config
from tests import tiny
from uda_jax.data import image_files
from uda_jax.data import image_size
from uda_jax.evaluate import inference
from uda_jax.evaluate import protocol
from uda_jax.export import __main__ as export
from uda_jax.export import command
from uda_jax.export import description
from uda_jax.export import onnx
from uda_jax.export import segment
from uda_jax.predict import network as network_lib
from uda_jax.runs import provenance
from uda_jax.runs import restore

NAMES = ('road', 'sky', 'car')


@pytest.fixture
def main(tmp_path, monkeypatch):
  """Calls the command on a run of the tiny network."""
  network = tiny.network(len(NAMES))
  workdir = tmp_path / 'run'
  classes = {'names': NAMES, 'palette': ((0, 0, 0),) * 3}
  provenance.run_manifest(
    workdir, small_config.get_config(), {'classes': classes}
  )
  variables = network.init(jax.random.key(3), (8, 8))
  trained = restore.Trained(
    small_config.get_config(), NAMES, classes['palette'], network, variables
  )
  monkeypatch.setattr(restore, 'load', lambda workdir, which: trained)

  def call(*args):
    export.main(
      [
        f'--workdir={workdir}',
        f'--out={tmp_path / "out"}',
        '--size=6x10',
        *args,
      ]
    )
    return trained, tmp_path / 'out'

  return call


@pytest.mark.parametrize('batch_size', [0, 1])
def test_the_file_runs_alone(main, batch_size, capsys):
  trained, out = main(f'--batch_size={batch_size}')
  path = out / 'network.stablehlo'
  assert sorted(x.name for x in out.iterdir()) == [
    'README.md',
    'network.json',
    'network.stablehlo',
    'segment.py',
  ]
  images = np.random.default_rng(0).integers(
    0, 256, (3 if batch_size == 0 else 1, 6, 10, 3), np.uint8
  )
  found = jax_export.deserialize(bytearray(path.read_bytes())).call(images)
  outputs, _ = trained.network.forward(
    *trained.variables,
    trained.network.normalize(images),
    use_running_average=True,
  )
  np.testing.assert_allclose(found['logits'], outputs.logits, atol=1e-5)
  np.testing.assert_array_equal(found['ids'], found['logits'].argmax(-1))
  assert found['ids'].dtype == np.int32 and len(np.unique(found['ids'])) > 1
  about = json.loads((out / 'network.json').read_text())
  assert about['classes'] == list(NAMES) and len(about['palette']) == 3
  assert about['input']['shape'] == [batch_size or 'batch', 6, 10, 3]
  assert 'do not divide' in about['input']['pixels']
  assert 'CENTRED' not in (out / 'network.json').read_text()
  facts = about['files']['network.stablehlo']
  assert facts['sha256'] == hashlib.sha256(path.read_bytes()).hexdigest()
  assert facts['label_agreement'] == 1
  assert 'network.stablehlo: logits within' in capsys.readouterr().out


def test_test_time_augmentation_is_left_out_and_reported(main, capsys):
  trained, out = main()
  assert 'averages' not in capsys.readouterr().out
  trained.config.eval.update(scales=(0.5, 1.0), flip=True)
  main()
  about = json.loads((out / 'network.json').read_text())
  assert about['test_time_augmentation'] == {
    'scales': [0.5, 1.0],
    'flip': True,
    'in_files': False,
  }
  assert 'scales 0.5, 1, each also mirrored; the files make one' in (
    capsys.readouterr().out
  )


def test_labels_of_enlarged_probabilities(main):
  trained, out = main()
  trained.config.eval.update(enlarge='probabilities', one_step=True)
  main()
  found = command.run_stablehlo(
    out / 'network.stablehlo', images := command.sample_image((1, 6, 10, 3))
  )
  how = protocol.configured(trained.config.eval)
  prob = inference.make_scores(trained.network, how)(
    trained.variables, images, (6, 10)
  )
  np.testing.assert_allclose(np.exp(found['logits']), prob, rtol=1e-4)
  np.testing.assert_array_equal(found['ids'], prob.argmax(-1))
  about = json.loads((out / 'network.json').read_text())
  assert about['scoring'].startswith('probabilities enlarged')


def test_a_file_that_differs_gets_no_name(main, tmp_path, monkeypatch):
  monkeypatch.setattr(
    command,
    'run_stablehlo',
    lambda path, images: {
      'ids': np.zeros(images.shape[:3], np.int32),
      'logits': np.zeros((*images.shape[:3], 3), np.float32),
    },
  )
  with pytest.raises(SystemExit, match='network.stablehlo: expected the logit'):
    main()
  assert not list((tmp_path / 'out').iterdir())


def test_limits():
  logits = np.linspace(-50, 50, 30000, dtype=np.float32).reshape(1, 100, 100, 3)
  expected = {'ids': logits.argmax(-1), 'logits': logits}
  near = command.compare(
    'f', expected | {'logits': logits + 4e-3}, expected, 1e-4
  )
  assert near['logit_difference'] == pytest.approx(8e-5, rel=0.01)
  with pytest.raises(ValueError, match='got a difference of 0.00012'):
    command.compare('f', expected | {'logits': logits + 6e-3}, expected, 1e-4)
  with pytest.raises(ValueError, match='nan'):
    command.compare('f', expected | {'logits': logits * np.nan}, expected, 1)
  ids = expected['ids'].copy()
  ids[0, 0, :11] = 0
  with pytest.raises(ValueError, match='99.89%'):
    command.compare('f', expected | {'ids': ids}, expected, 1e-4)


def test_missing_packages_are_told_with_their_install_line(
  main, tmp_path, monkeypatch
):
  monkeypatch.setattr(onnx.importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(SystemExit, match='jax2onnx is not.*pip install .uda_jax'):
    main('--onnx')
  assert not (tmp_path / 'out').exists()


# Run before the code of README.md: this library and what only it needs are as
# if they were not there; ONNX Runtime, which is not installed, runs the other
# file.
ALONE = """
import sys, types, pathlib
for name in ('uda_jax', 'flax', 'tensorflow', 'ml_collections', 'absl'):
  sys.modules[name] = None

class InferenceSession:
  def __init__(self, path, providers):
    from jax import export
    assert path == 'network.onnx' and providers == ['CPUExecutionProvider']
    content = pathlib.Path('network.stablehlo').read_bytes()
    self.network = export.deserialize(bytearray(content))

  def run(self, names, feed):
    assert names == ['logits'] and list(feed) == ['images']
    return [self.network.call(feed['images'])['logits']]

sys.modules['onnxruntime'] = types.SimpleNamespace(
  InferenceSession=InferenceSession)
"""


def _photo(path, size):
  random = np.random.default_rng(0)
  coarse = random.integers(0, 256, (4, 5, 3), np.uint8)
  image = Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC)
  image.save(path)
  return np.asarray(image)


@pytest.mark.parametrize(
  ('size', 'fields', 'scoring'),
  [
    ((37, 53), {}, {}),
    ((30, 50), {'keep_ratio': True}, {'align_corners': True}),
    ((41, 53), {'keep_ratio': True}, {'enlarge': 'probabilities'}),
    ((6, 10), {'resize': 'bicubic'}, {}),
    ((23, 90), {'resize': 'bicubic'}, {}),
    ((30, 50), {'resize': 'pillow_bilinear'}, {}),
    (
      (30, 50),
      {},
      dict(enlarge='logits_of_windows', window=(6, 6), stride=(6, 4)),
    ),
  ],
)
def test_a_photo_of_any_size_as_predict_has_it(main, size, fields, scoring):
  trained, out = main()
  trained.config.data.update(eval_image_size=(6, 10), **fields)
  trained.config.eval.update(scoring)
  main()
  pixels = _photo(out / 'photo.png', size)
  spec = importlib.util.spec_from_file_location('segment', out / 'segment.py')
  segment = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(segment)
  run = lambda images: command.run_stablehlo(out / 'network.stablehlo', images)
  found = segment.photo(out / 'photo.png', lambda images: run(images)['logits'])
  rule = image_size.seen(trained.config.data)
  expected = network_lib.make_predict(trained, rule)(pixels[None])[0][0]
  assert found.dtype == np.uint8 and found.shape == size
  for wrong in (pixels[..., 0], pixels / np.float32(255)):
    with pytest.raises(ValueError, match=r'pixels \[h, w, 3\] of uint8, got'):
      segment.photo(wrong, None)
  assert (found == expected).mean() > 0.999 and len(np.unique(found)) > 1


def test_a_photo_from_the_grid_of_the_network_in_one_step(main, monkeypatch):
  """In two steps, over the size of the input, labels at borders differ."""
  trained, out = main()
  network = trained.network

  def forward(*args, **switches):
    outputs, stats = network.forward(*args, **switches)
    return outputs._replace(logits=outputs.logits[:, ::2, ::2]), stats

  coarse = trained._replace(network=network._replace(forward=forward))
  monkeypatch.setattr(restore, 'load', lambda workdir, which: coarse)
  pixels = _photo(out / 'photo.png', (37, 53))
  for keep_ratio, output in ((False, 'grid'), (True, 'logits')):
    trained.config.data.update(eval_image_size=(6, 10), keep_ratio=keep_ratio)
    trained.config.eval.update(
      one_step=True, enlarge='probabilities', align_corners=True
    )
    main()
    about = json.loads((out / 'network.json').read_text())
    assert about['outputs']['grid']['shape'] == [1, 3, 5, 3]
    assert about['outputs']['enlarge']['output'] == output
    assert f"network(images)['{output}']" in (out / 'README.md').read_text()
  monkeypatch.setattr(segment, 'FOLDER', out)
  trained.config.data.keep_ratio = False
  main()
  run = lambda images: command.run_stablehlo(out / 'network.stablehlo', images)
  photo = lambda name: segment.photo(pixels, lambda x: run(x)[name])
  rule = image_size.seen(trained.config.data)
  expected = network_lib.make_predict(coarse, rule)(pixels[None])[0][0]
  assert (photo('grid') == expected).mean() > 0.999
  assert (photo('logits') == expected).mean() < 0.999


@pytest.mark.parametrize('bad', [np.nan, np.inf])
def test_logits_that_are_not_finite_are_no_class(bad):
  logits = np.zeros((2, 3, 4), np.float32)
  logits[1, 1, 2] = bad
  enlarge = {'what': 'logits', 'align_corners': False}
  with pytest.raises(ValueError, match='expected finite logits'):
    segment.decide(logits, (4, 6), enlarge)


def test_a_photo_that_leaves_much_of_the_input_empty(tmp_path, monkeypatch):
  resize = {'keep_ratio': True, 'filter': 'bilinear'}
  enlarge = {'what': 'logits', 'align_corners': False}
  about = {
    'input': {'shape': [1, 6, 10, 3], 'resize': resize},
    'outputs': {'enlarge': enlarge},
  }
  (tmp_path / 'network.json').write_text(json.dumps(about))
  monkeypatch.setattr(segment, 'FOLDER', tmp_path)
  photo = lambda *size: segment.photo(
    np.zeros((*size, 3), np.uint8), lambda x: np.zeros((*x.shape[:3], 2))
  )
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    assert photo(30, 50).shape == (30, 50)
    photo(30, 40)
    # It covers 6 x 4 pixels of 6 x 10.
    with pytest.raises(UserWarning, match='50 x 30 .* covers 40% .* 6 x 10'):
      photo(50, 30)


def test_names_that_are_markup(main):
  _, out = main()
  about = json.loads((out / 'network.json').read_text())
  about['classes'] = ['a|b', '<b>sky</b> & $x$', 'two\nlines']
  page = description.readme(about)
  assert '| 0 | a\\|b | #000000 |\n' in page
  assert '| 1 | &lt;b&gt;sky&lt;/b&gt; &amp; \\$x\\$ | #000000 |\n' in page
  assert '| 2 | two lines | #000000 |\n' in page and '<b>' not in page


def test_photos_that_would_lose_values_are_refused(tmp_path):
  deep = np.arange(192, dtype=np.uint16).reshape(12, 16) * 300
  for name, values in (
    ('a.png', deep),
    ('b.tif', deep.astype(np.int32)),
    ('c.tif', deep.astype(np.float32)),
  ):
    Image.fromarray(values).save(tmp_path / name)
    with pytest.raises(ValueError, match=f'{name}: expected 8 bits a channel'):
      segment.read(tmp_path / name)
  frames = [Image.fromarray(np.full((4, 4), n, np.uint8)) for n in range(2)]
  path = tmp_path / 'd.gif'
  frames[0].save(path, save_all=True, append_images=frames[1:])
  with pytest.raises(ValueError, match='d.gif: expected one picture, got 2'):
    segment.read(path)


@pytest.mark.parametrize('ending', ['png', 'tif'])
def test_turned_photos_are_read_upright(tmp_path, ending):
  pixels = np.arange(12, dtype=np.uint8).reshape(4, 3)
  for orientation, upright in (
    (1, pixels),
    (2, pixels[:, ::-1]),
    (3, pixels[::-1, ::-1]),
    (5, pixels.T),
    (6, np.rot90(pixels, -1)),
    (8, np.rot90(pixels)),
  ):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f'a.{ending}'
    Image.fromarray(pixels).save(path, exif=exif)
    for found in (segment.read(path), image_files.read_image(path)):
      np.testing.assert_array_equal(found, upright[..., None].repeat(3, -1))


def test_the_code_of_the_page_runs_without_this_library(main):
  trained, out = main()
  about = json.loads((out / 'network.json').read_text())
  bars = description.readme(about | {'classes': [f'{n}|x' for n in NAMES]})
  assert rf'| 0 | {NAMES[0]}\|x | #' in bars
  page = description.readme(
    about | {'files': {'network.stablehlo': {}, 'network.onnx': {}}}
  )
  stablehlo, onnx_code = re.findall('```python\n(.*?)```', page, re.DOTALL)
  assert stablehlo in (out / 'README.md').read_text()
  pixels = _photo(out / 'photo.jpg', (48, 80))
  programs = [ALONE]
  for code in (stablehlo, onnx_code):
    code += "\nImage.open('ids.png').save(f'{network.__class__.__name__}.png')"
    programs.append(code)
  subprocess.run(
    [sys.executable, '-c', '\n'.join(programs)], cwd=out, check=True
  )
  written = sorted(out.glob('*.png'))
  assert len(written) == 3
  for path in written:
    with Image.open(path) as image:
      ids = np.asarray(image)
    assert ids.shape == pixels.shape[:2] and ids.max() < len(NAMES)


def test_no_page_of_something_else_is_lost(main, tmp_path):
  (tmp_path / 'out').mkdir()
  page = tmp_path / 'out/README.md'
  page.write_text('# My project')
  with pytest.raises(SystemExit, match='a README.md of its own'):
    main()
  assert page.read_text() == '# My project'


def test_an_earlier_onnx_file_does_not_stay_beside_another_network(
  main, tmp_path
):
  (tmp_path / 'out').mkdir()
  (tmp_path / 'out/network.onnx').write_bytes(b'earlier')
  with pytest.raises(SystemExit, match='--out: .*network.onnx.*use a new'):
    main()
  assert [p.name for p in (tmp_path / 'out').iterdir()] == ['network.onnx']


def test_an_onnx_file_of_any_number_of_images_is_refused(main, tmp_path):
  with pytest.raises(SystemExit, match='--batch_size: expected 1 or more'):
    main('--batch_size=0', '--onnx')
  assert not (tmp_path / 'out').exists()


def test_what_an_onnx_file_says_itself(main):
  _, out = main()
  told = description.metadata(json.loads((out / 'network.json').read_text()))
  assert json.loads(told['classes']) == list(NAMES)
  assert json.loads(told['input'])['resize'] == {
    'keep_ratio': False,
    'filter': 'bilinear',
    'antialias': False,
  }
