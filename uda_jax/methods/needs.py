"""Checks of what methods need of other blocks: heads, crops, statistics."""

from __future__ import annotations

from uda_jax import types


def check_heads(config: types.Config, additions: tuple[str, ...]) -> None:
  """Raises ValueError if PiPa's contrasts lack the network's extra heads."""
  method = config.method
  heads = {row[0]: row for row in config.model.get('heads', ())}
  needed = {}
  if 'pixel_contrast' in additions:
    needed['proj'] = 'pixel_contrast'
    if method.pixel_contrast.predict == 'untrained':
      needed['cls'] = 'pixel_contrast'
  if 'patch_contrast' in additions:
    needed['project'] = 'patch_contrast'
  for head, name in needed.items():
    if head not in heads:
      raise ValueError(
        f'config.model.heads: expected a row ({head!r}, MAP, CHANNELS), which '
        f'{name} in config.method.add needs, got {tuple(heads.values())}'
      )
  if 'patch_contrast' in additions:
    channels = method.patch_contrast.channels
    if heads['project'][2] != channels:
      raise ValueError(
        f'config.method.patch_contrast.channels: expected '
        f"{heads['project'][2]}, the channels of the head 'project' in "
        f'config.model.heads, got {channels}'
      )


def check_statistics(config: types.Config, sees_images: bool) -> None:
  """Raises ValueError if nothing renews the teacher's running statistics.

  They would be those of step 0, beside weights that move.

  Args:
    config: the whole config.
    sees_images: whether the teacher labels images, in a pass that is returned.
  """
  if not config.teacher.use or config.teacher.copy_stats_every:
    return
  why = ''
  if not sees_images:
    why = f'in {config.method.name!r} no pass renews'
  elif config.method.teacher_bn == 'ema':
    why = "with config.method.teacher_bn='ema' no pass renews"
  if why:
    raise ValueError(
      'config.teacher.copy_stats_every: expected 1 or more (steps from one '
      f'copy of the statistics of batch norm to the next), as {why} those of '
      'the teacher, got 0'
    )


def check_pairs(config: types.Config) -> None:
  """Raises ValueError if no crops are cut that the patches are taken from."""
  start, pair = config.method.patch_contrast.start, config.data.pair
  if not any(pair.crop_size) or pair.first_step > start:
    raise ValueError(
      'config.data.pair: expected a crop_size, and a first_step of at most '
      f'{start} (config.method.patch_contrast.start), got crop_size '
      f'{tuple(pair.crop_size)} and first_step {pair.first_step}'
    )
  if min(pair.long_side) < 1:
    raise ValueError(
      'config.data.pair.long_side: expected pixels of the longer side of '
      f'resized images, (lowest, highest), got {tuple(pair.long_side)}'
    )


def check_detail(config: types.Config, additions: tuple[str, ...]) -> None:
  """Raises ValueError if HRDA's method and network do not fit each other."""
  method, model = config.method, config.model
  if model.name != 'hrda' or model.detail_crop != method.detail_crop:
    raise ValueError(
      "config.method.name: 'hrda' needs config.model.name 'hrda' with the "
      f'detail_crop {tuple(method.detail_crop)}, got {model.name!r} with '
      f'{tuple(model.get("detail_crop", ()))}'
    )
  if 'cluda_contrast' in additions and not model.feature_weight:
    raise ValueError(
      'config.model.feature_weight: expected True, as cluda_contrast in '
      'config.method.add weighs the features of detail crops, got False'
    )
