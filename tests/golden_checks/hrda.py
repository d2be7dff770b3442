"""HRDA and CLUDA's use of it, PiPa's projection head.

Every check yields (name, ours, golden, atol, rtol); sizes and widths are read
from the files. Precision is that of the process.
"""

from __future__ import annotations

from collections.abc import Iterator
import functools
import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from tests.golden_checks import common
from tests.golden_checks import transformers
from uda_jax import types
from uda_jax.configs.blocks import common as configs
from uda_jax.losses import hrda as two_scale_losses
from uda_jax.models import hrda
from uda_jax.models import hrda_entropy
from uda_jax.models import mix_transformer
from uda_jax.models import network as network_lib
from uda_jax.models import preprocessing
from uda_jax.models.weights import state_dict
from uda_jax.ops import boxes as boxes_lib
from uda_jax.ops import resize

# The README's; no file has it.
DETAIL_WEIGHT = 0.1

Tensors = dict[str, np.ndarray]


def _ints(x: np.ndarray) -> tuple[int, ...]:
  return tuple(map(int, x))


def crop(path: pathlib.Path) -> Iterator[common.Difference]:
  """The boxes that can be drawn, and that the recorded one is among them."""
  d = dict(np.load(path))
  for i, (height, width, side, divisible) in enumerate(map(_ints, d['in'])):
    draw = functools.partial(
      boxes_lib.draw_box,
      image_size=(height, width),
      crop_size=(side, side),
      divisible=divisible,
    )
    counts = boxes_lib.corner_counts(
      (height, width), (side, side), divisible=divisible
    )
    if (height, width) != (side, side):
      # The released code draws nothing for a crop that is the image.
      yield f'{i}.n_choices', counts, d['n_choices'][i], *common.EXACT
    # Many draws for each corner; their number is the same for all cases, so
    # that they compile once.
    keys = jax.random.split(jax.random.key(i), 4096)
    drawn = np.asarray(jax.vmap(draw)(keys))
    recorded = d['sample_box'][i]
    for axis, count in enumerate(counts):
      begin, end = drawn[:, 2 * axis], drawn[:, 2 * axis + 1]
      possible = divisible * np.arange(count)
      yield f'{i}.corners', np.unique(begin), possible, *common.EXACT
      yield f'{i}.side', np.unique(end - begin), [side], *common.EXACT
      yield f'{i}.recorded', recorded[2 * axis] in possible, True, *common.EXACT


def stitch(path: pathlib.Path) -> Iterator[common.Difference]:
  """Windows and their mean."""
  d = common.load(path)
  for case, given in common.cases(d, '.', 'boxes'):
    size = _ints(given['crop'])
    stride = tuple(n // 2 for n in size) if given['overlapping'] else size
    boxes = boxes_lib.sliding_boxes(_ints(given['image_hw']), size, stride)
    yield f'{case}.boxes', boxes, given['boxes'], *common.EXACT
    # A window is cut to the image; its last cell may be cut, too.
    scale = -(-(boxes[0, 1] - boxes[0, 0]) // given['logits'].shape[1])
    golden = given['out']
    ours = boxes_lib.average(
      jnp.asarray(given['logits']), boxes // scale, golden.shape[1:3]
    )
    yield f'{case}.out', ours, golden, *common.tolerance()


def entropy_crop(path: pathlib.Path) -> Iterator[common.Difference]:
  """Entropy, and the windows by both rules."""
  d = common.load(path)
  for case, given in common.cases(d, '_', 'logits'):
    logits = jnp.asarray(given['logits'])
    yield (
      f'{case}_entropy',
      hrda_entropy.entropy(logits),
      given['entropy'],
      *common.tolerance(given['entropy']),
    )
    size = tuple(int(n * given['upscale']) for n in logits.shape[1:3])
    crop_size = _ints(given['crop'])
    for rule in hrda_entropy.RULES:
      ours = hrda_entropy.max_entropy_boxes(
        logits,
        size,
        crop_size,
        stride=tuple(n // 2 for n in crop_size),
        rule=rule,
      )
      yield f'{case}_box_{rule}', ours, given[f'box_{rule}'], *common.EXACT


def fusion(path: pathlib.Path) -> Iterator[common.Difference]:
  """Mask, fusion, losses and their gradients, from recorded logits."""
  d = common.load(path)
  for case, given in common.cases(d, '.', 'fused'):
    fixed = given.get('fixed_attention')
    inputs = {
      k: jnp.asarray(given[k + '_logits'])
      for k in ('lr', 'hr', 'att')
      if k + '_logits' in given
    }
    box = given.get('box')

    def total(inputs, given=given, fixed=fixed, box=box):
      label = given['label']
      detail, mask = inputs['hr'], 1
      if box is not None:
        size = given['fused'].shape[1:3]
        detail = boxes_lib.paste(
          detail, box // (label.shape[1] // size[0]), size
        )
        size = inputs['lr'].shape[1:3]
        mask = boxes_lib.inside(box // (label.shape[1] // size[0]), size)
      attention = (
        jax.nn.sigmoid(inputs['att'])
        if fixed is None
        else jnp.full_like(inputs['lr'], fixed)
      )
      fused, context = hrda.fuse(
        inputs['lr'], detail, attention * mask, order='product_then_up'
      )
      terms = two_scale_losses.two_scale_cross_entropy(
        fused,
        inputs['hr'],
        context,
        label,
        box,
        weight=given['weight'],
        detail_weight=float(given['hr_loss_weight']),
        context_weight=float(given['lr_loss_weight']),
      )
      terms = {k: value * weight for k, (value, weight) in terms.items()}
      return sum(terms.values()), (fused, context, terms)

    run = jax.jit(jax.value_and_grad(total, has_aux=True))
    (loss, (fused, context, terms)), grads = run(inputs)
    ours = {
      'fused': fused,
      'lr_attended': context,
      'loss_total': loss,
      **{f'd{k}': x for k, x in grads.items()},
    }
    # A weight of 0 has no term, and the released code computes no loss then.
    for name, term in (
      ('loss_fused', 'fused'),
      ('loss_hr', 'detail'),
      ('loss_lr', 'context'),
    ):
      if term in terms:
        ours[name] = terms[term]
    for name, x in ours.items():
      yield f'{case}.{name}', x, given[name], *common.tolerance(given[name])


def _head(tensors: Tensors) -> hrda.TwoScaleHead:
  """The heads in the widths of a state dict, without dropout."""
  head, attention = (
    transformers.daformer(transformers.prefixed(tensors, prefix))
    for prefix in ('decode_head.head.', 'decode_head.scale_attention.')
  )
  return hrda.TwoScaleHead(head, attention.clone(fusion='conv1'))


def _built(
  encoder: nn.Module, head: hrda.TwoScaleHead, crop_size: tuple[int, int]
) -> types.Network:
  """HRDA with windows that overlap by half."""
  module = hrda.HRDA(
    encoder,
    head,
    detail_crop=crop_size,
    detail_stride=tuple(n // 2 for n in crop_size),
    remat=False,
  )
  return network_lib.from_module(
    module,
    preprocessing.IMAGENET,
    kernel_init=module.kernel_init,
    takes_detail=True,
  )


def network(
  tensors: Tensors, *, crop_size: tuple[int, int], heads=None
) -> tuple[types.Network, types.Variables]:
  """HRDA in the widths of a state dict, without dropout, with its weights."""
  encoder = transformers.mit(
    transformers.prefixed(tensors, 'backbone.'), heads=heads
  )
  built = _built(encoder, _head(tensors), crop_size)
  shapes = jax.eval_shape(
    lambda key: built.init(key, tuple(2 * n for n in crop_size)),
    jax.random.key(0),
  )
  return built, state_dict.load(tensors, shapes)[0]


def _box_size(box: np.ndarray) -> tuple[int, int]:
  return int(box[1] - box[0]), int(box[3] - box[2])


def network_test(path: pathlib.Path) -> Iterator[common.Difference]:
  """Sliding windows and running statistics.

  The windows' size stands in the training file of the same network.
  """
  d = common.load(path)
  train = np.load(path.with_name(path.name.replace('_test', '_train')))
  built, variables = network(
    transformers.prefixed(d, 'sd:'),
    heads=d['num_heads'],
    crop_size=_box_size(train['train.box']),
  )
  forward = jax.jit(built.forward, static_argnames='use_running_average')
  outputs, _ = forward(
    *variables, jnp.asarray(d['img']), use_running_average=True
  )
  ours = resize.bilinear(outputs.logits, d['img'].shape[1:3])
  yield 'encode_decode', ours, d['encode_decode'], *common.tolerance()


def network_train(path: pathlib.Path) -> Iterator[common.Difference]:
  """One detail crop and batch statistics: losses, features, statistics."""
  d = common.load(path)
  tensors = transformers.prefixed(d, 'sd:')
  given = transformers.prefixed(d, 'train.')
  built, variables = network(
    tensors, heads=d['num_heads'], crop_size=_box_size(given['box'])
  )

  @jax.jit
  def run(variables, image, box):
    outputs, stats = built.forward(*variables, image, detail=box)
    terms = two_scale_losses.two_scale_cross_entropy(
      outputs.logits,
      outputs.maps['detail'],
      outputs.maps['context'],
      given['label'],
      outputs.boxes,
      weight=given['weight'],
      detail_weight=DETAIL_WEIGHT,
    )
    return outputs, stats, {k: x * weight for k, (x, weight) in terms.items()}

  outputs, stats, terms = run(variables, given['img'], given['box'])
  ours = {
    'loss_seg': terms['fused'],
    'loss_hr': terms['detail'],
    'feat4_lr': outputs.features[-1],
  }
  for name, x in ours.items():
    yield f'train.{name}', x, given[name], *common.tolerance(given[name])
  after = state_dict.export(types.Variables({}, stats))
  for name, golden in transformers.prefixed(d, 'after:').items():
    if not name.endswith(state_dict.COUNTER):
      yield f'after:{name}', after[name], golden, *common.tolerance()


def param_groups(path: pathlib.Path) -> Iterator[common.Difference]:
  """Names, shapes, learning rates and decays of the published head."""
  d = dict(np.load(path))
  tensors = {
    name.removeprefix('model.'): np.zeros(shape[: np.count_nonzero(shape)])
    for name, shape in zip(d['name'], d['shape'])
  }
  embedding = 'decode_head.scale_attention.embed_layers.{}.proj.weight'
  widths = tuple(tensors[embedding.format(i)].shape[1] for i in range(4))
  # Any encoder of these widths.
  encoder = mix_transformer.MixTransformer(widths, (1,) * 4)
  built = _built(encoder, _head(tensors), (64, 64))
  shapes = jax.eval_shape(
    lambda key: built.init(key, (64, 64)), jax.random.key(0)
  )
  params, stats = ({'decode_head': tree['decode_head']} for tree in shapes)
  optimiser = configs.daformer_adamw()
  ours = {
    'lr': transformers.factors(
      params,
      [row[:2] for row in optimiser.groups],
      configs.daformer_schedule().learning_rate,
    ),
    'weight_decay': transformers.factors(
      params, [row[::2] for row in optimiser.groups], optimiser.weight_decay
    ),
  }
  yield 'name', sorted(ours['lr']), sorted(tensors), *common.EXACT
  shapes = [ours['lr'][name].shape for name in tensors]
  yield (
    'shape',
    [(*s, *[0] * (4 - len(s))) for s in shapes],
    d['shape'],
    *common.EXACT,
  )
  for column, factors in ours.items():
    values = [factors[name].flat[0] for name in tensors]
    yield column, values, d[column], 0.0, 1e-12
  buffers = transformers.factors(stats, (), 1.0, kind='batch_stats')
  yield (
    'buffers',
    sorted(f'model.{name}' for name in buffers),
    sorted(n for n in d['buffers'] if not n.endswith(state_dict.COUNTER)),
    *common.EXACT,
  )


CHECKS = {
  'daformer_hrda/hrda_crop*.npz': crop,
  'daformer_hrda/hrda_stitch*.npz': stitch,
  'daformer_hrda/hrda_fusion*.npz': fusion,
  'daformer_hrda/hrda_network_test*.npz': network_test,
  'daformer_hrda/hrda_network_train*.npz': network_train,
  'daformer_hrda/hrda_param_groups*.npz': param_groups,
  'cluda/entropy_crop*.npz': entropy_crop,
}
