"""Numbers with their nouns."""

from uda_jax import words


def test_one_thing_is_singular():
  found = [words.counted(n, 'label file') for n in (0, 1, 2, 11)]
  assert found == [
    '0 label files',
    '1 label file',
    '2 label files',
    '11 label files',
  ]
