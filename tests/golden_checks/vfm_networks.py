"""VFM-UDA's network: decoder, mask tokens, and the rates of its parameters.

Every check yields (name, ours, golden, atol, rtol); sizes are read from the
files. Precision is that of the process.
"""

from __future__ import annotations

from collections.abc import Iterator
import functools
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np

from tests.golden_checks import common
from tests.golden_checks import transformers
from uda_jax import types
from uda_jax.augment import masking
from uda_jax.configs.blocks import vfm as configs
from uda_jax.models import dinov2
from uda_jax.models import encoder_decoder
from uda_jax.models import feature_projection
from uda_jax.models import network as network_lib
from uda_jax.models import preprocessing
from uda_jax.models import pyramid_head
from uda_jax.models import reference
from uda_jax.models import upscale_head
from uda_jax.models import vit_adapter
from uda_jax.models.weights import state_dict
from uda_jax.ops import resize
from uda_jax.train import optim
from uda_jax.train import recipe as recipe_lib

Tensors = transformers.Tensors
# Modules of the reference -> ours.
PARTS = (
  ('encoder.', 'backbone.'),
  ('upscale.', 'decode_head.upscale.'),
  ('out.', 'decode_head.out.'),
  ('network_feature_head.', 'feature_head.'),
)


def tolerance(golden=1.0) -> tuple[float, float]:
  """The README's: in float64 10 times closer than in float32."""
  exact = jax.config.jax_enable_x64
  atol = common.tolerance(golden)[0]
  return (atol, 1e-5) if exact else (atol, 1e-4)


def our_names(tensors: Tensors) -> Tensors:
  """Tensors by the names of our modules."""
  return {_ours(name): x for name, x in tensors.items()}


def _ours(name: str) -> str:
  for theirs, ours in PARTS:
    if name.startswith(theirs):
      return ours + name.removeprefix(theirs)
  return name


def theirs(name: str) -> str:
  """The reference's name of a tensor of ours."""
  for original, ours in PARTS:
    if name.startswith(ours):
      return original + name.removeprefix(ours)
  return name


def encoder(tensors: Tensors, *, heads: int, **options) -> dinov2.DINOv2:
  """A DINOv2 of the widths and depth of a state dict, with its last map."""
  width = tensors['cls_token'].shape[-1]
  depth = sum(
    bool(re.fullmatch(r'blocks\.\d+\.norm1\.weight', name)) for name in tensors
  )
  registers = tensors.get('register_tokens', np.zeros((1, 0)))
  defaults = dict(
    registers=registers.shape[1],
    ratio=len(tensors['blocks.0.mlp.fc1.weight']) // width,
    grid=round((tensors['pos_embed'].shape[1] - 1) ** 0.5),
    mask_token='mask_token' in tensors,
    num_features=1,
    dtype=jnp.result_type(float),
  )
  return dinov2.DINOv2(width, depth, width // heads, **(defaults | options))


def network(
  tensors: Tensors, *, heads: int
) -> tuple[types.Network, types.Variables]:
  """VFM-UDA's network of a state dict, which takes pixels."""
  module = encoder_decoder.EncoderDecoder(
    encoder(
      transformers.prefixed(tensors, 'encoder.'),
      heads=heads,
      enlarge=configs.ENLARGE,
    ),
    upscale_head.UpscaleHead(
      len(tensors['out.weight']), jnp.result_type(float)
    ),
  )
  made = network_lib.from_module(
    module,
    preprocessing.IMAGENET,
    mask_size=encoder_decoder.mask_size(module.backbone),
  )
  shapes = jax.eval_shape(
    lambda key: made.init(key, (64, 64)), jax.random.key(0)
  )
  return made, state_dict.load(our_names(tensors), shapes)[0]


def head(path: pathlib.Path) -> Iterator[common.Difference]:
  """The decoder, inside and out, and its gradients."""
  d = common.load(path)
  tensors = transformers.prefixed(d, 'sd:')
  module = upscale_head.UpscaleHead(
    len(tensors['out.weight']), jnp.result_type(float)
  )
  features = jnp.asarray(d['feats'])
  variables = transformers.module_variables(module, tensors, [features])

  @jax.jit
  def run(params, features):
    def value(params, features):
      (logits, _), taps = module.apply(
        {'params': params}, [features], capture_intermediates=True
      )
      return (logits * d['cotangent']).sum(), (logits, taps['intermediates'])

    return jax.grad(value, (0, 1), has_aux=True)(params, features)

  (grads, dfeatures), (logits, taps) = run(variables['params'], features)
  inside = {
    k: v['__call__'][0] for k, v in taps['upscale'].items() if k in '146'
  }
  ours = {
    'inter2': jax.nn.gelu(inside['1'], approximate=False),
    'inter4': inside['4'],
    'inter6': inside['6'],
    'logits': logits,
    'dfeats': dfeatures,
    'resized': resize.bilinear(logits, d['resized'].shape[1:3]),
  }
  for name, x in ours.items():
    yield name, x, d[name], *tolerance()
  yield from gradients(grads, d)


def gradients(params, arrays: Tensors) -> Iterator[common.Difference]:
  """Compares gradients by the names of the reference."""
  ours = state_dict.export(types.Variables(params, {}))
  for name, golden in transformers.prefixed(arrays, 'grad:').items():
    yield f'grad:{name}', ours[name], golden, *tolerance()


def mask_token(path: pathlib.Path) -> Iterator[common.Difference]:
  """The whole network, without and with hidden tokens, and some gradients."""
  d = common.load(path)
  made, variables = network(
    transformers.prefixed(d, 'sd:'), heads=int(d['heads'])
  )
  module = encoder(
    transformers.prefixed(d, 'sd:encoder.'),
    heads=int(d['heads']),
    enlarge=configs.ENLARGE,
  )
  image = jnp.asarray(d['image'])
  size = image.shape[1:3]
  grid = made.mask_size(size)
  inner = tuple(dinov2.PATCH * n for n in grid)
  yield 'net_in_size', inner, [d['net_in_size']] * 2, *common.EXACT
  # In float32, as the released code compares; it does not hide a token whose
  # draw is the ratio, which no random draw is.
  uniform = np.nextafter(d['u'].astype(np.float32), np.float32(2))
  uniform = jnp.asarray(uniform).reshape(-1, *grid)
  mask = masking.visible_mask(uniform, grid, ratio=float(d['mask_ratio']))
  hidden = ~np.asarray(mask).reshape(d['mask'].shape)
  yield 'mask', hidden, d['mask'], *common.EXACT

  @jax.jit
  def run(params):
    plain, _ = made.forward(params, {}, image)

    def value(params):
      outputs, _ = made.forward(params, {}, image, mask=mask)
      logits = resize.bilinear(outputs.logits, size)
      return jnp.mean(logits**2) / 2, (logits, outputs)

    (loss, (logits, outputs)), grads = jax.value_and_grad(value, has_aux=True)(
      params
    )
    return plain, logits, outputs, loss, grads

  plain, logits, outputs, loss, grads = run(variables.params)
  own = variables.params['backbone']
  resized = resize.bilinear(image, inner)
  patches = dinov2.PatchEmbedding(module.width, module.dtype).apply(
    {'params': own['patch_embed']}, resized
  )
  shown = dinov2.hide(patches, mask, own['mask_token'][0])
  flat = lambda x: x.reshape(len(x), -1, x.shape[-1])
  positions = module._positions(own['pos_embed'][0, 1:], grid)
  ours = {
    'resized_every3': resized[:, ::3, ::3],
    'patch_tokens': flat(patches),
    'positions': jnp.concatenate([own['pos_embed'][0, :1], positions])[None],
    'features': plain.features[-1],
    'logits_every8': resize.bilinear(plain.logits, size)[:, ::8, ::8],
    'masked_tokens': flat(shown),
    'masked_features': outputs.features[-1],
    'masked_logits_every4': logits[:, ::4, ::4],
    'half_mean_square_of_masked_logits': loss,
    'dmask_token': grads['backbone']['mask_token'],
    'dcls_token': grads['backbone']['cls_token'],
    'dpos_embed': grads['backbone']['pos_embed'],
    'dpatch_bias': grads['backbone']['patch_embed']['proj']['bias'],
    # Without a mask nothing is hidden: the reference's evaluation.
    'features_eval_mode_mask_asked': plain.features[-1],
  }
  for name, x in ours.items():
    yield name, x, d[name], *tolerance()


def feature_extractor(path: pathlib.Path) -> Iterator[common.Difference]:
  """The frozen network: registers, and the last map at a fixed size."""
  d = common.load(path)
  tensors = transformers.prefixed(d, 'sd:')
  size = int(d['net_in_size'])
  image = jnp.asarray(d['image'])
  made, variables = frozen(tensors, image, int(d['heads']), size)
  ours = jax.jit(made.features)(variables, image)
  yield 'features', ours, d['features'], *tolerance()


def frozen(
  tensors: Tensors, image: jax.Array, heads: int, size: int
) -> tuple[types.Reference, types.Variables]:
  """The frozen network of a state dict, and its variables."""
  make = functools.partial(encoder, tensors, heads=heads)
  made = reference.from_encoder(make, size, preprocessing.IMAGENET)
  variables = transformers.module_variables(make(), tensors, image)
  return made, types.Variables({'backbone': variables['params']}, {})


def lr_factors(path: pathlib.Path) -> Iterator[common.Difference]:
  """Rates and decays of all parameters, the base rate and its schedule."""
  d = common.load(path)
  for name, case in common.cases(d, '.', 'layer_decay'):
    decay = float(case['layer_decay'])
    if name.startswith('vfmuda.'):
      yield from _factors(name, case, _shapes(case), configs.optim(decay))
    else:
      params = _shapes_pp(case)
      yield from _factors(name, case, params, configs.optim_pp(decay))
  # ViT-L's in the whole, from another list.
  blocks = d['vit_l_block_factor']
  decay = float(d['vfmudapp.vit_l.layer_decay'])
  tree = {'blocks': {str(i): {'x': 0.0} for i in range(len(blocks))}}
  rates = optim.learning_rates(
    configs.optim(decay), {'backbone': tree | {'cls_token': 0.0}}
  )['backbone']
  ours = [rates['blocks'][str(i)]['x'] for i in range(len(blocks))]
  yield 'vit_l_block_factor', ours, blocks, 0.0, 1e-6
  golden = d['vit_l_stem_factor']
  yield 'vit_l_stem_factor', rates['cls_token'], golden, 0.0, 1e-6
  step = jnp.asarray(d['schedule.step'])
  schedule = configs.schedule(learning_rate=1.0)
  # The released code tabulates the factors of the first and the last step too.
  schedule.length = int(d['schedule.length']) - 1
  ours = optim.learning_rate(schedule, _at(step))
  yield 'schedule.factor', ours, d['schedule.factor'], *tolerance()


def _at(step: jax.Array) -> types.TrainState:
  """A train state of which only the step is read."""
  return types.TrainState(
    step, None, None, None, None, types.Round(-1, 0, 0), None, None
  )


def _shapes(case: Tensors) -> types.PyTree:
  """The parameters of a tiny network with the blocks of a case."""
  backbone = dinov2.DINOv2(
    4, _depth(case), 2, grid=2, mask_token=True, num_features=1
  )
  return _initial(backbone, upscale_head.UpscaleHead(2))


def _shapes_pp(case: Tensors) -> types.PyTree:
  """Those of VFM-UDA++, with the projection of its feature distance."""
  backbone = vit_adapter.DINOv2Adapter(
    8, _depth(case), 8, grid=2, enlarge=1.0, stem_width=2
  )
  projection = jax.eval_shape(
    feature_projection.FeatureProjection(2).init,
    jax.random.key(0),
    jnp.zeros((1, 1, 1, 2)),
  )
  params = _initial(backbone, pyramid_head.PyramidHead(2))
  return params | {'feature_head': projection['params']}


def _depth(case: Tensors) -> int:
  return 1 + max(
    int(found[1])
    for name in case['names']
    if (found := re.search(r'blocks\.(\d+)\.', str(name)))
  )


def _initial(backbone, head) -> types.PyTree:
  module = encoder_decoder.EncoderDecoder(backbone, head)
  return jax.eval_shape(
    lambda key: module.init(
      key, jnp.zeros((1, 28, 28, 3)), use_running_average=True
    ),
    jax.random.key(0),
  )['params']


def _factors(
  name, case: Tensors, params, config
) -> Iterator[common.Difference]:
  """The rates of the whole optimizer: config, groups, layers, batch."""
  exported = lambda tree: {
    theirs(key): x.flat[0]
    for key, x in state_dict.export(
      types.Variables(
        jax.tree.map(lambda p, x: np.full(p.shape, x), params, tree), {}
      )
    ).items()
  }
  rates = exported(optim.learning_rates(config, params))
  decays = exported(optim.weight_decays(config, params))
  names = [str(key) for key in case['names']]
  yield f'{name}.names', sorted(rates), sorted(names), *common.EXACT
  for key, ours in (('factor', rates), ('weight_decay', decays)):
    yield f'{name}.{key}', [ours[n] for n in names], case[key], 0.0, 1e-6
  per_group, groups = (int(case[k]) for k in ('batch_per_device', 'devices'))
  base = configs.group_rate(float(case['lr']), group_size=per_group)
  ours = base * recipe_lib.batch_factor('sqrt', groups)
  golden = case['base_lr_times_sqrt_batch']
  yield f'{name}.base_lr_times_sqrt_batch', ours, golden, 0.0, 1e-6


CHECKS = {
  'vfm/head*.npz': head,
  'vfm/mask_token*.npz': mask_token,
  'vfm/feature_extractor*.npz': feature_extractor,
  'vfm/lr_factors*.npz': lr_factors,
}
