"""DeepLab-v2 on a Caffe-style ResNet, as PixMatch, EHTDI and LSE use it.

The pooling rounds up, stages 3 and 4 are dilated (output stride 8).
torchvision's ResNets, whose pooling rounds down and whose strides are on other
convolutions, are known too. Modules have the names of the released PyTorch
checkpoints. Which parameters train (PixMatch keeps the affine part of the
stem's `bn1` fixed, LSE that of all batch norms) is set by the optimizer.
"""

from __future__ import annotations

from collections.abc import Sequence
import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from uda_jax import types
from uda_jax.models import layers
from uda_jax.models import network
from uda_jax.models import pooling
from uda_jax.models import preprocessing
from uda_jax.models import resnet
from uda_jax.models import weights
from uda_jax.models.weights import key_maps
from uda_jax.models.weights import state_dict
from uda_jax.ops import resize

STRIDES = (1, 2, 1, 1)
DILATIONS = (1, 1, 2, 4)
ASPP_DILATIONS = (6, 12, 18, 24)

HEADS = ('layer5.', 'layer6.')

# config.model.resnet -> name of the preprocessing of its weights
PREPROCESSING = {'caffe': 'CAFFE', 'torchvision': 'IMAGENET'}
# Every kernel starts from N(0, 0.01^2); the ImageNet file then replaces the
# backbone's.
KERNEL_STD = 0.01


class Branches(nn.Module):
  """The head's dilated convolutions '0' to '3', the first `used` summed.

  The released forward of AdaptSegNet's line returns after the second branch
  (PixMatch, EHTDI, LSE: used = 2); ADVENT and BDL sum all four. Unused
  branches keep their parameters, as in the checkpoints.
  """

  num_classes: int
  used: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    bound = (9 * x.shape[-1]) ** -0.5  # PyTorch's default for biases

    def bias_init(key, shape, dtype):
      return jax.random.uniform(key, shape, dtype, -bound, bound)

    maps = [
      layers.Conv(
        self.num_classes,
        dilation=dilation,
        use_bias=True,
        dtype=self.dtype,
        bias_init=bias_init,
        name=str(i),
      )(x)
      for i, dilation in enumerate(ASPP_DILATIONS)
    ]
    return sum(maps[1 : self.used], start=maps[0])


class Head(nn.Module):
  """A classifier, logits at the features' size."""

  num_classes: int
  used: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    x = Branches(self.num_classes, self.used, self.dtype, name='conv2d_list')(x)
    return x.astype(layers.storage_dtype(self.dtype))


class DeepLabV2(nn.Module):
  """DeepLab-v2 on a dilated ResNet.

  Attributes:
    num_classes: classes of the logits.
    stem: channels of the stem.
    planes: width of the bottlenecks of each stage (outputs are 4 times it).
    blocks: bottlenecks of each stage.
    aspp_branches: branches of the heads that are summed, 2 or 4.
    aux_head: puts head `layer5` on stage 3 (auxiliary) and `layer6` on stage
      4 (PixMatch, EHTDI); without, `layer5` is the only head, on stage 4
      (LSE).
    caffe: whether the ResNet is Caffe's, or torchvision's.
    dtype: compute dtype.
    remat: recomputes each block in the backward pass instead of keeping its
      activations.
  """

  num_classes: int
  stem: int = 64
  planes: Sequence[int] = (64, 128, 256, 512)
  blocks: Sequence[int] = (3, 4, 23, 3)
  aspp_branches: int = 2
  aux_head: bool = True
  caffe: bool = True
  dtype: Any = jnp.float32
  remat: bool = False

  @nn.compact
  def __call__(
    self,
    image: jax.Array,
    *,
    use_running_average: bool,
    deterministic: bool = True,
  ) -> types.Outputs:
    """Returns logits at the size of the image.

    Args:
      image: [B, H, W, C] normalized (BGR minus mean), any size.
      use_running_average: batch norm's switch.
      deterministic: unused, there is no dropout.

    Returns:
      logits and, with `aux_head`, aux_logits [B, H, W, C], both enlarged with
      align_corners; features of the four stages; maps['low_logits'], the
      main logits before the enlargement (output stride 8).
    """
    del deterministic
    x = layers.Conv(self.stem, 7, 2, dtype=self.dtype, name='conv1')(image)
    x = layers.BatchNorm(dtype=self.dtype, name='bn1')(
      x, use_running_average=use_running_average
    )
    x = pooling.max_pool(
      nn.relu(x), size=3, stride=2, padding=1, ceil=self.caffe
    )
    features = []
    for i in range(4):
      x = resnet.Stage(
        self.blocks[i],
        self.planes[i],
        STRIDES[i],
        DILATIONS[i],
        self.dtype,
        self.remat,
        stride_on_3x3=not self.caffe,
        name=f'layer{i + 1}',
      )(x, use_running_average=use_running_average)
      features.append(x)

    def head(x: jax.Array, name: str) -> jax.Array:
      module = Head(self.num_classes, self.aspp_branches, self.dtype, name=name)
      return module(x)

    def enlarge(x: jax.Array) -> jax.Array:
      return resize.bilinear(x, image.shape[1:3], align_corners=True)

    aux = enlarge(head(features[2], 'layer5')) if self.aux_head else None
    low = head(features[3], 'layer6' if self.aux_head else 'layer5')
    return types.Outputs(
      logits=enlarge(low),
      aux_logits=aux,
      features=tuple(features),
      maps={'low_logits': low},
    )


def build(config: types.Config, num_classes: int) -> types.Network:
  """Builds DeepLab-v2 from `config.model`.

  Own fields: `stem`, `planes`, `blocks`, `aspp_branches`, `aux_head`,
  `remat`, see `DeepLabV2`; `resnet`, 'caffe' (BGR less the mean) or
  'torchvision' (standardised RGB). `weights` is '' or a file, `class_rows` the
  rows of its classifiers to take, see `choose`.
  """
  if config.aspp_branches not in (2, 4):
    raise ValueError(
      'config.model.aspp_branches: expected 2 (as PixMatch, EHTDI and LSE '
      f'are released) or 4 (ADVENT, BDL), got {config.aspp_branches!r}.'
    )
  module = DeepLabV2(
    num_classes=num_classes,
    stem=config.stem,
    planes=tuple(config.planes),
    blocks=tuple(config.blocks),
    aspp_branches=config.aspp_branches,
    aux_head=config.aux_head,
    caffe=_resnet(config) == 'caffe',
    dtype=network.compute_dtype(config),
    remat=config.remat,
  )
  return network.from_module(
    module,
    getattr(preprocessing, PREPROCESSING[_resnet(config)]).configured(config),
    kernel_init=lambda path, noise: KERNEL_STD * noise,
  )


def _resnet(config: types.Config) -> str:
  name = config.resnet
  if name not in PREPROCESSING:
    raise ValueError(
      f'config.model.resnet: got {name!r}, expected one of '
      f'{sorted(PREPROCESSING)}.'
    )
  return name


def importer(config: types.Config) -> weights.Importer | None:
  """Returns the importer of `config.model.weights`, None for ''."""
  if not config.weights:
    return None
  return weights.Importer(
    config.weights,
    PREPROCESSING[_resnet(config)],
    functools.partial(choose, class_rows=tuple(config.class_rows)),
  )


def choose(
  tensors: weights.Tensors, *, class_rows: Sequence[int] = ()
) -> tuple[weights.Tensors, state_dict.NameOf]:
  """Returns the tensors of a file that belong to the network.

  Two kinds of files are known: a ResNet's ImageNet file, which gives the
  backbone, and a whole DeepLab, see `key_maps`.

  Args:
    tensors: all tensors of one network of the file.
    class_rows: the classes of the file that are the network's, in the order
      of the network's; () for all. EHTDI starts its 16 classes from a file of
      19 in this way. A file of as many classes as rows, without one of these
      rows, has been cut already and is taken whole.
  """
  used = key_maps.canonical(tensors).tensors
  if not any(name.startswith(HEADS) for name in used):
    return used, _backbone_name
  if class_rows:
    used |= {
      n: _take(x, class_rows, n) for n, x in used.items() if n.startswith(HEADS)
    }
  return used, state_dict.dotted


def _take(x: np.ndarray, rows: Sequence[int], name: str) -> np.ndarray:
  unknown = [row for row in rows if row not in range(len(x))]
  if unknown and len(x) == len(rows):
    return x
  if unknown:
    raise ValueError(
      f'config.model.class_rows: got {tuple(rows)}, but {name} of '
      f'config.model.weights has {len(x)} classes; () takes all.'
    )
  return x[list(rows)]


def _backbone_name(path: tuple[str, ...]) -> str | None:
  return None if path[0] in ('layer5', 'layer6') else state_dict.dotted(path)
