"""PiPa's source passes, through the method and the gradient that train.

The draws are recorded in the files and enter through the method's operators.
Widths, depths and sizes are read from the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import itertools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from tests.golden_checks import common
from tests.golden_checks import pipa as checks
from tests.golden_checks import transformers
from uda_jax import parallel
from uda_jax import types
from uda_jax.configs.blocks import common as common_configs
from uda_jax.configs.blocks import pipa as configs
from uda_jax.methods import hrda
from uda_jax.methods import pipa_pixels
from uda_jax.methods import self_training
from uda_jax.models import encoder_decoder
from uda_jax.models import extra_heads
from uda_jax.models import hrda as hrda_lib
from uda_jax.models import network as network_lib
from uda_jax.models import preprocessing
from uda_jax.models.weights import state_dict
from uda_jax.train import gradient as gradient_lib
from uda_jax.train import optim
from uda_jax.train import recipe as recipe_lib
from uda_jax.train import state as state_lib
from uda_jax.train import teacher as teacher_lib

# The README's; no file has it.
DETAIL_WEIGHT = 0.1

METHOD = configs.released(common_configs.self_training(threshold=0.968))

Tensors = transformers.Tensors


def _module(d: Tensors, tensors: Tensors):
  """DAFormer's network, or HRDA's where a box is recorded."""
  mit = transformers.mit(transformers.prefixed(tensors, 'backbone.'))
  head = lambda prefix: transformers.daformer(
    transformers.prefixed(tensors, prefix)
  )
  if 'box' not in d:
    return encoder_decoder.EncoderDecoder(mit, head('decode_head.'))
  top, bottom, left, right = map(int, d['box'])
  size = (bottom - top, right - left)
  return hrda_lib.HRDA(
    mit,
    hrda_lib.TwoScaleHead(
      head('decode_head.head.'),
      head('decode_head.scale_attention.').clone(fusion='conv1'),
    ),
    detail_crop=size,
    detail_stride=tuple(n // 2 for n in size),
  )


# f(name, x) keeps what a pass computes on its way.
Keep = Callable[[str, jax.Array], None]


def _network(d: Tensors, keep: Keep) -> tuple[types.Network, types.Variables]:
  """The network of a state dict; its class map is the recorded one.

  Images come normalised. Of a loss's three passes only the first is made, that
  of the source: the teacher's and that of the mixture, which has no weight
  here, would take twice as long to compile.
  """
  tensors = transformers.prefixed(d, 'sd:')
  module = _module(d, tensors)
  channels = len(tensors['proj_head.proj.2.weight'])
  projection = network_lib.Head(
    'proj_head',
    extra_heads.PixelProjection(channels),
    lambda outputs: outputs.features,
    extra_heads.kernel_init,
  )
  made = network_lib.from_module(
    module,
    preprocessing.IMAGENET,
    heads={'proj': projection},
    takes_detail='box' in d,
  )
  shapes = jax.eval_shape(
    lambda key: made.init(key, d['img'].shape[1:3]), jax.random.key(0)
  )

  def head(name, params, stats, features, **switches):
    if name == 'cls':
      return d['seg'], stats
    embedding, stats = made.head(name, params, stats, features, **switches)
    keep('embed', embedding)
    return embedding, stats

  number = itertools.count()

  def forward(*args, **switches):
    if next(number) % 3 == 0:
      return made.forward(*args, **switches)
    return jax.tree.map(
      lambda x: jnp.zeros(x.shape, x.dtype),
      jax.eval_shape(lambda: made.forward(*args, **switches)),
    )

  variables, _ = state_dict.load(tensors, shapes)
  return made._replace(
    head=head, forward=forward, normalize=lambda image: image
  ), variables


def _recipe(
  d: Tensors, network, params, num_classes: int, keep: Keep
) -> recipe_lib.Recipe:
  """The released recipe, without the mixture, with recorded draws."""
  method = METHOD.copy_and_resolve_references()
  method.update(
    weight_mixed=0.0,
    weight_detail=DETAIL_WEIGHT,
    weight_context=0.0,
  )
  method.pixel_contrast.update(
    max_views=int(d['max_views']), max_samples=int(d['max_samples'])
  )
  base = self_training.operators(method, num_classes)._replace(
    augment=lambda key, pixels: pixels,
    detail=lambda key, image_size, name, phase: d.get('box'),
  )

  def sample(key, label, predicted):
    keep('label_small', label)
    return checks.recorded_sample(d, int(d['max_samples']))

  segment = hrda.segment if 'box' in d else self_training.segment
  return recipe_lib.Recipe(
    method=self_training.make(
      method,
      base,
      segment,
      pipa_pixels.source_terms(method.pixel_contrast, sample),
    ),
    network=network,
    optimizer=optim.make(common_configs.daformer_adamw(), params),
    learning_rate=lambda state: jnp.zeros(()),
    teacher=teacher_lib.Rule(0.999, ramp=True),
  )


def source_pass(path: pathlib.Path) -> Iterator[common.Difference]:
  """Embeddings, labels, sampling, losses and gradient of the source pass."""
  d, kept = common.load(path), {}
  keep = lambda name, x: jax.debug.callback(lambda x: kept.update({name: x}), x)
  network, variables = _network(d, keep)
  recipe = _recipe(d, network, variables.params, d['seg'].shape[-1], keep)
  image, label = jnp.asarray(d['img']), jnp.asarray(d['label'])
  batch = jax.tree.map(
    lambda x: x[None],
    types.Batch(
      types.Source(image, label),
      types.Target(image, jnp.ones(label.shape, bool)),
    ),
  )
  state = state_lib.init_state(
    recipe, variables, jax.random.key(0), batch, num_steps=1
  )
  gradient = gradient_lib.make_gradient(recipe, parallel.make_mesh(1), 1)
  grads, found = jax.jit(gradient)(state.student.params, state, batch, None)
  jax.effects_barrier()
  yield 'embed', kept['embed'], d['embed'], *common.tolerance()
  yield 'label_small', kept['label_small'], d['label_small'], *common.EXACT
  yield from checks.sampling('sample', d, np.argmax(d['seg'], -1))
  yield from _losses(found.terms, d)
  ours = state_dict.export(types.Variables(grads, {}))
  for name, golden in transformers.prefixed(d, 'grad:').items():
    yield f'grad:{name}', ours[name], golden, *common.tolerance()


def _losses(terms: types.Terms, d: Tensors) -> Iterator[common.Difference]:
  """The released code logs the contrast with the head's loss."""
  yield (
    'loss_contrast',
    terms['pixel'].value,
    d['loss_contrast'],
    *common.tolerance(),
  )
  weighted = {name: term.weight * term.value for name, term in terms.items()}
  if 'box' in d:
    yield (
      'loss_hr',
      weighted['source_detail'],
      d['loss_hr'],
      *common.tolerance(),
    )
  yield (
    'loss_seg',
    weighted['source'] + weighted['pixel'],
    d['loss_seg'],
    *common.tolerance(),
  )


CHECKS = {'pipa/source_pass_*.npz': source_pass}
