"""Images of any number of channels, from files to predictions and exports."""

import json

import jax
from jax import export as jax_export
import jax.numpy as jnp
import ml_collections
import numpy as np
from PIL import Image
import pytest
import tifffile

from tests import tiny_config
from tests.data import test_folders
from tests.data import tiny_folder
from uda_jax.augment import dacs_jitter
from uda_jax.augment import pipa_jitter
from uda_jax.augment import vfm_jitter
from uda_jax.augment import weak_strong
from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import datasets
from uda_jax.data import bands
from uda_jax.data import datasets as datasets_lib
from uda_jax.data import image_files
from uda_jax.data import image_resize
from uda_jax.data import image_size
from uda_jax.data import prepare
from uda_jax.data import transforms
from uda_jax.evaluate import __main__ as evaluate
from uda_jax.export import __main__ as export
from uda_jax.models import preprocessing
from uda_jax.predict import __main__ as predict
from uda_jax.runs import restore
from uda_jax.train import checks
from uda_jax.train import loop

SIZE = (12, 16)
# Else tifffile writes a page for each row.
CONTIG = dict(photometric='minisblack', planarconfig='contig')


def samples(channels, number=0, size=SIZE):
  random = np.random.default_rng(number)
  return random.integers(0, 256, (*size, channels), np.uint8)


def save(path, pixels):
  """Writes pixels as a camera of so many channels does."""
  channels = pixels.shape[-1]
  if channels == 1:
    Image.fromarray(pixels[..., 0]).save(path.with_suffix('.png'))
  elif channels == 4:
    Image.fromarray(pixels, 'RGBA').save(path.with_suffix('.png'))
  else:
    tifffile.imwrite(path.with_suffix('.tif'), pixels, **CONTIG)


def folders(root, channels):
  """Two folders of four images, their labels by the last channel."""
  for name in 'AB':
    for kind in ('images', 'labels'):
      (root / name / kind).mkdir(parents=True)
    for number in range(4):
      pixels = samples(channels, number)
      save(root / name / f'images/{number}', pixels)
      label = (pixels[..., -1] // 86).astype(np.uint8)
      Image.fromarray(label).save(root / name / f'labels/{number}.png')
  return root


def config_of(root, channels):
  config = tiny_config.get_config()
  part = lambda name: datasets.folder(
    name=name,
    images=f'{name}/images/*',
    labels=f'{name}/labels/*',
    class_names=tiny_folder.CLASSES,
  )
  config.data = benchmarks.block(
    source=part('A'),
    target=part('B'),
    evaluation=part('B'),
    source_image_size=(0, 0),
    target_image_size=(8, 16),
    crop_size=(8, 8),
    pad=False,
  )
  config.data.root = str(root)
  config.data.cache_dir = str(root / 'cache')
  config.model.in_channels = channels
  config.steps, config.devices = 2, 1
  if channels != 4:
    config.method = common.source_only()
    config.teacher = common.no_teacher()
    config.eval.network = 'student'
  config.log.panels_every = 2 if channels == 4 else 0
  return config


@pytest.mark.parametrize('channels', [1, 4, 8])
def test_from_files_to_an_export(tmp_path, channels):
  """Training twice gives the same scores; predictions see all channels."""
  root = folders(tmp_path / 'data', channels)
  config = config_of(root, channels)
  for name in ('run', 'again')[: 1 + (channels == 8)]:
    loop.run(config, str(tmp_path / name))
  run = tmp_path / 'run'
  results = json.loads((run / 'results.json').read_text())
  if channels == 8:
    again = (tmp_path / 'again/results.json').read_text()
    assert results == json.loads(again)
  elif channels == 4:
    kinds = {p.stem.split('_')[0] for p in (run / 'panels').iterdir()}
    assert kinds == {'step', 'evaluation', 'worst', 'best', 'random'}
  flags = [f'--workdir={run}', f'--out={tmp_path / "out"}']
  evaluate.main(flags)
  scored = json.loads((tmp_path / 'out/results.json').read_text())
  network = restore.reported(config)
  assert scored[network]['iou'] == results[network]['iou']
  predict.main([*flags, f'--images={root / "B/images"}', '--confidence'])
  ids = np.asarray(Image.open(tmp_path / 'out/ids/0.png'))
  export.main([*flags, '--size=8x16'])
  about = json.loads((tmp_path / 'out/network.json').read_text())
  assert about['input']['shape'] == [1, 8, 16, channels]
  exported = jax_export.deserialize(
    bytearray((tmp_path / 'out/network.stablehlo').read_bytes())
  )
  seen = image_resize.by_rule(samples(channels), image_size.Rule((8, 16)))
  found = exported.call(seen[None])
  small = np.asarray(Image.fromarray(ids).resize((16, 8), 0))
  assert found['ids'].shape == (1, 8, 16)
  assert (found['ids'][0] == small).mean() > 0.3
  # Each channel counts.
  for channel in range(channels):
    other = seen.copy()
    other[..., channel] = 255 - other[..., channel]
    assert (exported.call(other[None])['logits'] != found['logits']).any()


def read(path, channels, **options):
  return image_files.read_image(path, channels=channels, **options)


@pytest.mark.parametrize(
  'options',
  [
    {},
    {'compression': 'lzw'},
    {'compression': 'zlib', 'predictor': True},
    {'bigtiff': True},
    {'byteorder': '>'},
    {'tile': (16, 16)},
    {'planarconfig': 'separate'},
  ],
)
@pytest.mark.parametrize('channels', [2, 4, 8])
def test_tiff(tmp_path, channels, options):
  pixels = samples(channels)
  stored = pixels
  if 'planarconfig' in options:
    stored = np.moveaxis(pixels, -1, 0)
  path = tmp_path / 'a.tif'
  tifffile.imwrite(path, stored, **(CONTIG | options))
  np.testing.assert_array_equal(read(path, channels), pixels)


def test_a_page_for_each_channel(tmp_path):
  pixels = samples(5)
  with tifffile.TiffWriter(tmp_path / 'a.tif') as writer:
    for channel in range(5):
      writer.write(pixels[..., channel])
  np.testing.assert_array_equal(read(tmp_path / 'a.tif', 5), pixels)


def test_values(tmp_path, caplog, monkeypatch):
  """16 bits keep the high byte, others need `value_range`; NaN is refused."""
  path = tmp_path / 'a.tif'
  wide = samples(6).astype(np.uint16) << 8
  tifffile.imwrite(path, wide, **CONTIG)
  np.testing.assert_array_equal(read(path, 6), wide >> 8)
  tifffile.imwrite(path, wide >> 6, **CONTIG)
  with pytest.raises(ValueError, match=r'set value_range to .*such as \(0, 10'):
    read(path, 6)
  values = (samples(6) / 255).astype(np.float32)
  values[0, 0, 2] = np.nan
  tifffile.imwrite(path, values, **CONTIG)
  with pytest.raises(ValueError, match='type float32 from 0 to 1; set'):
    read(path, 6)
  with pytest.raises(ValueError, match=r'a.tif: .*NaN in 1 of \d+ samples'):
    read(path, 6, value_range=(0.0, 1.0))
  values[0, 0, 1:4] = np.inf, -np.inf, 2
  tifffile.imwrite(path, values, **CONTIG)
  # However many images other tests have read.
  monkeypatch.setattr(image_files, '_MOST_NOTES', 10**6)
  caplog.clear()
  seen = read(path, 6, value_range=(0.0, 1.0))
  expected = samples(6)
  expected[0, 0, 1:4] = 255, 0, 255
  np.testing.assert_array_equal(seen, expected)
  assert f'{path}: {100 * 3 / values.size:.2f}% of the samples' in caplog.text
  image = image_files.read_for_training(
    path, value_range=(0.0, 1.0), channels=6, field='x'
  )
  assert image.clipped == pytest.approx(3 / values.size)


def test_complex_numbers_are_refused(tmp_path):
  values = samples(2).astype(np.complex64) * (1 + 1j)
  tifffile.imwrite(tmp_path / 'a.tif', values, **CONTIG)
  with pytest.raises(ValueError, match='a.tif: expected real .* complex64'):
    read(tmp_path / 'a.tif', 2, value_range=(0.0, 255.0))


@pytest.mark.parametrize('orientation', range(1, 9))
def test_orientation(tmp_path, orientation):
  """Like Pillow, which turns RGB files."""
  pixels = samples(4)
  for channels, name in ((3, 'rgb.tif'), (4, 'four.tif')):
    tifffile.imwrite(
      tmp_path / name,
      pixels[..., :channels],
      photometric='rgb',
      extratags=[(274, 'H', 1, orientation, True)],
    )
  expected = image_files.read_image(tmp_path / 'rgb.tif')
  seen = read(tmp_path / 'four.tif', 4)
  np.testing.assert_array_equal(seen[..., :3], expected)


@pytest.mark.parametrize(
  'mode, ending, channels, words',
  [
    ('RGB', 'png', 1, 'config.model.in_channels=3'),
    ('P', 'png', 1, "'P'"),
    ('RGB', 'png', 4, 'expected 4 channels'),
    ('RGB', 'jpg', 4, 'expected 4 channels'),
    ('CMYK', 'jpg', 4, "'CMYK'"),
    ('CMYK', 'tif', 1, "'CMYK'"),
    ('RGB', 'tif', 8, 'config.model.in_channels=3'),
    ('L', 'png', 2, 'expected 2 channels'),
  ],
)
def test_other_numbers_of_channels_are_refused(
  tmp_path, mode, ending, channels, words
):
  path = tmp_path / f'a.{ending}'
  Image.fromarray(samples(3)).convert(mode).save(path)
  with pytest.raises(ValueError, match=words) as caught:
    read(path, channels)
  assert str(caught.value).startswith(f'{path}: expected')
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize('harm', [lambda x: x[:60], lambda x: x[:-200]])
def test_damaged_tiff(tmp_path, harm):
  path = tmp_path / 'a.tif'
  tifffile.imwrite(path, samples(8), **CONTIG)
  path.write_bytes(harm(path.read_bytes()))
  with pytest.raises(ValueError, match='a.tif: '):
    read(path, 8)


def test_training_reads_the_same_pixels(tmp_path):
  """Copies of all channels, at once and at the size of training."""
  root = folders(tmp_path, 8)
  record = ml_collections.ConfigDict(config_of(root, 8).data.source)
  data = datasets_lib.load(
    record,
    root=str(root),
    cache_dir=str(root / 'cache'),
    field='config.data.source',
    labels=True,
    channels=8,
  )
  assert data.channels == 8 and tuple(data.heights) == (12,) * 4
  path = transforms.path_tensor(data.image_paths[1])
  seen = transforms.read_image(path, 8).numpy()
  np.testing.assert_array_equal(seen, samples(8, 1))
  for resize in ('bilinear', 'bicubic'):
    rule = image_size.Rule((6, 8), False, resize)
    expected = np.stack(
      [
        image_resize.by_rule(samples(3, 1) * 0 + x[..., None], rule)[..., 0]
        for x in np.moveaxis(samples(8, 1), -1, 0)
      ],
      -1,
    )
    np.testing.assert_array_equal(image_resize.by_rule(seen, rule), expected)
  # The same folder as RGB is another data set: the files are refused.
  with pytest.raises(ValueError, match='config.model.in_channels'):
    test_folders.load(root / 'A', images='images/*')


def test_prepare_draws_all_of_an_image(tmp_path, capsys):
  root = folders(tmp_path, 8)
  assert prepare.run(config_of(root, 8), ['source']) == []
  assert '4 images of 8 channels' in capsys.readouterr().out
  with Image.open(root / 'cache/labels_source.png') as page:
    # Rows of 16 x 12 pixels at a width of 320, not of 16 x 96.
    assert page.height < 4 * 320


def test_one_error_for_all_files(tmp_path):
  root = folders(tmp_path, 1)
  with pytest.raises(ValueError, match='expected 4 channels') as caught:
    datasets_lib.load_part(config_of(root, 4).data, 'source', 4)
  assert len(caught.value.problems) == 4
  assert len(caught.value.summary) == 1


JITTERS = {
  'dacs': lambda key, x: dacs_jitter.apply_strong(
    x, dacs_jitter.draw_strong(key, batch=len(x))._replace(gates=jnp.ones(2))
  ),
  'pipa': pipa_jitter.jitter_views,
  'vfm': lambda key, x: vfm_jitter.augment(key, x, vfm_jitter.STRONG),
  'pixmatch': lambda key, x: weak_strong.apply_color(
    x, weak_strong.draw_color(key, batch=len(x))
  ),
}


@pytest.mark.parametrize('name', JITTERS)
def test_jitter_changes_colors_alone(name):
  """The first three channels as RGB images; others are at most blurred."""
  pixels = np.stack([samples(5, n, (16, 16)) for n in range(4)])
  jitter = jax.jit(JITTERS[name])
  key = jax.random.key(3)
  seen = np.asarray(jitter(key, pixels))
  rgb = np.asarray(jitter(key, pixels[..., :3]))
  np.testing.assert_allclose(seen[..., :3], rgb, atol=1e-3)
  assert (rgb != pixels[..., :3]).any()
  # Blurring keeps the mean of a channel, nearly; jitter does not.
  means = seen[..., 3:].mean((1, 2)), pixels[..., 3:].mean((1, 2))
  np.testing.assert_allclose(*means, atol=4)
  gray = np.asarray(jitter(key, pixels[..., :1]))
  assert gray.shape == (4, 16, 16, 1)
  as_rgb = np.asarray(jitter(key, pixels[..., [0, 0, 0]]))
  np.testing.assert_allclose(gray[..., 0], as_rgb[..., 0], atol=1e-3)


def test_statistics_of_the_config():
  config = ml_collections.ConfigDict(dict(in_channels=4, mean=(), std=()))
  base = preprocessing.CAFFE
  assert base.configured(config) == base.with_channels(4)
  config.update(mean=(1, 2, 3, 4), std=(1, 2, 4, 8))
  pixels = np.array([[11, 12, 13, 12]], np.uint8)
  # BGR first, but given in the order of the file's channels.
  np.testing.assert_allclose(
    base.configured(config).normalize(pixels), [[2.5, 5, 10, 1]]
  )


@pytest.mark.parametrize(
  'fields, words',
  [
    (dict(in_channels=0), 'config.model.in_channels: expected a whole'),
    (dict(in_channels=2.0), 'config.model.in_channels: expected a whole'),
    (dict(mean=(1.0,)), r'config.model.mean: expected 4 number\(s\)'),
    (dict(std=(1.0, 1.0, 0.0, 1.0)), 'config.model.std: .*above 0'),
    (dict(std='1'), 'config.model.std'),
  ],
)
def test_fields_are_checked(tmp_path, fields, words):
  config = config_of(tmp_path, 4)
  checks.check_config(config)
  with config.unlocked(), config.ignore_type():
    config.model.update(fields)
  with pytest.raises(ValueError, match=words):
    checks.check_config(config)


def test_rendered_scenes_are_rgb():
  config = tiny_config.get_config()
  config.model.in_channels = 4
  with pytest.raises(ValueError, match="in_channels.*'streets'"):
    checks.check_config(config)


def test_stacked():
  pixels = samples(5)
  stacked = bands.stacked(pixels)
  assert stacked.shape == (60, 16)
  np.testing.assert_array_equal(stacked[12:24], pixels[..., 1])
