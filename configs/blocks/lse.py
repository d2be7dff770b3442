"""LSE's method and its rounds (arXiv 2007.14449)."""

import ml_collections

ConfigDict = ml_collections.ConfigDict


def method() -> ConfigDict:
  """The method as described: a focal term for every pixel."""
  return ConfigDict(
    dict(
      name='lse',
      add=(),
      weight_focal=0.1,
      gamma=3.0,
      class_weights=(),
      focal_of='pixel',
      # Batch norm sees one image at a time, as released.
      freeze_statistics=False,
      # Steps on the source alone before the rounds.
      adapt_from=0,
    )
  )


def rounds(
  *,
  window: tuple[int, int],
  divisor: int = 19,
  skip_classes: tuple[int, ...] = (),
) -> ConfigDict:
  """The rounds as described in the paper; patches determine their lengths.

  Args:
    window: (height, width) that is enlarged to the whole image.
    divisor: a class selects a fraction p / divisor of the images it occurs in.
    skip_classes: classes that select no image.
  """
  return ConfigDict(
    dict(
      # The fraction p: seven rounds, from 0.1 to just below 0.4.
      p_start=0.1,
      p_step=0.05,
      p_max=0.4,
      divisor=divisor,
      skip_classes=skip_classes,
      patches_per_image=4,
      window=window,
      # An enlarged pixel is labeled if 'any' of the pixels under it is
      # confident, or only if all are ('full').
      keep_rule='any',
      # Target batches that give the batch-norm statistics for ranking and
      # labeling; 0: the network's own statistics, as published.
      target_statistics=0,
      # Passes over the patches of a round, where `config.steps` is 0.
      epochs=2,
      # True as released: one image more, and from the second round on a random
      # draw instead of the selected images.
      one_image_more=False,
      shuffle_later_rounds=False,
    )
  )


def release(config: ConfigDict) -> ConfigDict:
  """Sets a run to the released code's choices.

  A group of 1 + 1 images, one image more than selected, and from the second
  round on a random draw of them.
  """
  config.batch.update(
    groups=config.batch.groups * config.batch.group_size, group_size=1
  )
  config.rounds.update(one_image_more=True, shuffle_later_rounds=True)
  return config
