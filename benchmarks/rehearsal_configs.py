"""Changes of the published configs for a rehearsal."""

from __future__ import annotations

import pathlib
from typing import Any

from uda_jax import configs
from uda_jax.configs import resolved

BENCHMARKS = (
  'gta5_to_cityscapes',
  'synthia_to_cityscapes',
  'cityscapes_to_acdc',
  'cityscapes_to_dark_zurich',
)


def config_names() -> list[str]:
  """Returns the names of all published configs."""
  return [n for n in configs.paths() if n.split('/')[0] in BENCHMARKS]


def start_weights(config_name: str) -> str:
  """Returns the weight file that a config starts from."""
  encoder = pathlib.Path(configs.load(config_name).model.weights)
  if encoder.name.startswith(('dinov2', 'dinov3', 'eva02')):
    return encoder.name
  benchmark, name = config_name.split('/')
  source = 'synthia' if benchmark.startswith('synthia') else 'gta5'
  if name in ('pixmatch_start', 'ehtdi_start', 'lse_deeplab_start'):
    return 'DeepLab_resnet_pretrained_init-f81d91e8.pth'
  if name.startswith(('pixmatch', 'ehtdi')):
    return f'{source.upper()}_source.pth#shadow'
  if name == 'lse_start':
    return 'vgg16-397923af.pth'
  if name.startswith('lse_deeplab'):
    return f'{source}_deeplab_resnet101_init.pth'
  if name.startswith('lse'):
    return f'{source}_vggfcn_init.pth'
  return 'mit_b5.pth'


def reference_weights(config_name: str) -> str:
  """Returns the file of the frozen network of VFM-UDA++, '' without one."""
  reference = configs.load(config_name).model.get('reference')
  return pathlib.Path(reference.weights).name if reference else ''


def overrides(config_name: str, steps: int) -> dict[str, Any]:
  """Returns the fields that shorten each phase of a run to `steps` steps."""
  config = configs.load(config_name)
  changes: dict[str, Any] = {
    # The run is stopped in its middle.
    'steps': 2 * steps,
    'log.every': 1,
    'checkpoint.every': 1,
    'eval.every': 0,
    'eval.label_free.num_images': 0,
    'eval.target_statistics': 0,
    # Rendered images have few of the rarer classes.
    'data.rare_class.min_pixels': 1.0,
    'data.rare_class.min_crop_ratio': 0.0,
  }
  if config.method.name == 'vfm_uda':
    # The share of one of the four cards.
    changes['batch.groups'] = 1
  if config_name.endswith('/lse_start'):
    # The pixels of torchvision's VGG-16, as docs/published/lse.md says.
    changes['model.preprocessing'] = 'IMAGENET'
  if config.method.name == 'lse':
    # Two rounds, which choose one of two images and more of more.
    return changes | {
      'rounds.divisor': 1,
      'rounds.p_start': 0.5,
      'rounds.p_step': 0.25,
      'rounds.p_max': 0.8,
    }
  add = config.method.add
  if 'patch_contrast' in add:
    changes['method.patch_contrast.start'] = steps
    changes['data.pair.first_step'] = steps
  if 'cluda_contrast' in add and config.method.cluda_contrast.entropy_start:
    changes['method.cluda_contrast.entropy_start'] = steps
  return changes


# Fields of sizes in training, not in scoring.
_SIZES = (
  'data.crop_size',
  'data.pair.crop_size',
  'method.crop_size',
  'method.detail_crop',
  'model.detail_crop',
  'model.detail_stride',
  'rounds.window',
)
# Sizes of images, where no crop is cut from them.
_IMAGE_SIZES = ('data.source_image_size', 'data.target_image_size')


def halved(config_name: str) -> dict[str, Any]:
  """Returns the fields that halve height and width of all training images."""
  values = dict(resolved.fields(configs.load(config_name)))
  cropped = any(values['data.crop_size'])
  names = _SIZES if cropped else (*_SIZES, *_IMAGE_SIZES)
  return {
    name: tuple(side // 2 for side in values[name])
    for name in names
    if any(values.get(name, ()))
  }
