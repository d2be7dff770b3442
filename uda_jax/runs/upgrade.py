"""Converts the config of an earlier version's run to the current fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Config = dict[str, Any]

# Fields that runs of earlier versions may lack, with the values that they used.
LATER: dict[str, Any] = {
  'eval.scales': [1.0],
  'eval.flip': False,
  'eval.checkpoint': 'last',
  'eval.patience': 0,
  'eval.label_size': [0, 0],
  'eval.enlarge': 'logits',
  'eval.align_corners': False,
  'eval.one_step': False,
  'checkpoint.keep': 1,
  'checkpoint.keep_every': 0,
  'parallel.heartbeat_seconds': 60.0,
  'parallel.slow_step': 10.0,
  'parallel.shard': 'none',
  'data.allow_changes': False,
  'data.on_error': 'fail',
  'data.target_labels': '',
  'data.target_labels_weight': 1.0,
  'checkpoint.best': 'miou',
  'checkpoint.best_subset': 'all classes',
  'model.new_classifier': False,
  'model.starts_from': '',
  'model.matmul_precision': 'default',
  'model.in_channels': 3,
  'model.mean': [],
  'model.std': [],
  'optim.decay_in_place': False,
  'optim.adapters': '',
  'optim.low_rank': {
    'rank': 16,
    'alpha': 16.0,
    'layers': ['/(qkv|q|k|v|kv|proj|fc1|fc2)/kernel$'],
  },
  'optim.layer_decay': 1.0,
  'optim.weight_decay_end': -1.0,
  'schedule.every': 0,
  'schedule.factor': 1.0,
  'schedule.length': 0,
  'schedule.power': 1.0,
  'schedule.round_factor': 1.0,
  'model.allow_target_labels': False,
  'model.heads': [],
  'model.resnet': 'caffe',
}
# The same for the records of data sets in folders.
_LATER_RECORD: Config = {
  'root': '',
  'files': [],
  'skip_last': 0,
  'label_channel': -1,
  'label_colors': [],
  'resize_labels': False,
  'published_images': 0,
  'published_size': [0, 0],
}

# Addition -> its fields: earlier name in `config.method` -> name in its block.
# A method had the addition if it had the first field.
_FLAT: dict[str, dict[str, str]] = {
  'pixel_contrast': {
    'weight_pixel': 'weight',
    'pixel_max_views': 'max_views',
    'pixel_max_samples': 'max_samples',
    'pixel_include_ignore': 'include_ignore',
    'pixel_align_label': 'align_label',
    'pixel_predict': 'predict',
  },
  'patch_contrast': {
    'weight_patch': 'weight',
    'patch_start': 'start',
    'patch_features': 'features',
    'patch_channels': 'channels',
    'patch_threshold': 'threshold',
    'patch_temperature': 'temperature',
    'patch_samples': 'samples',
    'bank_steps': 'bank_steps',
  },
  'cluda_contrast': {
    'weight_contrast': 'weight',
    'grid': 'grid',
    'pixel_order': 'pixel_order',
    'contrast_ignored': 'include_ignore',
    'class_0_is_outside': 'class_0_is_outside',
    'entropy_start': 'entropy_start',
  },
  'masking': {
    'weight_masked': 'weight',
    'mask_ratio': 'ratio',
    'mask_block': 'block_size',
  },
}

# Bases whose cross-entropies have class weights.
_CLASS_WEIGHTS = (
  'source_only',
  'self_training',
  'hrda',
  'pixmatch',
  'ehtdi',
  'lse',
)
# Fields of a base under their earlier names.
_RENAMED = {
  'distance_min_share': 'distance_min_fraction',
  'fourier_share': 'fourier_fraction',
}
# Fields whose value is now the inverse.
_INVERTED = {
  'class_scale': 'class_temperature',
  'pixel_scale': 'pixel_temperature',
}


def _method(old: Config) -> Config:
  """Returns the block `method` with the current fields."""
  new = _with_blocks(old)
  if new['name'] in _CLASS_WEIGHTS:
    new = {'class_weights': []} | new
  if 'masking' in new:
    new['masking'] = {'images': 'target', 'bn': 'batch'} | new['masking']
  return new


def _with_blocks(old: Config) -> Config:
  """The block `method` with a block for each addition."""
  new, name = dict(old), old['name']
  for before, after in _RENAMED.items():
    if before in new:
      new[after] = new.pop(before)
  for before, after in _INVERTED.items():
    if before in new:
      new[after] = 1 / new.pop(before)
  if name == 'ehtdi' and 'weight_contrast' in new:
    new['weight_view_contrast'] = new.pop('weight_contrast')
  if 'add' in new:
    return new
  if name in ('pipa', 'cluda'):
    new['name'] = 'hrda' if 'detail_crop' in old else 'self_training'
  new['add'] = []
  for addition, fields in _FLAT.items():
    if next(iter(fields)) in new:
      new['add'].append(addition)
      new[addition] = {after: new.pop(flat) for flat, after in fields.items()}
  return new


def _model(old: Config) -> Config:
  """Returns the block `model` with the current names of the attention."""
  # '' was plain attention, as 'auto' is for all sizes that runs were made with.
  return old | {'attention': 'auto'} if old.get('attention') == '' else old


def _data(old: Config) -> Config:
  """Returns the block `data` with all fields of its folder records."""

  def whole(value: Any) -> Any:
    if not isinstance(value, dict):
      return value
    if value.get('kind') == 'folder':
      return _LATER_RECORD | value
    # A block of several data sets, or of other fields.
    return {name: whole(inner) for name, inner in value.items()}

  return {name: whole(value) for name, value in old.items()}


def upgrade(config: Mapping[str, Any]) -> Config:
  """Returns a config with the current fields; a current one is unchanged.

  Args:
    config: nested dicts as `manifest.json` holds them, lists for tuples. It is
      not changed.
  """
  new = {'rounds': None, 'compile_cache': '', **config}
  for field, value in LATER.items():
    block, name = field.split('.')
    if block in new:
      new[block] = {name: value} | new[block]
  if 'data' in new:
    new['data'] = _data(new['data'])
  if 'model' in new:
    new['model'] = _model(new['model'])
  if 'method' in new:
    new['method'] = _method(new['method'])
  return new


def comparable(config: Mapping[str, Any]) -> Config:
  """Returns `upgrade(config)` without additions that do not run.

  Blocks of additions that `method.add` does not list, or whose weight is 0,
  change nothing, nor does `optim.low_rank` without adapters: two configs that
  differ in them are the same run.
  """
  new = upgrade(config)
  if 'optim' in new and not new['optim']['adapters']:
    new['optim'] = {n: x for n, x in new['optim'].items() if n != 'low_rank'}
  if 'method' not in new:
    return new
  method = new['method']
  blocks = {name for name, value in method.items() if isinstance(value, dict)}
  add = [name for name in method['add'] if method[name]['weight']]
  new['method'] = {
    name: value for name, value in method.items() if name not in blocks - {*add}
  } | {'add': add}
  return new
