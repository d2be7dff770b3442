"""Every base with every addition: it trains, or one line says why not."""

import dataclasses
import itertools

import jax
import ml_collections
import numpy as np
import pytest

from tests import tiny
from tests import tiny_hrda
from tests import tiny_two_heads
from uda_jax import configs
from uda_jax import methods
from uda_jax.augment import dacs_jitter
from uda_jax.augment import pipa_jitter
from uda_jax.configs import overrides
from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import ehtdi
from uda_jax.configs.blocks import hrda
from uda_jax.configs.blocks import lse
from uda_jax.configs.blocks import pixmatch
from uda_jax.configs.blocks import vfm
from uda_jax.methods import mic
from uda_jax.models import extra_heads

ADDITIONS = ('pixel_contrast', 'patch_contrast', 'cluda_contrast', 'masking')
PAIRS = list(itertools.product(methods.BASES, ADDITIONS))
POSSIBLE = [(b, a) for b, a in PAIRS if a in methods.BASES[b].additions]
# The terms that an addition adds, on HRDA and elsewhere.
TERMS = {
  'pixel_contrast': {'pixel'},
  'patch_contrast': {'patch'},
  'cluda_contrast': {'source_contrast', 'mixed_contrast'},
  'masking': {'masked'},
}
HEADS = (('proj', 'features', 4), ('project', 'logits', 4))


def _block(base):
  """The base's block, in sizes for a tiny network."""
  views = dict(crop_size=(6, 6), blur=0.0, weight_aux=0.0)
  if base == 'hrda':
    config = hrda.method(_block('self_training'), detail_crop=tiny_hrda.CROP)
  elif base == 'self_training':
    config = tiny.self_training_config()
    config.cluda_contrast.grid = (5, 5)
    config.pixel_contrast.update(max_views=6, max_samples=24)
  elif base == 'source_only':
    config = common.source_only()
  elif base == 'pixmatch':
    config = pixmatch.method()
    config.update(**views)
  elif base == 'ehtdi':
    config = ehtdi.method(paste_classes=(1, 2))
    config.update(**views)
  elif base == 'vfm_uda':
    config = vfm.method()
  else:
    config = lse.method()
  if 'masking' in config:
    config.masking.block_size = 4
    if 'threshold' in config.masking:
      config.masking.threshold = 0.3
    config.patch_contrast.update(start=1, channels=4, samples=5, threshold=0.1)
  return config


def _network(base):
  """A network with PiPa's heads and a fused map."""
  if base == 'hrda':
    rows = ml_collections.ConfigDict({'heads': HEADS})
    return tiny_hrda.network(heads=extra_heads.build(rows))
  return tiny.network_with_heads(tiny_hrda.NUM_CLASSES)


def _batch(base):
  random = np.random.default_rng(1)
  batch = tiny_hrda.batch()
  if base != 'hrda':
    batch = tiny.group(tiny_hrda.NUM_CLASSES)
  size = 16 if base == 'hrda' else 8
  return batch._replace(
    views={
      'image': random.integers(0, 256, (2, 2, size, size, 3), np.uint8),
      'box': np.tile(np.int32([[0, 4, 4, 8], [4, 8, 0, 4]]), (2, 1, 1)),
      'flipped': np.array([[True, False], [False, False]]),
    }
  )


def _losses(config):
  """The function (params, batch) -> Losses of the last phase, and `params`."""
  method = methods.make(config, tiny_hrda.NUM_CLASSES)
  network = _network(config.name)
  state = tiny_hrda.state(network)
  batch = _batch(config.name)
  state = dataclasses.replace(
    state, method_state=method.init(jax.random.key(0), network, batch)
  )

  def losses(params, batch):
    return method.loss(
      params,
      state,
      batch,
      jax.random.key(3),
      network,
      None,
      phase=len(method.starts),
    )

  return losses, state.student.params, batch


@pytest.fixture
def no_jitter(monkeypatch):
  """Colour jitter takes long to compile."""
  same = lambda key, pixels: pixels
  monkeypatch.setattr(dacs_jitter, 'strong_augment', same)
  monkeypatch.setattr(pipa_jitter, 'jitter_views', same)
  monkeypatch.setattr(mic, 'augment_together', same)


@pytest.mark.usefixtures('no_jitter')
@pytest.mark.parametrize(('base', 'addition'), POSSIBLE)
def test_what_goes_on_a_base_adds_its_terms_and_a_gradient(base, addition):
  config = _block(base)
  plain, params, batch = _losses(config)
  config.add = (addition,)
  assert methods.full_name(config) == f'{base} + {addition}'
  losses, _, _ = _losses(config)

  def total(params):
    terms = losses(params, batch).terms
    return sum(t.weight * t.value for t in terms.values()), terms

  before = set(jax.eval_shape(plain, params, batch).terms)
  new = TERMS[addition]
  gradient = jax.grad(total, has_aux=True)
  if base == 'hrda':  # test_combination runs it with all four
    new = new | ({'masked_detail'} if addition == 'masking' else set())
    assert set(jax.eval_shape(gradient, params)[1]) == before | new
    return
  gradient, terms = jax.jit(gradient)(params)
  assert set(terms) == before | new
  assert all(np.isfinite(term.value) for term in terms.values())
  assert all(terms[name].value > 0 for name in new)
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(gradient))


@pytest.mark.usefixtures('no_jitter')
@pytest.mark.parametrize(('base', 'addition'), POSSIBLE)
def test_weight_0_is_not_compiled(base, addition):
  def program(config):
    losses, *args = _losses(config)
    return str(jax.make_jaxpr(losses)(*args))

  config = _block(base)
  plain = program(config)
  config.add = (addition,)
  config[addition].weight = 0.0
  assert program(config) == plain
  assert methods.full_name(config) == base
  config[addition].weight = 0.5
  assert program(config) != plain


@pytest.mark.parametrize(
  ('base', 'addition'), sorted(set(PAIRS) - set(POSSIBLE))
)
def test_what_does_not_go_on_a_base_is_one_line(base, addition):
  config = _block(base)
  config.add = (addition,)
  with pytest.raises(ValueError, match='config.method.add: expected') as error:
    methods.make(config, tiny_hrda.NUM_CLASSES)
  message = str(error.value)
  assert '\n' not in message and repr(base) in message
  assert all(name in message for name in methods.BASES[base].additions)


@pytest.mark.parametrize('add', [('masking', 'masking'), ('mask',)])
def test_a_list_that_is_wrong_is_one_line(add):
  config = _block('self_training')
  config.add = add
  with pytest.raises(ValueError, match="config.method.add: .*'masking'"):
    methods.make(config, 3)


def test_additions_run_in_the_order_of_the_list():
  def last_terms(*add):
    config = _block('self_training')
    config.add = add
    losses, *args = _losses(config)
    found = []
    # The result of a trace would come in alphabetical order.
    jax.eval_shape(lambda *args: found.extend(losses(*args).terms), *args)
    return found[-2:]

  assert last_terms('masking', 'patch_contrast') == ['masked', 'patch']
  assert last_terms('patch_contrast', 'masking') == ['patch', 'masked']


@pytest.mark.usefixtures('no_jitter')
@pytest.mark.parametrize('base', ['pixmatch', 'ehtdi'])
def test_masking_waits_for_the_target(base):
  config = _block(base)
  config.add = ('masking',)
  config.adapt_from = 5
  method = methods.make(config, tiny_two_heads.NUM_CLASSES)
  assert method.starts == (5,)
  for phase in (0, 1):
    terms = tiny_two_heads.weights(method, aux_head=False, phase=phase)
    assert ('masked' in terms) == bool(phase)


@pytest.mark.parametrize('name', list(configs.paths()))
def test_the_checks_pass_on_every_config(name):
  methods.check(configs.load(name))


def _changed(name, *options):
  return overrides.apply(
    configs.load(name), [f'--config.{option}' for option in options]
  )


@pytest.mark.parametrize(
  ('base', 'add', 'config'),
  [
    ('self_training', "('masking',)", 'mic'),
    ('self_training', "('cluda_contrast',)", 'cluda'),
    (
      'pipa',
      "('pixel_contrast', 'patch_contrast', 'cluda_contrast', 'masking')",
      'pipa_cluda_mic',
    ),
  ],
)
def test_a_flag_makes_what_the_config_of_the_paper_is(base, add, config):
  changed = _changed(f'streets/{base}', f'method.add={add}')
  methods.check(changed)
  assert changed.to_json() == configs.load(f'streets/{config}').to_json()


@pytest.mark.parametrize('base', ['pixmatch', 'ehtdi'])
def test_masking_by_a_flag_on_a_base_without_a_teachers_labels(base):
  config = _changed(f'streets/{base}', "method.add=('masking',)")
  methods.check(config)
  assert methods.full_name(config.method) == f'{base} + masking'


@pytest.mark.parametrize(
  ('name', 'option', 'message'),
  [
    ('lse', "method.add=('masking',)", r"method\.add: expected \(\), .*'lse'"),
    (
      'self_training',
      "method.add=('pixel_contrast',)",
      r"model\.heads: .*'proj'.* got \(\)",
    ),
    ('pipa', 'model.heads=()', r"config\.model\.heads: .*'proj'.* got \(\)"),
    ('pipa', 'data.pair.first_step=500', r'config\.data\.pair: .*166.*500'),
    ('pipa', 'data.pair.crop_size=(0, 0)', r'config\.data\.pair: '),
    (
      'pipa',
      'method.patch_contrast.channels=8',
      r'patch_contrast\.channels: expected 64, .* got 8',
    ),
    (
      'pipa',
      'method.pixel_contrast.predict=psychic',
      r'pixel_contrast\.predict: .*psychic',
    ),
    ('mic', 'teacher.use=False', r'config\.teacher\.use: .*masking'),
    (
      'self_training',
      'method.teacher_bn=ema',
      r"teacher\.copy_stats_every: .*teacher_bn='ema'.* got 0",
    ),
    (
      'pixmatch',
      'teacher.copy_stats_every=0',
      r"teacher\.copy_stats_every: .*'pixmatch'.* got 0",
    ),
    ('lse', 'teacher.use=True', r"teacher\.copy_stats_every: .*'lse'"),
    ('self_training', 'method.name=hrda', r'config\.method\.detail_crop'),
    ('ehtdi', 'method.variant=corner', r'config\.method\.variant'),
  ],
)
def test_what_does_not_fit_is_one_line(name, option, message):
  with pytest.raises(ValueError, match=message) as error:
    methods.check(_changed(f'streets/{name}', option))
  assert '\n' not in str(error.value)


@pytest.mark.parametrize('block', ['method', 'method.masking'])
def test_a_field_that_nothing_reads_is_one_line(block):
  config = configs.load('streets/mic')
  with config.unlocked():
    node = config.method.masking if 'masking' in block else config.method
    node.weigth_mixed = 1.0
  with pytest.raises(ValueError, match=rf'config\.{block}\.weigth_mixed: '):
    methods.check(config)


@pytest.mark.parametrize('field', ['add', 'threshold', 'masking'])
def test_a_field_that_is_missing_is_one_line(field):
  config = configs.load('streets/mic')
  with config.unlocked():
    del config.method[field]
  with pytest.raises(ValueError, match=rf'config\.method\.{field}: expected'):
    methods.check(config)


def test_hrda_needs_its_network():
  config = configs.load('gta5_to_cityscapes/hrda')
  with config.unlocked():
    config.model.detail_crop = (256, 256)
  with pytest.raises(ValueError, match=r"'hrda'.*\(512, 512\).*\(256, 256\)"):
    methods.check(config)
