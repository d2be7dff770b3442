"""Videos need an extra package, animations do not."""

import sys

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
