"""The methods: a base, and an ordered list of what is added to it.

`config.method.name` is the base, one file each. `config.method.add` names the
additions, each with a block of its own (`config.method.masking.weight`, ...).
`BASES` says which addition goes on which base. An addition that is not in the
list, or whose weight is 0, is not part of the compiled step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import difflib
import functools
from typing import Any, NamedTuple

from uda_jax import types
from uda_jax.methods import cluda
from uda_jax.methods import ehtdi
from uda_jax.methods import hrda
from uda_jax.methods import lse
from uda_jax.methods import mic
from uda_jax.methods import needs
from uda_jax.methods import pipa_patches
from uda_jax.methods import pipa_pixels
from uda_jax.methods import pixmatch
from uda_jax.methods import self_training
from uda_jax.methods import source_only
from uda_jax.methods import target_labels
from uda_jax.methods import vfm_uda

# The two bases that have a teacher and segment every pass in the same way.
_FAMILY = {'self_training': self_training, 'hrda': hrda}
# Bases in which a teacher, if any, is for evaluation and sees no image.
_WITHOUT_TEACHER = ('source_only', 'pixmatch', 'ehtdi', 'lse')


class Base(NamedTuple):
  """A base method.

  Attributes:
    make: `make(config.method, num_classes, additions) -> Method`, with those
      additions that are terms of the base's own passes.
    fields: the fields of `config.method` beside `name`, `add` and the
      additions' blocks.
    additions: what goes on it, and the fields of the addition's block.
  """

  make: Callable[..., types.Method]
  fields: tuple[str, ...]
  additions: dict[str, tuple[str, ...]] = {}


def _source_only(
  config: types.Config, num_classes: int, additions: tuple[str, ...]
) -> types.Method:
  del num_classes, additions
  return source_only.make(config, source_only.operators(config))


def _self_training(
  base: Any,
  config: types.Config,
  num_classes: int,
  additions: tuple[str, ...],
) -> types.Method:
  """Self-training on whole images or with detail crops (`base`: the module)."""
  operators = base.operators(config, num_classes)
  segment, source_terms = base.segment, self_training.no_terms
  if 'cluda_contrast' in additions:
    operators = cluda.with_entropy(config.cluda_contrast, operators)
    segment = cluda.with_contrast(config.cluda_contrast, segment)
  if 'pixel_contrast' in additions:
    block = config.pixel_contrast
    source_terms = pipa_pixels.source_terms(
      block, pipa_pixels.sampler(block, num_classes)
    )
  return self_training.make(config, operators, segment, source_terms)


def _pixmatch(
  config: types.Config, num_classes: int, additions: tuple[str, ...]
) -> types.Method:
  del num_classes, additions
  return pixmatch.make(config, pixmatch.operators(config))


def _ehtdi(
  config: types.Config, num_classes: int, additions: tuple[str, ...]
) -> types.Method:
  del additions
  return ehtdi.make(config, ehtdi.operators(config, num_classes))


def _lse(
  config: types.Config, num_classes: int, additions: tuple[str, ...]
) -> types.Method:
  del num_classes, additions
  return lse.make(config)


def _vfm_uda(
  config: types.Config, num_classes: int, additions: tuple[str, ...]
) -> types.Method:
  del additions
  return vfm_uda.make(config, vfm_uda.operators(config, num_classes))


# Contrasts that are terms of self-training's passes, and passes of their own.
_ON_SELF_TRAINING: dict[str, tuple[str, ...]] = {
  'pixel_contrast': pipa_pixels.FIELDS,
  'patch_contrast': pipa_patches.FIELDS,
  'cluda_contrast': cluda.FIELDS,
  'masking': mic.FIELDS,
}
# PixMatch and EHTDI label the target without a teacher: the masked pass takes
# its labels from the moving average, by fields of its own.
_ON_OWN_LABELS: dict[str, tuple[str, ...]] = {
  'patch_contrast': pipa_patches.FIELDS,
  'masking': mic.FIELDS + mic.LABEL_FIELDS,
}

# `source_only` sees no target; LSE labels it between the rounds and has no
# teacher; VFM-UDA has a masked pass of its own: nothing goes on these three.
BASES: dict[str, Base] = {
  'source_only': Base(_source_only, source_only.FIELDS),
  'self_training': Base(
    functools.partial(_self_training, self_training),
    self_training.FIELDS,
    _ON_SELF_TRAINING,
  ),
  'hrda': Base(
    functools.partial(_self_training, hrda), hrda.FIELDS, _ON_SELF_TRAINING
  ),
  'pixmatch': Base(_pixmatch, pixmatch.FIELDS, _ON_OWN_LABELS),
  'ehtdi': Base(_ehtdi, ehtdi.FIELDS, _ON_OWN_LABELS),
  'lse': Base(_lse, lse.FIELDS),
  'vfm_uda': Base(_vfm_uda, vfm_uda.FIELDS),
}


def active(config: types.Config) -> tuple[str, ...]:
  """Returns the additions that run, in the order of `config.add`."""
  return tuple(name for name in config.add if config[name].weight)


def full_name(config: types.Config) -> str:
  """Returns the base and what runs on it, as 'self_training + masking'."""
  return ' + '.join((config.name, *active(config)))


def _with_masking(
  config: types.Config, num_classes: int, method: types.Method
) -> types.Method:
  """Adds MIC's pass, with the labels of the base's teacher if it has one."""
  if config.name in _FAMILY:
    base = _FAMILY[config.name]
    detail = base.operators(config, num_classes).detail
    return mic.with_masking(
      config.masking,
      config,
      method,
      mic.operators(config.masking, detail),
      base.segment,
    )
  return mic.with_masking(
    config.masking,
    mic.own_fields(config),
    method,
    mic.operators(config.masking),
    self_training.segment,
    start=config.adapt_from,
  )


def make(
  config: types.Config, num_classes: int, pair_stride: int = 0
) -> types.Method:
  """Makes the base `config.name` with the additions `config.add`.

  Passes of their own (`patch_contrast`, `masking`) come after the base's, in
  the order of the list.

  Args:
    config: `config.method` of a run.
    num_classes: of the labels.
    pair_stride: `config.data.pair.stride`, which must be a multiple of the
      cells of PiPa's patches; 0: not known, not checked.

  Raises:
    ValueError: there is no such base, or no such addition to it.
  """
  check_names(config)
  additions = active(config)
  method = BASES[config.name].make(config, num_classes, additions)
  for name in additions:
    if name == 'patch_contrast':
      block = config.patch_contrast
      method = pipa_patches.with_patches(
        block, method, pipa_patches.operators(block), pair_stride
      )
    elif name == 'masking':
      method = _with_masking(config, num_classes, method)
  return method


def with_target_labels(
  config: types.Config, num_classes: int, method: types.Method, weight: float
) -> types.Method:
  """Adds the supervised term on `batch.labeled`, by the base's own loss.

  Args:
    config: `config.method`.
    num_classes: of the labels.
    method: of `make`.
    weight: of the term.
  """
  detail, segment = lambda *args: None, target_labels.segment
  if base := _FAMILY.get(config.name):
    detail, segment = base.operators(config, num_classes).detail, base.segment
  return target_labels.with_target_labels(
    config, method, weight, detail, segment
  )


def check_names(config: types.Config) -> None:
  """Raises ValueError unless there are such a base and such additions."""
  if config.name not in BASES:
    raise ValueError(
      f'config.method.name: expected one of {sorted(BASES)}, '
      f'got {config.name!r}'
    )
  if 'add' not in config:
    raise ValueError(
      'config.method.add: expected a list of additions, () for none, got no '
      'such field'
    )
  possible = tuple(BASES[config.name].additions)
  add = tuple(config.add)
  if not set(add) <= set(possible) or len(set(add)) < len(add):
    expected = f'each at most once of {possible}' if possible else '()'
    raise ValueError(
      f'config.method.add: expected {expected}, which is what goes on '
      f'{config.name!r}, got {add}'
    )


def _check_fields(
  path: str, block: Mapping[str, Any], expected: tuple[str, ...]
) -> None:
  """Raises ValueError for a field that is missing or that nothing reads."""
  for name in block:
    if name not in expected:
      near = difflib.get_close_matches(name, expected, n=1)
      hint = f'did you mean {near[0]!r}?' if near else f'{sorted(expected)}'
      raise ValueError(f'{path}.{name}: expected a field of {path}: {hint}')
  for name in expected:
    if name not in block:
      raise ValueError(f'{path}.{name}: expected a value, got no such field')


def check(config: types.Config) -> None:
  """Raises ValueError, in one line, for a method that this run cannot have.

  Args:
    config: the whole config: `method` and what it needs of `model`, `data` and
      `teacher`.
  """
  method = config.method
  check_names(method)
  base = BASES[method.name]
  _check_fields(
    'config.method', method, ('name', 'add', *base.fields, *base.additions)
  )
  for name, fields in base.additions.items():
    _check_fields(f'config.method.{name}', method[name], fields)
  additions = active(method)
  reader = 'masking' if 'masking' in additions else method.name
  if reader in ('masking', 'vfm_uda', *_FAMILY) and not config.teacher.use:
    raise ValueError(
      f'config.teacher.use: expected True, as {reader} takes pseudo-labels '
      'from the teacher, got False'
    )
  # A method of one's own may renew them.
  if method.name in ('vfm_uda', *_FAMILY, *_WITHOUT_TEACHER):
    needs.check_statistics(config, method.name not in _WITHOUT_TEACHER)
  if 'pixel_contrast' in additions:
    pipa_pixels.check(method.pixel_contrast)
  needs.check_heads(config, additions)
  if 'patch_contrast' in additions:
    needs.check_pairs(config)
  if 'masking' in additions:
    mic.check(config)
  if method.name == 'hrda':
    needs.check_detail(config, additions)
  if method.name == 'ehtdi':
    ehtdi.check(method)
  if method.name == 'vfm_uda':
    vfm_uda.check(config)
