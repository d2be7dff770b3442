"""Prediction of images from a run's directory."""

import argparse
import functools
import os
import subprocess
import sys

import jax
import numpy as np
from PIL import Image
import pytest

from tests import small_config
from uda_jax import models
from uda_jax import pictures
from uda_jax.data import datasets
from uda_jax.data import image_files
from uda_jax.data import image_size
from uda_jax.evaluate import inference
from uda_jax.evaluate import label_ids
from uda_jax.evaluate import protocol
from uda_jax.evaluate import scoring
from uda_jax.ops import resize
from uda_jax.predict import __main__ as predict
from uda_jax.predict import images as images_lib
from uda_jax.predict import network as network_lib
from uda_jax.predict import outputs
from uda_jax.runs import checkpoint
from uda_jax.runs import provenance
from uda_jax.runs import restore

NAMES = ('road', 'sky', 'car')
PALETTE = ((128, 64, 128), (70, 130, 180), (0, 0, 142))


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """The directory of a run, as training leaves it, and its network."""
  workdir = tmp_path_factory.mktemp('run')
  config = small_config.get_config()
  network = models.build(config, len(NAMES))
  variables = network.init(jax.random.key(1), (32, 48))
  provenance.run_manifest(
    workdir, config, {'classes': {'names': NAMES, 'palette': PALETTE}}
  )
  with checkpoint.Checkpoints(workdir, every_steps=1) as saved:
    saved.save_best(1, variables, {'value': 0.5})
  return workdir, network, variables


@pytest.fixture
def images(tmp_path):
  """Three images of two sizes, one of them in a folder of its own."""
  random = np.random.default_rng(0)
  pixels = {
    'a': random.integers(0, 256, (32, 48, 3), np.uint8),
    'b.1': random.integers(0, 256, (32, 48, 3), np.uint8),
    'night/c': random.integers(0, 256, (40, 36, 3), np.uint8),
  }
  for name, image in pixels.items():
    pictures.write_png(tmp_path / 'images' / f'{name}.png', image)
  (tmp_path / 'images' / 'notes.txt').write_text('no image')
  return tmp_path / 'images', pixels


def _main(*args):
  predict.main(list(map(str, args)))


def test_files_hold_the_networks_classes(run, images, tmp_path):
  workdir, network, variables = run
  folder, pixels = images
  out = tmp_path / 'out'
  _main(
    f'--workdir={workdir}',
    f'--images={folder}',
    f'--out={out}',
    '--network=best',
    '--batch_size=2',
    '--confidence',
    '--ids=cityscapes',
  )
  assert len(list(out.rglob('*.png'))) == 4 * len(pixels) + 1
  assert label_ids.read(out / 'ids')[3:] == (
    'best',
    'kept at their own size',
    1,
  )
  with Image.open(out / 'legend/legend.png') as legend:
    shown = set(map(tuple, np.asarray(legend).reshape(-1, 3).tolist()))
  assert {*PALETTE} <= shown
  for name, image in pixels.items():
    outputs, _ = network.forward(
      *variables, network.normalize(image[None]), use_running_average=True
    )
    logits = jax.image.resize(
      outputs.logits, (1, *image.shape[:2], 3), 'linear'
    )
    read = lambda kind, n=name: np.asarray(Image.open(out / kind / f'{n}.png'))
    expected = np.asarray(logits.argmax(-1))[0]
    ids = np.array([7, 23, 26])  # of Cityscapes
    # Equal logits may fall either way.
    assert (read('ids') == ids[expected]).mean() > 0.999
    np.testing.assert_array_equal(
      read('color'), np.array(PALETTE)[np.searchsorted(ids, read('ids'))]
    )
    np.testing.assert_array_equal(
      read('overlay'), (image.astype(int) + read('color')) // 2
    )
    confidence = np.asarray(jax.nn.softmax(logits)).max(-1)[0]
    assert np.abs(read('confidence') / 255 - confidence).max() < 0.004


def test_label_maps_of_two_kinds_never_share_a_folder(run, images, tmp_path):
  trained = restore.load(run[0], 'best')
  out, label = tmp_path / 'out', np.zeros((4, 4), np.uint8)
  pictures.write_png(out / 'ids/night/c.png', label)
  args = lambda ids: argparse.Namespace(out=out, ids=ids)
  record = label_ids.Record('train', NAMES)
  label_ids.write(out / 'ids', record)
  check = functools.partial(outputs.check_earlier, trained=trained)
  check(args('train'), names={'a'})
  # All of them are written again.
  check(args('cityscapes'), names={'a', 'night/c'})
  with pytest.raises(ValueError, match='--out: .*night/c.png .train ids of 3'):
    check(args('cityscapes'), names={'a'})
  label_ids.write(out / 'ids', record._replace(classes=('car', 'sky', 'road')))
  with pytest.raises(SystemExit, match='--out: .*use a new folder'):
    _main(
      *(f'--workdir={run[0]}', f'--images={images[0] / "a.png"}'),
      *(f'--out={out}', '--network=best'),
    )
  assert [path.name for path in out.rglob('*.png')] == ['c.png']


def test_no_confidence_of_an_earlier_prediction_stays(run, images, tmp_path):
  out, image = tmp_path / 'out', images[0] / 'a.png'
  args = (f'--workdir={run[0]}', '--network=best', f'--out={out}')
  for kind, ending in (('confidence', 'png'), ('probabilities', 'npz')):
    (out / kind).mkdir(parents=True)
    path = out / kind / f'a.{ending}'
    path.write_bytes(b'earlier')
    with pytest.raises(SystemExit, match=f'a.{ending}; give --{kind}'):
      _main(*args, f'--images={image}')
    path.rename(path.with_stem('other'))
  assert not (out / 'ids').exists()


def test_overlays_as_a_video(run, images, tmp_path):
  for number in (1, 2, 10):
    pictures.write_png(
      images[0] / f'frames/f{number}.png',
      np.full((32, 48, 3), 20 * number, np.uint8),
    )
  out = tmp_path / 'out' / 'drive.webp'
  args = (f'--workdir={run[0]}', '--network=best', f'--out={out}', '--fps=4')
  _main(*args, f'--images={images[0] / "frames"}')
  assert list(out.parent.iterdir()) == [out]
  with Image.open(out) as file:
    assert file.n_frames == 3 and file.size == (48, 32)
    means = []
    for i in range(3):
      file.seek(i)
      means.append(np.asarray(file.convert('RGB')).mean())
      assert file.info['duration'] == 250
  # Half of an overlay is the frame: 10 and 80 more than in the first.
  assert means[0] < means[1] < means[2] and means[2] - means[1] > 40
  with pytest.raises(SystemExit, match='frames of one size'):
    _main(*args, f'--images={images[0]}')
  with pytest.raises(SystemExit, match='--confidence and --ids'):
    _main(*args, f'--images={images[0]}', '--confidence')
  assert list(out.parent.iterdir()) == [out]


def test_resized_for_the_network_and_back(run, images):
  trained = restore.load(run[0], 'best')
  image = images[1]['a'][None]
  label, confidence = network_lib.make_predict(
    trained, image_size.Rule((64, 96))
  )(image)
  assert label.shape == confidence.shape == image.shape[:3]
  assert trained.class_names == NAMES and trained.palette == PALETTE


@pytest.mark.parametrize('call', ['__call__', 'probabilities'])
def test_a_network_that_gives_nan_predicts_nothing(run, images, call):
  trained = restore.load(run[0], 'best')
  broken = jax.tree.map(lambda x: x * np.nan, trained.variables.params)
  trained = trained._replace(
    variables=trained.variables._replace(params=broken)
  )
  one = network_lib.make_predict(trained, image_size.OWN_SIZE)
  with pytest.raises(ValueError, match='expected finite logits.* of 1 image;'):
    getattr(one, call)(images[1]['a'][None])


def test_scales_and_mirror_images_of_the_runs_evaluation(run, images):
  trained = restore.load(run[0], 'best')
  image = images[1]['a'][None]
  _, plain = network_lib.make_predict(trained, image_size.OWN_SIZE)(image)
  config = trained.config.copy_and_resolve_references()
  config.eval.update(scales=(1.0, 1.5), flip=True)
  trained = trained._replace(config=config)
  label, confidence = network_lib.make_predict(trained, image_size.OWN_SIZE)(
    image
  )
  prob = inference.make_scores(
    trained.network, protocol.configured(config.eval)
  )(trained.variables, image, image.shape[1:3])
  np.testing.assert_allclose(confidence, prob.max(-1), rtol=1e-5)
  assert (label == prob.argmax(-1)).mean() > 0.999
  assert np.abs(confidence - plain).max() > 1e-4


@pytest.mark.parametrize(
  'args, message',
  [
    (('--images=/nowhere/*.png',), '--images: found no image'),
    (('--network=teacher',), 'checkpoint'),
    (('--workdir=/nowhere',), 'expected the directory of a run'),
    ((f'--out={__file__}',), '--out: expected a folder to write, got the file'),
    ((f'--out={__file__}/a',), '--out: .*test_predict.py, which is a file'),
  ],
)
def test_errors_are_one_line(run, images, tmp_path, args, message):
  with pytest.raises(SystemExit, match=message):
    _main(
      f'--workdir={run[0]}',
      f'--images={images[0]}',
      f'--out={tmp_path / "out"}',
      *args,
    )
  assert not (tmp_path / 'out').exists()


def test_a_broken_image_is_named(run, images, tmp_path):
  broken = images[0] / 'broken.jpg'
  broken.write_bytes(b'\xff\xd8 no more')
  with pytest.raises(SystemExit, match='1 of 4 files.*\n.*broken.jpg'):
    _main(
      f'--workdir={run[0]}',
      f'--images={images[0]}',
      f'--out={tmp_path / "out"}',
      '--network=best',
    )


@pytest.mark.parametrize(
  'rule, fields',
  [
    (image_size.Rule((18, 20), True), {}),
    (
      image_size.Rule((18, 20), False, 'bicubic'),
      dict(enlarge='probabilities', align_corners=True, one_step=True),
    ),
    (image_size.Rule(), dict(window=(24, 24), stride=(12, 12))),
  ],
)
def test_the_labels_are_those_that_scoring_compares(
  run, images, tmp_path, rule, fields
):
  """A rotated file, in all kinds of resizing."""
  pixels = images[1]['night/c']
  exif = Image.Exif()
  exif[0x0112] = 6
  path = tmp_path / 'photos/0.png'
  path.parent.mkdir()
  Image.fromarray(np.rot90(pixels)).save(path, exif=exif)
  image = image_files.read_image(path)
  np.testing.assert_array_equal(image, pixels)
  trained = restore.load(run[0], 'best')
  config = trained.config.copy_and_resolve_references()
  config.eval.update(fields)
  config.data.update(
    eval_image_size=rule.size, keep_ratio=rule.keep_ratio, resize=rule.resize
  )
  data = datasets.load(
    dict(kind='folder', images='*.png', class_names=NAMES),
    root=str(path.parent),
    cache_dir=str(tmp_path / 'cache'),
    field='config.data.target',
    labels=False,
  )
  (batch,) = scoring.batches(config, data)
  assert batch.image.shape[1:3] == rule.of(image.shape[:2])
  scored = scoring.make_predict(config, trained.network, None)(
    trained.variables, batch.image[:1], image.shape[:2]
  )
  label, _ = network_lib.make_predict(
    trained._replace(config=config), image_size.seen(config.data)
  )(image[None])
  assert len(np.unique(label)) > 1
  np.testing.assert_array_equal(label, scored)


def test_many_sizes_share_a_compiled_network(run):
  """One program a size that the network sees; the same as whole programs."""
  trained = restore.load(run[0], 'best')
  predict_one = network_lib.make_predict(
    trained, image_size.Rule((24, 32), True)
  )
  logits = inference.make_logits(trained.network)
  random = np.random.default_rng(0)
  for scale in range(1, 8):
    image = random.integers(0, 256, (1, 15 * scale, 20 * scale, 3), np.uint8)
    label, confidence = predict_one(image)
    assert label.shape == image.shape[:3]
    seen = resize.bilinear(image.astype(np.float32), (24, 32))
    expected = jax.nn.softmax(
      logits(trained.variables, np.floor(seen + 0.5), image.shape[1:3])
    )
    np.testing.assert_allclose(confidence, expected.max(-1), rtol=1e-4)
    assert (label == expected.argmax(-1)).mean() > 0.999
  assert predict_one.output._cache_size() == 1
  predict_one(image.swapaxes(1, 2))
  assert predict_one.output._cache_size() == 2


def test_windows_share_a_compiled_network(run):
  """One program for all sizes that hold a window; the scores of `evaluate`."""
  trained = restore.load(run[0], 'best')
  config = trained.config.copy_and_resolve_references()
  config.eval.update(window=(16, 24), stride=(8, 12))
  predict_one = network_lib.make_predict(
    trained._replace(config=config), image_size.OWN_SIZE
  )
  scores = inference.make_scores(
    trained.network, protocol.configured(config.eval)
  )
  random = np.random.default_rng(0)
  for size in ((16, 24), (17, 40), (33, 24)):
    image = random.integers(0, 256, (1, *size, 3), np.uint8)
    label, confidence = predict_one(image)
    expected = jax.nn.softmax(scores(trained.variables, image, size))
    np.testing.assert_allclose(confidence, expected.max(-1), rtol=1e-4)
    assert (label == expected.argmax(-1)).mean() > 0.999
    every = predict_one.probabilities(image)
    np.testing.assert_allclose(every, expected, rtol=1e-3, atol=1e-6)
  assert predict_one.output._cache_size() == 1
  predict_one(random.integers(0, 256, (1, 12, 30, 3), np.uint8))
  assert predict_one.output._cache_size() == 2


def test_flags_of_size_and_values(run, images, tmp_path):
  """Probabilities, windows, multiples, and images of 12 bits in one call."""
  folder, pixels = images
  wide = pixels['a'][..., 0].astype(np.uint16) * 16
  Image.fromarray(wide).save(folder / 'wide.tif')
  out = tmp_path / 'out'
  args = (f'--workdir={run[0]}', f'--out={out}', '--network=best')
  with pytest.raises(SystemExit, match='wide.tif.*set --value_range to') as bad:
    _main(*args, f'--images={folder}', '--multiple=16')
  assert 'such as (0, 4095)' in str(bad.value)
  flags = ('--value_range=0,4080', '--probabilities', '--confidence')
  _main(*args, f'--images={folder}', *flags, '--multiple=16')
  record = label_ids.read(out / 'ids')
  assert record.image_size.endswith('then to the nearest multiples of 16')
  for name, size in (('wide', (32, 48)), ('night/c', (40, 36))):
    with np.load(out / f'probabilities/{name}.npz') as found:
      assert tuple(found['classes']) == NAMES
      probability = found['probabilities'].astype(np.float32)
    assert probability.shape == (*size, 3)
    np.testing.assert_allclose(probability.sum(-1), 1, atol=3e-3)
    ids = np.asarray(Image.open(out / f'ids/{name}.png'))
    confidence = np.asarray(Image.open(out / f'confidence/{name}.png'))
    # Two classes may be equal in 16 bits.
    chosen = np.take_along_axis(probability, ids[..., None].astype(int), -1)
    np.testing.assert_allclose(chosen[..., 0], probability.max(-1), atol=1e-3)
    assert np.abs(confidence / 255 - probability.max(-1)).max() < 0.004
  # The 8-bit image with the same pixels has the same labels.
  eight = np.repeat(pixels['a'][..., :1], 3, -1)
  pictures.write_png(tmp_path / 'gray/g.png', eight)
  _main(*args, f'--images={tmp_path / "gray"}', '--multiple=16')
  np.testing.assert_array_equal(
    np.asarray(Image.open(out / 'ids/g.png')),
    np.asarray(Image.open(out / 'ids/wide.png')),
  )


def test_multiples():
  rule = image_size.OWN_SIZE._replace(multiple=32)
  sizes = [(130, 200), (47, 48), (1, 15), (64, 96)]
  assert [rule.of(size) for size in sizes] == [
    (128, 192),
    (32, 64),
    (32, 32),
    (64, 96),
  ]
  assert image_size.Rule((20, 40), True, multiple=16).of((30, 20)) == (32, 16)


@pytest.mark.parametrize(
  'flags, message',
  [
    (('--stride=8x8',), '--stride: expected a --window'),
    (('--size=8x8', '--multiple=8'), 'expected one of them, got both'),
    (('--value_range=3,1',), 'expected LOW,HIGH with LOW < HIGH'),
    (('--value_range=nan,1',), 'expected LOW,HIGH'),
    (('--probabilities', '--out=a.webp'), 'give a folder'),
    (('--fps=12',), '--fps: expected --out to name a video'),
    (('--fps=60', '--out=a.gif'), 'a.gif: expected at most 50 frames a second'),
  ],
)
def test_flags_that_do_not_go_together(
  run, images, tmp_path, capsys, flags, message
):
  # The parser writes its message itself, with exit code 2.
  with pytest.raises(SystemExit) as caught:
    _main(
      f'--workdir={run[0]}',
      f'--images={images[0]}',
      f'--out={tmp_path / "out"}',
      '--network=best',
      *flags,
    )
  assert message in f'{caught.value} {capsys.readouterr().err}'


def test_a_batch_survives_and_is_not_taken_for_photos(run, images, tmp_path):
  """Junk is passed over, bad files are listed at the end, outputs left out."""
  folder, pixels = images
  (folder / '._a.jpg').write_bytes(b'\0\5\x16\7')
  (folder / '.DS_Store').write_bytes(b'x')
  (folder / 'empty.png').write_bytes(b'')
  whole = (folder / 'a.png').read_bytes()
  (folder / 'a2.png').write_bytes(whole[: len(whole) // 2])
  (folder / 'lfs.jpg').write_bytes(
    b'version https://git-lfs.github.com/spec/v1'
  )
  (folder / 'link').symlink_to(folder)
  out = folder / 'segmented'
  args = (f'--workdir={run[0]}', f'--images={folder}', '--network=best')
  for _ in range(2):
    with pytest.raises(SystemExit) as caught:
      _main(*args, f'--out={out}')
    message = str(caught.value)
    assert '2 of 5 files' in message and 'git lfs pull' in message
    assert 'a2.png: cannot be decoded' in message
    done = [p.relative_to(out / 'ids') for p in (out / 'ids').rglob('*.png')]
    assert {str(p.with_suffix('')) for p in done} == set(pixels)
  record = label_ids.read(out / 'ids')
  assert record.ids == 'train' and record.classes == NAMES
  with pytest.raises(SystemExit, match='expected another folder than'):
    _main(*args, f'--out={folder}')


def test_predictions_never_replace_what_they_are_made_of(run, tmp_path):
  color = tmp_path / 'scene/color/a.png'
  pictures.write_png(color, np.full((32, 48, 3), 9, np.uint8))
  moving = tmp_path / 'a.webp'
  Image.open(color).save(
    moving, save_all=True, append_images=[Image.new('RGB', (48, 32))]
  )
  before = color.read_bytes(), moving.read_bytes()
  for images, out in [
    (color.parent, color.parents[1]),
    (tmp_path / 'scene/*/*.png', color.parents[1]),
    (moving, moving),
  ]:
    with pytest.raises(SystemExit, match='--out: expected'):
      _main(
        *(f'--workdir={run[0]}', f'--images={images}'),
        *(f'--out={out}', '--network=best'),
      )
  assert (color.read_bytes(), moving.read_bytes()) == before
  assert len(list(tmp_path.rglob('*.*'))) == 2


def test_a_video_without_a_readable_frame_is_not_written(run, tmp_path):
  (tmp_path / 'images').mkdir()
  (tmp_path / 'images/bad.jpg').write_bytes(b'\xff\xd8 no more')
  with pytest.raises(SystemExit, match='1 of 1 file cannot be read'):
    _main(
      *(f'--workdir={run[0]}', f'--images={tmp_path / "images"}'),
      *(f'--out={tmp_path / "a.gif"}', '--network=best'),
    )
  assert [path.name for path in tmp_path.iterdir()] == ['images']


def test_names_in_any_script(images):
  folder, _ = images
  names = ('٣', '²', 'x٣', '3', os.fsdecode(b'caf\xe9'), 's[1]', 'q?')
  for name in names:
    pictures.write_png(folder / f'n/{name}.png', np.zeros((2, 2), np.uint8))
  assert set(images_lib.find(str(folder / 'n'))) == set(names)
  assert list(images_lib.find(str(folder / 'n/s[1].png'))) == ['s[1]']
  assert list(images_lib.find(str(folder / 'n/s[1]*'))) == ['s[1]']
  assert list(images_lib.find(str(folder / 'n/[3-9].png'))) == ['3']


def test_two_files_of_one_name(images):
  path = images[0] / 'a.jpg'
  pictures.write_png(path, np.zeros((2, 2), np.uint8))
  with pytest.raises(ValueError, match='a.jpg and .*a.png'):
    images_lib.find(str(images[0]))


def test_names_of_patterns(images):
  folder, _ = images
  assert list(images_lib.find(str(folder))) == ['a', 'b.1', 'night/c']
  assert list(images_lib.find(f'{folder}/*/c.png')) == ['c']
  # Two names of one file are two images.
  (folder / 'z.png').symlink_to(folder / 'a.png')
  assert list(images_lib.find(f'{folder}/[az].png')) == ['a', 'z']
  for number in (10, 9):
    pictures.write_png(folder / f'n{number}.png', np.zeros((2, 2), np.uint8))
  assert list(images_lib.find(f'{folder}/n*.png')) == ['n9', 'n10']
  # As in training: any case, and all spellings of a format.
  for name in ('p1.JPG', 'p2.jpeg', 'p3.PNG'):
    (folder / name).write_bytes((folder / 'a.png').read_bytes())
  assert list(images_lib.find(f'{folder}/p*.jpg')) == ['p1', 'p2']
  assert list(images_lib.find(f'{folder}/p*.png')) == ['p3']
  with pytest.raises(ValueError, match='Cityscapes classes'):
    outputs.file_ids(('road', 'moon'), 'cityscapes')


def test_help():
  done = subprocess.run(
    [sys.executable, '-m', 'uda_jax.predict', '--help'],
    capture_output=True,
    text=True,
    timeout=100,
  )
  assert done.returncode == 0 and '--confidence' in done.stdout


@pytest.mark.parametrize(
  'change',
  [
    lambda x: x[0],
    lambda x: x.astype(np.float32),
    lambda x: x / 255,
    lambda x: np.concatenate([x, x[..., :1]], -1),
    lambda x: x.transpose(0, 3, 1, 2),
    lambda x: x[:0],
  ],
)
def test_arrays_that_are_no_images_are_refused(run, change):
  trained = restore.load(run[0], 'best')
  segment = network_lib.make_predict(trained, image_size.Rule((32, 48)))
  with pytest.raises(ValueError, match=r'images: expected uint8 \[B, H, W, 3'):
    segment(change(np.zeros((1, 32, 48, 3), np.uint8)))
