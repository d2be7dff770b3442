"""Weight files of the published shapes and names, with random values.

  python -m benchmarks.published_weights --out=DIR

writes what the published runs start from, each in the names that its publisher
uses: SegFormer's MiT-B5, DINOv2, DINOv3's ConvNeXt, EVA-02, AdaptSegNet's
ResNet-101, torchvision's VGG-16, the source networks of PixMatch, EHTDI and
LSE, in PyTorch's zip format or safetensors. They show that every start runs; no
score from them means anything.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import pathlib
from typing import Any, NamedTuple

import jax
import numpy as np

from tests.models import pth_files
from uda_jax import configs
from uda_jax import models
from uda_jax.models.weights import key_maps
from uda_jax.models.weights import safetensors
from uda_jax.models.weights import state_dict

Tensors = dict[str, np.ndarray]


def _random(path: tuple[Any, ...], shape: jax.ShapeDtypeStruct) -> np.ndarray:
  """Draws one variable: kernels as He et al. do, scales 1, offsets 0."""
  name = str(path[-1].key)
  if name in ('scale', 'var') or (name == 'weight' and len(shape.shape) == 1):
    return np.ones(shape.shape, np.float32)
  if name in ('bias', 'mean'):
    return np.zeros(shape.shape, np.float32)
  seed = sum(map(ord, jax.tree_util.keystr(path)))
  fan_in = int(np.prod(shape.shape[:-1])) or 1
  normal = np.random.default_rng(seed).standard_normal(shape.shape, np.float32)
  # Below He's deviation: networks without normalization stay finite.
  return normal / np.float32(np.sqrt(fan_in))


def network_tensors(config_name: str, **model: Any) -> Tensors:
  """Returns random tensors of a config's network under its authors' names.

  Args:
    config_name: of the config.
    **model: changes of `config.model`.
  """
  config = configs.load(config_name).copy_and_resolve_references()
  with config.unlocked():
    config.model.update(weights='', **model)
  num_classes = len(config.data.source.class_names)
  network = models.build(config, num_classes)
  shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), (512, 512)))
  variables = jax.tree_util.tree_map_with_path(_random, shapes)
  return state_dict.export(variables)


def _part(tensors: Tensors, prefix: str) -> Tensors:
  """Returns the tensors under a prefix, without it."""
  return {
    name.removeprefix(prefix): x
    for name, x in tensors.items()
    if name.startswith(prefix)
  }


def mit_b5() -> Tensors:
  """SegFormer's `mit_b5.pth`: the encoder and its ImageNet classifier."""
  tensors = _part(network_tensors('gta5_to_cityscapes/daformer'), 'backbone.')
  return tensors | {
    'head.weight': np.zeros((1000, 512), np.float32),
    'head.bias': np.zeros(1000, np.float32),
  }


def dinov2(encoder: str) -> Callable[[], Tensors]:
  """DINOv2's file of an encoder, with the token of hidden patches."""

  def make() -> Tensors:
    name = 'gta5_to_cityscapes/vfm_uda'
    return _part(network_tensors(name, encoder=encoder), 'backbone.')

  return make


def encoder(config_name: str, spelling: str) -> Callable[[], Tensors]:
  """The file of a config's encoder, in the names of a spelling."""

  def make() -> Tensors:
    tensors = _part(network_tensors(config_name), 'backbone.')
    return key_maps.respell(tensors, spelling)

  return make


def caffe_resnet101() -> Tensors:
  """AdaptSegNet's ResNet-101 of ImageNet, with a `layer5` of another task."""
  tensors = network_tensors('gta5_to_cityscapes/lse_deeplab_start')
  backbone = {n: x for n, x in tensors.items() if not n.startswith('layer5')}
  return key_maps.respell(backbone, 'caffe_resnet') | {
    'Scale.layer5.conv2d_list.0.weight': np.zeros((21, 2048, 3, 3), np.float32)
  }


def torchvision_vgg16() -> Tensors:
  """VGG-16 of torchvision, with its ImageNet classifier."""
  tensors = network_tensors('gta5_to_cityscapes/lse_start')
  encoder = {
    name: x for name, x in tensors.items() if name.startswith(('conv', 'fc'))
  }
  return key_maps.respell(encoder, 'torchvision_vgg16') | {
    'classifier.6.weight': np.zeros((1000, 4096), np.float32),
    'classifier.6.bias': np.zeros(1000, np.float32),
  }


def trained(config_name: str) -> Callable[[], Tensors]:
  """A whole network as PixMatch's trainer saves it, with its average."""

  def make() -> Tensors:
    tensors = network_tensors(config_name)
    return {
      f'{copy}/{name}': x
      for copy in ('state_dict', 'shadow')
      for name, x in tensors.items()
    }

  return make


def plain(config_name: str) -> Callable[[], Tensors]:
  """A whole network as a flat state dict."""
  return lambda: network_tensors(config_name)


class File(NamedTuple):
  """A file to write.

  Attributes:
    name: of the file.
    tensors: makes its content; a `/` in a name stands for a dictionary.
  """

  name: str
  tensors: Callable[[], Tensors]


FILES = (
  File('mit_b5.pth', mit_b5),
  *(
    File(f'dinov2_vit{size}14_pretrain.pth', dinov2(f'dinov2_{size}'))
    for size in 'sbl'
  ),
  File('dinov2_vitl14_reg4_pretrain.pth', dinov2('dinov2_l_reg')),
  File(
    'dinov3-convnext-base.safetensors',
    encoder('gta5_to_cityscapes/dinov3_convnext_self_training', 'convnext_hub'),
  ),
  File(
    'eva02_base_patch14_224.mim_in22k.safetensors',
    encoder('gta5_to_cityscapes/eva02_self_training', 'eva02'),
  ),
  File('DeepLab_resnet_pretrained_init-f81d91e8.pth', caffe_resnet101),
  File('vgg16-397923af.pth', torchvision_vgg16),
  File('GTA5_source.pth', trained('gta5_to_cityscapes/pixmatch')),
  File('SYNTHIA_source.pth', trained('synthia_to_cityscapes/pixmatch')),
  File('gta5_vggfcn_init.pth', plain('gta5_to_cityscapes/lse')),
  File('synthia_vggfcn_init.pth', plain('synthia_to_cityscapes/lse')),
  File(
    'gta5_deeplab_resnet101_init.pth', plain('gta5_to_cityscapes/lse_deeplab')
  ),
  File(
    'synthia_deeplab_resnet101_init.pth',
    plain('synthia_to_cityscapes/lse_deeplab'),
  ),
)


def write_pth(path: pathlib.Path, tensors: Tensors) -> None:
  """Writes a file of PyTorch's zip format; `a/b` is b in a dictionary a."""
  groups: dict[str, dict[str, bytes]] = {}
  storages = {}
  for number, (name, array) in enumerate(tensors.items()):
    group, _, own = name.rpartition('/')
    flat = np.ascontiguousarray(array).ravel()
    storages[str(number)] = flat
    stored = pth_files.storage(flat, str(number))
    groups.setdefault(group, {})[own] = pth_files.tensor(stored, array.shape)
  mappings = {name: pth_files.mapping(d) for name, d in groups.items()}
  content = mappings.get('') or pth_files.mapping(mappings)
  path.parent.mkdir(parents=True, exist_ok=True)
  unfinished = path.with_suffix('.unfinished')
  pth_files.write_zip(unfinished, content, storages)
  unfinished.replace(path)


def write(folder: pathlib.Path) -> None:
  """Writes the missing files."""
  for file in FILES:
    path = folder / file.name
    if path.exists():
      continue
    if path.suffix == '.safetensors':
      safetensors.write(path, file.tensors())
    else:
      write_pth(path, file.tensors())


def main() -> None:
  """Reads the arguments."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--out', type=pathlib.Path, required=True)
  write(parser.parse_args().out)


if __name__ == '__main__':
  main()
