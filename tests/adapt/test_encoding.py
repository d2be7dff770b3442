"""How label files encode classes: ids, masks, palettes, colors, class files."""

import numpy as np
from PIL import Image
import pytest

from uda_jax.adapt import class_files
from uda_jax.adapt import encoding as encoding_lib
from uda_jax.adapt import label_contents
from uda_jax.adapt import label_values
from uda_jax.adapt import show
from uda_jax.data import label_ids

Entry = class_files.Entry
RED, GREEN, BLACK = (200, 0, 0), (0, 200, 0), (0, 0, 0)


def write(folder, *arrays, palette=None, ending='png'):
  paths = []
  for number, array in enumerate(arrays):
    image = Image.fromarray(np.asarray(array, np.uint8))
    if palette:
      image.putpalette(np.ravel(palette).tolist())
    paths.append(folder / f'{number}.{ending}')
    image.save(paths[-1])
  return paths


def decide(paths, **options):
  return encoding_lib.decide(
    label_contents.labels(paths, '--x'), '--x', **options
  )


def ids(*rows):
  return np.repeat(np.array(rows), 4, axis=1)


def colors(*rows):
  return np.array(rows, np.uint8)


def test_plain_ids(tmp_path):
  paths = write(tmp_path, ids([0, 1], [1, 255]), ids([2, 2], [0, 1]))
  found = decide(paths)
  assert found.class_names == ('class 0', 'class 1', 'class 2')
  assert found.fields() == {'label_map': (), 'ignore_ids': (255,)}
  assert '255 ignored' in found.reason
  np.testing.assert_array_equal(
    show.train_ids(paths[0], found), ids([0, 1], [1, 255])
  )


def test_ids_with_gaps(tmp_path):
  paths = write(tmp_path, ids([7, 26], [23, 0]))
  found = decide(paths, ignore=(0,))
  assert found.fields()['label_map'] == ((7, 0), (23, 1), (26, 2))
  assert found.fields()['ignore_ids'] == (0,)
  np.testing.assert_array_equal(
    show.train_ids(paths[0], found), ids([0, 2], [1, 255])
  )


def test_masks_of_0_and_255(tmp_path):
  paths = write(tmp_path, ids([0, 255]), ids([0, 0]))
  found = decide(paths)
  assert found.class_names == ('background', 'object')
  assert found.fields() == {
    'label_map': ((0, 0), (255, 1)),
    'ignore_ids': (),
  }
  assert '255 is the second class' in found.reason
  np.testing.assert_array_equal(show.train_ids(paths[0], found), ids([0, 1]))
  named = decide(paths, entries=(Entry('road'), Entry('hole')))
  assert dict(zip(named.class_names, named.values)) == {'road': 0, 'hole': 255}


@pytest.mark.parametrize('levels', [(0, 127, 255), (0, 85, 170, 255)])
def test_white_of_gray_levels_is_asked_for(tmp_path, levels):
  paths = write(tmp_path, ids(levels))
  with pytest.raises(ValueError, match=r'gray levels 0, .*--ignore=none') as e:
    decide(paths)
  assert '\n' not in str(e.value) and '--ignore=255' in str(e.value)
  assert decide(paths, ignore=()).values == levels
  assert decide(paths, ignore=(255,)).values == levels[:-1]
  entries = [Entry(str(x), x) for x in levels]
  assert decide(paths, entries=entries).values == levels


@pytest.mark.parametrize(
  'values', [(0, 1, 255), (0, 120, 255), (0, 127, 254), (7, 127, 255)]
)
def test_other_ids_are_no_gray_levels(tmp_path, values):
  paths = write(tmp_path, ids(values))
  found = decide(paths)
  assert found.values == tuple(x for x in values if x != 255)


def test_a_mask_with_soft_edges(tmp_path):
  soft = np.zeros((40, 40), np.uint8)
  soft[:, 20:] = 255
  soft[:3, 15:25] = np.arange(30).reshape(3, 10) * 8 + 4
  with pytest.raises(ValueError, match='masks with soft edges'):
    decide(write(tmp_path, soft))


def test_a_palette_gives_ids_and_colors(tmp_path):
  paths = write(tmp_path, ids([1, 2]), palette=[(9, 9, 9), RED, GREEN])
  found = decide(paths)
  assert found.kind == 'palette' and found.palette == (RED, GREEN)
  assert found.fields()['label_map'] == ((1, 0), (2, 1))
  entries = (Entry('cat', None, GREEN), Entry('dog', None, RED))
  found = decide(paths, entries=entries)
  assert dict(zip(found.class_names, found.values)) == {'dog': 1, 'cat': 2}
  # Black would look like ignored pixels.
  paths = write(tmp_path, ids([0, 1]), palette=[BLACK, RED])
  assert decide(paths).palette == ()


def test_palettes_that_differ_are_colors(tmp_path):
  one, two = tmp_path / 'one', tmp_path / 'two'
  one.mkdir(), two.mkdir()
  paths = write(one, ids([0, 1]), palette=[RED, GREEN])
  paths += write(two, ids([0, 1]), palette=[GREEN, RED])
  found = decide(paths)
  assert found.kind == 'colors' and set(found.values) == {RED, GREEN}
  first, second = (show.train_ids(path, found) for path in paths)
  np.testing.assert_array_equal(first, 1 - second.astype(int))


def test_palettes_of_source_and_target_that_swap_classes(tmp_path):
  def look_at(name, palette, label=((0, 1, 2),)):
    (tmp_path / name).mkdir()
    return label_contents.labels(
      write(tmp_path / name, ids(*label), palette=palette), '--x'
    )

  source = look_at('a', [BLACK, RED, GREEN])
  label_contents.check_palettes(
    source, look_at('b', [BLACK, RED, GREEN]), '--t'
  )
  # The ids may be right, as far as anyone can tell.
  gray = [(9, 9, 9), (99, 99, 99), (199, 199, 199)]
  label_contents.check_palettes(source, look_at('c', gray), '--t')
  label_contents.check_palettes(source, look_at('d', None), '--t')
  # By chance, green is another class there.
  others = [GREEN, (9, 9, 9), (99, 99, 99)]
  label_contents.check_palettes(source, look_at('g', others), '--t')
  twice = look_at('f', [BLACK, RED, RED])
  label_contents.check_palettes(twice, twice, '--t')
  swapped = look_at('e', [BLACK, GREEN, RED])
  with pytest.raises(ValueError, match=r'--t: .*0, 200, 0.* is id 2.* as id 1'):
    label_contents.check_palettes(source, swapped, '--t')


def test_colors(tmp_path):
  paths = write(tmp_path, colors([RED, GREEN, BLACK], [GREEN, GREEN, BLACK]))
  found = decide(paths, ignore=label_values.parse('#000000'))
  assert found.class_names == ('#00c800', '#c80000')
  assert found.palette == (GREEN, RED)
  assert found.fields() == {
    'label_colors': ((GREEN, 0), (RED, 1), (BLACK, 255))
  }
  np.testing.assert_array_equal(
    show.train_ids(paths[0], found), [[1, 0, 255], [0, 0, 255]]
  )
  entries = (
    Entry('red', None, RED),
    Entry('green', None, GREEN),
    Entry('void', None, BLACK),
  )
  found = decide(paths, entries=entries, class_file='c.txt')
  assert found.class_names == ('red', 'green')
  assert found.fields()['label_colors'][-1] == (BLACK, 255)
  with pytest.raises(ValueError, match=r"c.txt: .* #000000; .*='#000000'"):
    decide(paths, entries=entries[:2], class_file='c.txt')
  with pytest.raises(ValueError, match='c.txt: expected a color for each'):
    decide(paths, entries=(Entry('a'), Entry('b')), class_file='c.txt')


def test_ids_in_three_equal_channels(tmp_path):
  label = np.repeat(ids([0, 1])[..., None], 3, -1)
  found = decide(write(tmp_path, label))
  assert found.fields()['label_colors'] == ((BLACK, 0), ((1, 1, 1), 1))
  np.testing.assert_array_equal(
    show.train_ids(tmp_path / '0.png', found), ids([0, 1])
  )
  # A file that was not looked at: its red is no class.
  Image.fromarray(colors([RED, BLACK])).save(tmp_path / 'late.png')
  with pytest.raises(label_ids.UnknownValues, match='late.png: .*200, 0, 0'):
    show.train_ids(tmp_path / 'late.png', found)
  # Ids that 8 bits cannot hold are no colors.
  found = decide(write(tmp_path, label), ignore=(-1, 9, 300))
  assert found.fields()['label_colors'][2:] == (((9, 9, 9), 255),)
  # Among colors, gray is a color.
  found = decide(write(tmp_path, label, colors([RED, BLACK])))
  assert found.kind == 'colors' and RED in found.values


def test_names_by_id_and_void(tmp_path):
  paths = write(tmp_path, ids([0, 7, 23, 255]))
  entries = (Entry('sky', 23), Entry('road', 7), Entry('void', 0))
  found = decide(paths, entries=entries)
  assert found.class_names == ('road', 'sky')
  assert found.fields()['ignore_ids'] == (0, 255)
  with pytest.raises(ValueError, match="none for 7; add lines, .*--ignore='7'"):
    decide(paths, entries=(Entry('void', 0), Entry('sky', 23), Entry('a', 1)))


def test_names_without_pixels_stay(tmp_path):
  paths = write(tmp_path, ids([0, 1]))
  entries = (Entry('a'), Entry('b'), Entry('c'))
  assert decide(paths, entries=entries).class_names == ('a', 'b', 'c')


@pytest.mark.parametrize(
  'label, message',
  [
    (ids([3, 3]), 'expected two classes or more, got id 3 alone in 1'),
    (ids([3, 255]), 'id 3 alone besides the ignored 255 .*--ignore=none'),
    (np.arange(200).reshape(10, 20), 'expected 2 to 150 classes, got 200 ids'),
    (np.arange(600).reshape(10, 20, 3) % 251, 'expected 2 to 150 classes, got'),
  ],
)
def test_what_are_no_classes(tmp_path, label, message):
  with pytest.raises(ValueError, match=message) as error:
    decide(write(tmp_path, label))
  assert '\n' not in str(error.value)


def test_nothing_is_ignored_on_request(tmp_path):
  found = decide(write(tmp_path, ids([3, 255])), ignore=())
  assert found.values == (3, 255)


def test_files_of_two_kinds_and_jpegs(tmp_path):
  paths = write(tmp_path, ids([0, 1]), colors([RED, GREEN]))
  with pytest.raises(ValueError, match=r'of one kind, got .*\(gray\)'):
    decide(paths)
  with pytest.raises(ValueError, match='0.jpg: expected class ids'):
    decide(write(tmp_path, ids([0, 1]), ending='jpg'))


def test_target_labels_have_the_classes_of_the_source(tmp_path):
  source = decide(write(tmp_path, ids([0, 1, 255])))
  look_at = lambda *arrays: label_contents.labels(
    write(tmp_path, *arrays), '--t'
  )
  same = encoding_lib.of_target(look_at(ids([1, 1])), source, '--t')
  assert same.fields() == source.fields()
  with pytest.raises(ValueError, match='got 7, too'):
    encoding_lib.of_target(look_at(ids([0, 7])), source, '--t')
  other = look_at(colors([RED, GREEN]))
  with pytest.raises(ValueError, match='with ids and colors relates them'):
    encoding_lib.of_target(other, source, '--t')
  entries = (Entry('class 0', 0, GREEN), Entry('class 1', 1, RED))
  found = encoding_lib.of_target(other, source, '--t', entries=entries)
  assert found.fields()['label_colors'][:2] == ((GREEN, 0), (RED, 1))


def test_gray_colors_of_the_target_are_colors_of_the_source(tmp_path):
  paths = write(tmp_path, colors([RED, BLACK]))
  source = decide(paths)
  found = label_contents.labels(write(tmp_path, colors([BLACK])), '--t')
  assert found.kind == 'gray in RGB'
  same = encoding_lib.of_target(
    label_contents.like(found, source.kind, '--t'), source, '--t'
  )
  assert same.fields() == source.fields()
  assert label_contents.like(found, 'gray', '--t') is found


def test_values_as_text():
  assert label_values.parse('255, #80ff00') == (255, (128, 255, 0))
  assert label_values.parse('none') == ()
  assert label_values.listed([1, (128, 255, 0)]) == '1, #80ff00'
  for text in ('', 'x', '#12', '#gggggg'):
    with pytest.raises(ValueError):
      label_values.parse(text)
