"""Videos need an extra package, animations do not.

What is asked of that package in rare cases is read off a stand-in; the last
test writes and reads videos with it.
"""

import contextlib
import logging
import pathlib
import sys
import types

import numpy as np
from PIL import Image
import pytest

from uda_jax.predict import video


@pytest.mark.parametrize('ending', ['gif', 'webp'])
def test_an_animation_holds_the_frames(tmp_path, ending):
  path = tmp_path / 'new' / f'a.{ending}'
  frames = [np.full((4, 6, 3), value, np.uint8) for value in (0, 128, 255)]
  with video.writer(path, 10) as add:
    for frame in frames:
      add(frame)
    assert not path.exists()
  with Image.open(path) as file:
    assert file.n_frames == 3 and video.is_input(str(path))
  fps, found = video.read(str(path))
  for (name, pixels), frame in zip(found, frames, strict=True):
    assert name.startswith('frame_00000')
    np.testing.assert_allclose(pixels, frame, atol=4)
  assert fps == 10
  with Image.open(path) as file:
    for i, frame in enumerate(frames):
      file.seek(i)
      np.testing.assert_allclose(file.convert('RGB'), frame, atol=4)
  assert list(path.parent.iterdir()) == [path]


def test_an_animation_takes_the_time_of_its_frames(tmp_path):
  frames = [Image.new('L', (6, 4), value) for value in range(0, 250, 10)]
  for ending, fps in (('gif', 30), ('gif', 50), ('webp', 30), ('webp', 60)):
    path = tmp_path / f'a.{ending}'
    with video.writer(path, fps) as add:
      for frame in frames:
        add(np.asarray(frame.convert('RGB')))
    # Times are whole hundredths of a second in a GIF.
    assert abs(video.read(str(path))[0] - fps) < fps / 100
    times = [40, 400] + [40] * 23
    frames[0].save(
      path, save_all=True, append_images=frames[1:], duration=times
    )
    assert video.read(str(path))[0] == pytest.approx(25_000 / sum(times))
  with pytest.raises(ValueError, match='at most 50 frames a second.*got 60'):
    with video.writer(tmp_path / 'b.gif', 60):
      pass


def test_a_failed_animation_leaves_nothing(tmp_path):
  with pytest.raises(ValueError, match=r'one size, got \(4, 6\) and \(5, 6\)'):
    with video.writer(tmp_path / 'a.gif', 10) as add:
      add(np.zeros((4, 6, 3), np.uint8))
      add(np.zeros((5, 6, 3), np.uint8))
  assert not list(tmp_path.iterdir())


def test_a_truncated_animation_is_named(tmp_path):
  path = tmp_path / 'a.gif'
  with video.writer(path, 10) as add:
    for number in range(4):
      add(np.random.default_rng(number).integers(0, 256, (9, 9, 3), np.uint8))
  content = path.read_bytes()
  path.write_bytes(content[: len(content) // 2])
  with pytest.raises(ValueError, match='a.gif: cannot be decoded to the end'):
    video.read(str(path))


def test_the_missing_package_is_named_with_its_install_line(
  tmp_path, monkeypatch
):
  monkeypatch.setitem(sys.modules, 'imageio.v2', None)
  (tmp_path / 'in.mp4').write_bytes(b'')
  with pytest.raises(ValueError, match=r'in\.mp4.*pip install .uda_jax.video'):
    video.read(str(tmp_path / 'in.mp4'))
  with pytest.raises(ValueError, match=r'out\.mp4.*pip install .uda_jax.video'):
    with video.writer(tmp_path / 'out.mp4', 10):
      pass
  with pytest.raises(FileNotFoundError, match='found no video'):
    video.read('/nowhere.mp4')
  assert video.is_input('a.MP4') and not video.is_input('a.webp')


class _Reader:
  """imageio's reader of a video of 4 frames, which states two fields."""

  def __init__(self, stated):
    self.stated = stated
    self.options = []

  def get_reader(self, path, format, **options):
    self.options.append(options)
    return self

  def get_meta_data(self):
    return self.stated

  def __enter__(self):
    return self

  def __exit__(self, *error):
    pass

  def __iter__(self):
    return iter(np.zeros((4, 4, 6, 3), np.uint8))


def _stand_in(monkeypatch, v2):
  module = types.ModuleType('imageio')
  module.v2 = v2
  monkeypatch.setitem(sys.modules, 'imageio', module)
  monkeypatch.setitem(sys.modules, 'imageio.v2', v2)
  monkeypatch.setitem(sys.modules, 'imageio_ffmpeg', module)


@pytest.mark.parametrize(
  'stated, rate', [(25.0, '25'), (23.98, '24000/1001'), (10.42, '521/50')]
)
def test_frames_come_at_the_stated_rate(tmp_path, monkeypatch, stated, rate):
  """Else ffmpeg repeats frames that take different times, at another rate."""
  reader = _Reader({'fps': stated, 'duration': 4 / stated})
  _stand_in(monkeypatch, reader)
  (tmp_path / 'a.mp4').write_bytes(b'')
  fps, frames = video.read(str(tmp_path / 'a.mp4'))
  assert reader.options[-1] == {'output_params': ['-r', rate]}
  assert fps == pytest.approx(stated, rel=2e-4)
  names = [name for name, _ in frames]
  assert names == [f'frame_00000{i}' for i in range(4)]


@pytest.mark.parametrize('seconds, short', [(1.1, False), (1.5, True)])
def test_a_video_that_ends_early_is_a_line(
  tmp_path, monkeypatch, caplog, seconds, short
):
  _stand_in(monkeypatch, _Reader({'fps': 4.0, 'duration': seconds}))
  (tmp_path / 'a.mkv').write_bytes(b'')
  with caplog.at_level(logging.WARNING):
    assert len(list(video.read(str(tmp_path / 'a.mkv'))[1])) == 4
  assert ('a.mkv: ends after 4 frames' in caplog.text) == short


def test_a_video_without_a_rate_has_frames_but_is_not_written(
  tmp_path, monkeypatch
):
  reader = _Reader({'fps': 0.0, 'duration': 1.0})
  _stand_in(monkeypatch, reader)
  (tmp_path / 'a.mp4').write_bytes(b'')
  fps, frames = video.read(str(tmp_path / 'a.mp4'))
  assert len(list(frames)) == 4 and reader.options[-1] == {'output_params': []}
  for ending in ('mp4', 'gif'):
    with pytest.raises(ValueError, match='does not state; use such as --fps'):
      with video.writer(tmp_path / f'b.{ending}', fps):
        pass


@pytest.mark.parametrize(
  'name, codec', [('a.mp4', None), ('a.webm', 'libvpx-vp9')]
)
def test_a_webm_has_a_codec_that_it_can_hold(
  tmp_path, monkeypatch, name, codec
):
  asked = {}

  @contextlib.contextmanager
  def get_writer(path, **options):
    asked.update(options)
    add = lambda pixels: pathlib.Path(path).write_bytes(pixels.tobytes())
    yield types.SimpleNamespace(append_data=add)

  _stand_in(monkeypatch, types.SimpleNamespace(get_writer=get_writer))
  with video.writer(tmp_path / name, 10) as add:
    add(np.zeros((4, 6, 3), np.uint8))
  assert asked.get('codec') == codec and (tmp_path / name).stat().st_size


@pytest.mark.parametrize('content', [None, b''])
def test_a_video_of_which_nothing_was_written_is_an_error(
  tmp_path, monkeypatch, content
):
  @contextlib.contextmanager
  def get_writer(path, **options):
    yield types.SimpleNamespace(append_data=lambda pixels: None)
    if content is not None:
      pathlib.Path(path).write_bytes(content)

  _stand_in(monkeypatch, types.SimpleNamespace(get_writer=get_writer))
  with pytest.raises(ValueError, match=r'a.mkv: .*\(4, 6\).*wrote nothing'):
    with video.writer(tmp_path / 'a.mkv', 10) as add:
      add(np.zeros((4, 6, 3), np.uint8))
  with video.writer(tmp_path / 'a.mkv', 10):
    pass
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('ending', ['mp4', 'mov', 'mkv', 'avi', 'webm'])
def test_a_video_holds_the_frames(tmp_path, ending):
  path = tmp_path / f'a.{ending}'
  values = (0, 40, 80)
  with video.writer(path, 29.97) as add:
    for value in values:
      add(np.full((47, 64, 3), value, np.uint8))
  fps, frames = video.read(str(path))
  assert fps == pytest.approx(30000 / 1001)
  for (_, pixels), value in zip(frames, values, strict=True):
    assert pixels.shape == (48, 64, 3)
    np.testing.assert_allclose(pixels, value, atol=6)
