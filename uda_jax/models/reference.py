"""The frozen network of VFM-UDA++'s feature distance: a DINOv2 of its own.

Its features are the last map after the final norm, at a size that does not
follow the student's.
"""

from __future__ import annotations

from collections.abc import Callable
import functools

import flax.linen as nn
import jax

from uda_jax import types
from uda_jax.models import dinov2
from uda_jax.models import network
from uda_jax.models import preprocessing
from uda_jax.models import weights
from uda_jax.models.weights import key_maps
from uda_jax.models.weights import state_dict

# Fields of `config.model.reference`, see `build`.
FIELDS = ('encoder', 'weights', 'size')


class Reference(nn.Module):
  """A DINOv2 that sees images at a size of its own; its last map.

  Attributes:
    make: makes the encoder, a `dinov2.DINOv2` with one map.
    size: pixels of the shorter side of what it sees.
  """

  make: Callable[..., dinov2.DINOv2]
  size: int

  @nn.compact
  def __call__(self, image: jax.Array, **switches: bool) -> jax.Array:
    """Returns [B, rows, columns, D].

    Args:
      image: [B, H, W, C] normalized, any size.
      **switches: unused, there is neither batch norm nor dropout.
    """
    del switches
    enlarge = self.size / min(image.shape[1:3])
    return self.make(enlarge=enlarge, name='backbone')(image)[-1]


def check(config: types.Config) -> None:
  """Raises ValueError for a block `config.model.reference` of no network.

  Args:
    config: `config.model` of a run; its head `feature_head`, if it has one,
      must have the channels of the frozen network.
  """
  block = config.reference
  for field in FIELDS:
    if field not in block:
      raise ValueError(
        f'config.model.reference.{field}: expected a value, got no such field'
      )
  if block.encoder not in dinov2.VARIANTS:
    raise ValueError(
      f'config.model.reference.encoder: expected one of '
      f'{sorted(dinov2.VARIANTS)}, got {block.encoder!r}'
    )
  if type(block.size) is not int or block.size < dinov2.PATCH:
    raise ValueError(
      f'config.model.reference.size: expected pixels, {dinov2.PATCH} or more, '
      f'got {block.size!r}'
    )
  width = dinov2.VARIANTS[block.encoder].width
  for name, source, channels in config.get('heads', ()):
    if name == 'feature_head' and channels != width:
      raise ValueError(
        f'config.model.heads: expected {(name, source, width)}, as '
        f'config.model.reference.encoder={block.encoder!r} has {width} '
        f'channels, got {(name, source, channels)}'
      )


def file_and_origin(encoder: str) -> str:
  """Returns the weight file of a frozen network, and where it comes from.

  Args:
    encoder: a name of `dinov2.VARIANTS`.
  """
  _, size, *registers = encoder.split('_')
  file = f'dinov2_vit{size}14{"_reg4" if registers else ""}_pretrain.pth'
  return f'{file} of facebookresearch/dinov2 (LVD-142M), see docs/weights.md'


def build(config: types.Config) -> types.Reference | None:
  """Builds the network of `config.reference`, None without that block.

  Fields: `encoder`, a name of `dinov2.VARIANTS`; `weights`, its file, or '' for
  random variables, which a run refuses; `size`,
  the pixels of the shorter side of the images that it sees, bilinearly resized
  (VFM-UDA++: 406, which are 29 patches).

  Args:
    config: `config.model` of a run.
  """
  if not config.get('reference'):
    return None
  check(config)
  block = config.reference
  variant = dinov2.VARIANTS[block.encoder]
  make = functools.partial(
    dinov2.DINOv2,
    variant.width,
    variant.depth,
    registers=variant.registers,
    num_features=1,
    dtype=network.compute_dtype(config),
  )
  pixels = preprocessing.IMAGENET.with_channels(config.in_channels)
  made = from_encoder(make, block.size, pixels)
  if not block.weights:
    return made

  def init(key, image_size):
    file = importer(config)
    variables = made.init(key, image_size)
    try:
      weights.check(file, allow_target_labels=config.allow_target_labels)
      return weights.load(file, variables)
    except ValueError as error:
      # A run names two files, often by names that are much alike.
      raise ValueError(f'config.model.reference.weights: {error}') from error

  return made._replace(init=init)


def importer(config: types.Config) -> weights.Importer:
  """Returns the importer of `config.reference.weights`."""
  return weights.Importer(config.reference.weights, 'IMAGENET', _choose)


def from_encoder(
  make: Callable[..., dinov2.DINOv2],
  size: int,
  pixels: preprocessing.Preprocessing,
) -> types.Reference:
  """Returns the functions of an encoder; `init` gives random variables.

  Args:
    make: see `Reference`.
    size: see `Reference`.
    pixels: preprocessing of the images.
  """
  module = Reference(make, size)

  def features(variables: types.Variables, image: jax.Array) -> jax.Array:
    params, batch_stats = variables
    found, _ = network.apply(
      module, params, batch_stats, image, key=None, use_running_average=True
    )
    return found

  return types.Reference(network.from_module(module, pixels).init, features)


def _choose(
  tensors: weights.Tensors,
) -> tuple[weights.Tensors, state_dict.NameOf]:
  """Returns the tensors of a DINOv2 file; there is no token for hiding."""
  found = key_maps.canonical(tensors).tensors
  return found, lambda path: state_dict.dotted(path[1:])
