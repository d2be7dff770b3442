"""HRDA in small, with CLUDA's maps and, if asked for, PiPa's heads."""

import flax.linen as nn
import jax
import numpy as np

from tests import tiny
from uda_jax import types
from uda_jax.models import daformer_head
from uda_jax.models import hrda
from uda_jax.models import layers
from uda_jax.models import network as network_lib
from uda_jax.models import preprocessing

NUM_CLASSES = 3
SIZE = (32, 32)
CROP = (16, 16)


class Encoder(nn.Module):
  """One map of stride 4."""

  @nn.compact
  def __call__(self, image, *, use_running_average, deterministic):
    del use_running_average, deterministic
    return (
      nn.relu(
        layers.Conv(4, dtype=image.dtype, use_bias=True)(image[:, 2::4, 2::4])
      ),
    )

  @staticmethod
  def kernel_init(path, noise):
    return network_lib.he(path, noise)


def network(seen=None, heads=None) -> types.Network:
  """The network; requests for detail are added to `seen`."""
  light = lambda channels: daformer_head.DAFormerHead(channels, 4, 'conv1')
  module = hrda.HRDA(
    Encoder(),
    hrda.TwoScaleHead(light(NUM_CLASSES), light(NUM_CLASSES), light(1)),
    detail_crop=CROP,
    detail_stride=(8, 8),
    order='up_then_product',
    remat=False,
  )
  made = network_lib.from_module(
    module,
    preprocessing.IMAGENET,
    kernel_init=module.kernel_init,
    heads=heads or {},
    takes_detail=True,
  )

  def forward(*args, detail=None, **options):
    if seen is not None:
      seen.append(detail)
    return made.forward(*args, detail=detail, **options)

  return made._replace(forward=forward)


def batch() -> types.Batch:
  """A group of 2 + 2 images."""
  random = np.random.default_rng(0)
  image = lambda: random.integers(0, 256, (2, *SIZE, 3)).astype(np.float32)
  label = random.integers(0, NUM_CLASSES, (2, *SIZE), dtype=np.int32)
  return types.Batch(
    types.Source(image(), label),
    types.Target(image(), np.ones((2, *SIZE), bool)),
  )


def state(made: types.Network) -> types.TrainState:
  """A student, and the same as its teacher."""
  return tiny.state(made.init(jax.random.key(0), SIZE))
