"""The methods: one file a paper, and the one table that names them."""

from __future__ import annotations

from collections.abc import Callable

from uda_jax import types
from uda_jax.methods import cluda
from uda_jax.methods import ehtdi
from uda_jax.methods import hrda
from uda_jax.methods import lse
from uda_jax.methods import mic
from uda_jax.methods import pipa
from uda_jax.methods import pixmatch
from uda_jax.methods import self_training
from uda_jax.methods import source_only


def _base(config):
  """The module of the self-training that a method stands on."""
  return hrda if 'detail_crop' in config else self_training


def _source_only(config, num_classes: int) -> types.Method:
  del num_classes
  return source_only.make(config, source_only.operators(config))


def _self_training(config, num_classes: int) -> types.Method:
  return self_training.make(
    config, self_training.operators(config, num_classes)
  )


def _hrda(config, num_classes: int) -> types.Method:
  return hrda.make(config, hrda.operators(config, num_classes))


def _pixmatch(config, num_classes: int) -> types.Method:
  del num_classes
  return pixmatch.make(config, pixmatch.operators(config))


def _pipa(config, num_classes: int) -> types.Method:
  base = _base(config)
  operators, segment = base.operators(config, num_classes), base.segment
  if 'weight_contrast' in config:
    operators = cluda.with_entropy(config, operators)
    segment = cluda.with_contrast(segment)
  return pipa.make(
    config, pipa.operators(config, num_classes, operators), segment
  )


def _cluda(config, num_classes: int) -> types.Method:
  base = _base(config)
  return cluda.make(config, base.operators(config, num_classes), base.segment)


def _ehtdi(config, num_classes: int) -> types.Method:
  return ehtdi.make(config, ehtdi.operators(config, num_classes))


def _lse(config, num_classes: int) -> types.Method:
  del num_classes
  return lse.make(config)


# name -> make(config.method, num_classes), with the operators of training.
METHODS: dict[str, Callable[..., types.Method]] = {
  'source_only': _source_only,
  'self_training': _self_training,
  'hrda': _hrda,
  'pixmatch': _pixmatch,
  'ehtdi': _ehtdi,
  'pipa': _pipa,
  'cluda': _cluda,
  'lse': _lse,
}


def check(config) -> None:
  """Raises if there is no method of the name `config.name`."""
  if config.name not in METHODS:
    raise ValueError(
      f'config.method.name: expected one of {sorted(METHODS)}, '
      f'got {config.name!r}'
    )


def make(config, num_classes: int) -> types.Method:
  """Makes the method that `config.method.name` names.

  With CLUDA's fields PiPa takes its contrast and its crops too; with MIC's any
  method of the family has one more pass.
  """
  check(config)
  method = METHODS[config.name](config, num_classes)
  if 'weight_masked' in config:
    base = _base(config)
    method = mic.with_masking(
      config,
      method,
      mic.operators(config, base.operators(config, num_classes)),
      base.segment,
    )
  return method
