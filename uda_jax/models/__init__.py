"""Networks, and the one table that names them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from uda_jax import types
from uda_jax.models import compact
from uda_jax.models import deeplab_v2
from uda_jax.models import efficientnet_lite
from uda_jax.models import encoder_decoder
from uda_jax.models import fcn8s_vgg
from uda_jax.models import hrda_build
from uda_jax.models import weights
from uda_jax.models.weights import state_dict

# name -> build(config.model, num_classes) -> Network
MODELS: dict[str, Callable[..., types.Network]] = {
  'compact': compact.build,
  'deeplab_v2': deeplab_v2.build,
  'efficientnet_lite0': efficientnet_lite.build,
  'encoder_decoder': encoder_decoder.build,
  'fcn8s_vgg': fcn8s_vgg.build,
  'hrda': hrda_build.build,
}

# name -> importer(config.model) -> Importer, None from scratch
IMPORTERS: dict[str, Callable[..., weights.Importer | None]] = {
  'compact': compact.importer,
  'deeplab_v2': deeplab_v2.importer,
  'efficientnet_lite0': efficientnet_lite.importer,
  'encoder_decoder': encoder_decoder.importer,
  'fcn8s_vgg': fcn8s_vgg.importer,
  'hrda': hrda_build.importer,
}

# name -> how the network's modules are called in files of all its tensors;
# others carry the authors' names themselves.
NAMES: dict[str, state_dict.NameOf] = {
  'efficientnet_lite0': efficientnet_lite.whole_name,
}


_ENCODER_DECODER = (
  'encoder head head_width head_dropout fusion drop_path attention remat'
).split()
# name -> the fields that it reads, beside those of every network.
FIELDS: dict[str, Sequence[str]] = {
  'compact': (),
  'deeplab_v2': (
    'resnet stem planes blocks aspp_branches aux_head class_rows remat'
  ).split(),
  'efficientnet_lite0': ('width', 'dropout'),
  'encoder_decoder': _ENCODER_DECODER,
  'fcn8s_vgg': ('widths', 'fc_width', 'dropout', 'preprocessing'),
  'hrda': [
    *_ENCODER_DECODER,
    *'detail_crop detail_stride context_scale embed_width'.split(),
    *'attention_width scale_attention fixed_attention'.split(),
    *'order feature_weight entropy_rule'.split(),
  ],
}


def check(config) -> None:
  """Raises ValueError unless `config.model` describes a network, by name."""
  name = config.model.name
  if name not in MODELS:
    hint = (
      f"; {name} is an encoder: name='encoder_decoder' with encoder={name!r}"
      if name in encoder_decoder.ENCODERS
      else ''
    )
    raise ValueError(
      f'config.model.name: expected one of {sorted(MODELS)}, got {name!r}{hint}'
    )
  for field in ('weights', 'dtype', *FIELDS.get(name, ())):
    if field not in config.model:
      raise ValueError(
        f'config.model.{field}: expected a value, which the network {name!r} '
        'reads, got no such field; take the whole block of a config with that '
        'network'
      )


def build(config, num_classes: int) -> types.Network:
  """Builds the network that `config.model.name` names.

  Every network reads `config.model.name`, `dtype` (compute dtype: 'float32',
  'bfloat16' or 'float64') and `weights` ('' = from scratch, else a file); its
  own fields are listed at its `build`.

  `allow_target_labels` (False) lets weights in that are known or declared to
  have seen labels of the target.

  Args:
    config: the run's config; only `config.model` is read.
    num_classes: classes of the logits.
  """
  check(config)
  name = config.model.name
  importer = IMPORTERS[name](config.model)
  if importer is not None:
    weights.check(
      importer, allow_target_labels=config.model.allow_target_labels
    )
  return MODELS[name](config.model, num_classes)


def provenance(config) -> weights.Provenance | None:
  """Returns where the weights of `config.model` come from; None: nowhere."""
  importer = IMPORTERS[config.model.name](config.model)
  return None if importer is None else weights.provenance(importer)


def export(config, variables: types.Variables) -> weights.Tensors:
  """Returns all tensors of a network, named as its authors' files name them."""
  name_of = NAMES.get(config.model.name, state_dict.dotted)
  return state_dict.export(variables, name_of)


def preprocessing_name(config) -> str:
  """Returns the name of the pixel preprocessing of `config.model`."""
  model = config.model.copy_and_resolve_references()
  # The importer of any file tells it; none is opened.
  model.weights = 'any'
  return IMPORTERS[model.name](model).preprocessing
