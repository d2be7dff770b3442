"""Networks by name, and their initial weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import functools

import jax

from uda_jax import types
from uda_jax.models import compact
from uda_jax.models import deeplab_v2
from uda_jax.models import efficientnet_lite
from uda_jax.models import encoder_decoder
from uda_jax.models import fcn8s_vgg
from uda_jax.models import hrda_build
from uda_jax.models import lite_weights
from uda_jax.models import preprocessing
from uda_jax.models import pretrained
from uda_jax.models import weights
from uda_jax.models.weights import state_dict

# Value of `config.model.weights`: the file of an installed package.
PACKAGED = lite_weights.PACKAGED
Modules = pretrained.Modules

# name -> build(config.model, num_classes) -> Network with random initial values
MODELS: dict[str, Callable[..., types.Network]] = {
  'compact': compact.build,
  'deeplab_v2': deeplab_v2.build,
  **dict.fromkeys(efficientnet_lite.VARIANTS, efficientnet_lite.build),
  'encoder_decoder': encoder_decoder.build,
  'fcn8s_vgg': fcn8s_vgg.build,
  'hrda': hrda_build.build,
}

# name -> importer(config.model) -> Importer, None without weights
IMPORTERS: dict[str, Callable[..., weights.Importer | None]] = {
  'compact': compact.importer,
  'deeplab_v2': deeplab_v2.importer,
  **dict.fromkeys(efficientnet_lite.VARIANTS, lite_weights.importer),
  'encoder_decoder': encoder_decoder.importer,
  'fcn8s_vgg': fcn8s_vgg.importer,
  'hrda': hrda_build.importer,
}

# name -> naming function of files with all tensors of the network; modules of
# the others have the authors' names.
NAMES: dict[str, state_dict.NameOf] = dict.fromkeys(
  efficientnet_lite.VARIANTS, lite_weights.whole_name
)


_ENCODER_DECODER = (
  'encoder head head_width head_dropout fusion drop_path attention remat'
).split()
# Values of `config.model.matmul_precision`.
PRECISIONS = ('default', 'highest')
# Fields of `config.model` that every network reads.
COMMON_FIELDS = ('weights', 'dtype', 'new_classifier', 'in_channels')
# name -> fields that it reads in addition to those of every network.
FIELDS: dict[str, Sequence[str]] = {
  'compact': (),
  'deeplab_v2': (
    'resnet stem planes blocks aspp_branches aux_head class_rows remat'
  ).split(),
  **dict.fromkeys(efficientnet_lite.VARIANTS, ('width', 'dropout')),
  'encoder_decoder': _ENCODER_DECODER,
  'fcn8s_vgg': ('widths', 'fc_width', 'dropout', 'preprocessing'),
  'hrda': [
    *_ENCODER_DECODER,
    *'detail_crop detail_stride context_scale embed_width'.split(),
    *'attention_width scale_attention fixed_attention'.split(),
    *'order feature_weight entropy_rule'.split(),
  ],
}


def check(config: types.Config) -> None:
  """Raises ValueError unless `config.model` has the fields of a network."""
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
  for field in (*COMMON_FIELDS, *FIELDS.get(name, ())):
    if field not in config.model:
      raise ValueError(
        f'config.model.{field}: expected a value, which the network {name!r} '
        'reads, got no such field; take the whole block of a config with that '
        'network'
      )
  if precision(config) not in PRECISIONS:
    raise ValueError(
      f'config.model.matmul_precision: expected one of {PRECISIONS}, got '
      f'{precision(config)!r}'
    )
  preprocessing.check(config.model)


def build(config: types.Config, num_classes: int) -> types.Network:
  """Builds the network of `config.model`.

  Every network reads these fields of `config.model`; its own are listed at its
  `build`:

    name: row of `MODELS`.
    dtype: compute dtype, 'float32', 'bfloat16' or 'float64'.
    matmul_precision: of the network's products and convolutions, forward and
      backward: 'highest' computes in `dtype`; with 'default', accelerators
      round float32 to fewer bits (TF32, bfloat16), as JAX is set. Without the
      field: 'default'.
    weights: '' (random initial values) or a file, see docs/weights.md.
    new_classifier: loads everything but the classifier from `weights` or from
      the run of a warm start; the numbers of classes may differ.
    in_channels: channels of the input; 3 is RGB. Weights for RGB are extended,
      see `pretrained.extended`.
    mean, std: of the pixels (0..255), one a channel; () = those of the weights,
      see `preprocessing.Preprocessing.configured`.
    allow_target_labels: accepts weights that saw labels of the target.

  Args:
    config: the run's config; only `config.model` is read.
    num_classes: classes of the logits.

  Returns:
    The network; `init` loads the weights.
  """
  check(config)
  importer = _importer(config)
  network = MODELS[config.model.name](config.model, num_classes)
  if precision(config) != 'default':
    network = _with_precision(network, precision(config))
  if importer is None:
    return network
  weights.check(
    importer,
    allow_target_labels=config.model.allow_target_labels,
  )

  def init(key: jax.Array, image_size: tuple[int, int]) -> types.Variables:
    classes = lambda: classifier(config, num_classes, image_size)
    chosen = _adapted(config, importer, classes, image_size)
    return pretrained.load(chosen, network.init(key, image_size), classes)

  return network._replace(init=init)


def precision(config: types.Config) -> str:
  """Returns `config.model.matmul_precision`; 'default' without the field."""
  return config.model.get('matmul_precision', 'default')


def _with_precision(network: types.Network, value: str) -> types.Network:
  """Returns the network with all products and convolutions in a precision.

  Gradients have the precision of the operation that they belong to.
  """

  def within(function):
    @functools.wraps(function)
    def call(*args, **kwargs):
      with jax.default_matmul_precision(value):
        return function(*args, **kwargs)

    return call

  head = None if network.head is None else within(network.head)
  reference = network.reference
  if reference is not None:
    reference = reference._replace(features=within(reference.features))
  return network._replace(
    forward=within(network.forward), head=head, reference=reference
  )


def classifier(
  config: types.Config, num_classes: int, image_size: tuple[int, int]
) -> Modules:
  """Returns the modules whose arrays depend on the number of classes.

  Args:
    config: the run's config; only `config.model` is read.
    num_classes: classes of the logits.
    image_size: (height, width) of any image that the network takes.
  """
  make = MODELS[config.model.name]
  return pretrained.dependent_modules(
    lambda count: make(config.model, count), num_classes, image_size
  )


def _importer(config: types.Config) -> weights.Importer | None:
  return IMPORTERS[config.model.name](config.model)


def _adapted(
  config: types.Config,
  importer: weights.Importer,
  classes: Callable[[], Modules],
  image_size: tuple[int, int],
) -> weights.Importer:
  """Returns the importer for the configured classes and input channels."""
  channels = config.model.in_channels
  if channels != pretrained.RGB:
    importer = pretrained.with_channels(
      importer, _first_convolutions(config, channels, image_size), channels
    )
  if config.model.new_classifier:
    importer = pretrained.without(importer, classes())
  return importer


def _first_convolutions(
  config: types.Config, channels: int, image_size: tuple[int, int]
) -> Modules:
  def make(count: int) -> types.Network:
    model = config.model.copy_and_resolve_references()
    model.in_channels = count
    return MODELS[model.name](model, 2)

  return pretrained.dependent_modules(make, channels, image_size)


def provenance(config: types.Config) -> weights.Provenance | None:
  """Returns the origin of the weights of `config.model`, None without any."""
  importer = _importer(config)
  return None if importer is None else weights.provenance(importer)


def origin(
  config: types.Config,
  num_classes: int,
  variables: types.Variables,
  image_size: tuple[int, int],
) -> list[tuple[str, str]]:
  """Returns where each part of a network's initial variables comes from.

  Args:
    config: the run's config; `model` and `warm_start` are read.
    num_classes: classes of the logits.
    variables: of the network; their values are not read.
    image_size: (height, width) of any image that the network takes.

  Returns:
    (parts, source) rows, such as ('backbone', 'mit_b5.pth') and
    ('decode_head', 'random'); see `pretrained.sources`. A source is a file, a
    package, a run or 'random'.
  """
  warm = config.warm_start
  new: Modules = frozenset()
  if config.model.new_classifier:
    new = classifier(config, num_classes, image_size)
  if warm.workdir:
    source = f'{warm.network} of the run {warm.workdir}'
    return pretrained.sources(
      variables, lambda path: 'random' if path[:-1] in new else source
    )
  importer = _importer(config)
  if importer is None:
    return pretrained.sources(variables, lambda path: 'random')
  source = config.model.weights
  if source == PACKAGED:
    source = f'package {lite_weights.package(config.model.name)}'
  _, name_of = weights.choose(pretrained.without(importer, new))

  def source_of(path: tuple[str, ...]) -> str:
    # '' is the name of an encoder itself, which has arrays of its own.
    names = name_of(path[:-1]), name_of(path)
    return 'random' if None in names else source

  return pretrained.sources(variables, source_of)


def export(config: types.Config, variables: types.Variables) -> weights.Tensors:
  """Returns all tensors of a network by the names of its authors' files."""
  name_of = NAMES.get(config.model.name, state_dict.dotted)
  return state_dict.export(variables, name_of)


def preprocessing_name(config: types.Config) -> str:
  """Returns the name of the pixel preprocessing of `config.model`."""
  model = config.model.copy_and_resolve_references()
  # The importer of any file states it; no file is opened.
  model.weights = 'any'
  importer = IMPORTERS[model.name](model)
  assert importer is not None, 'weights are named'
  return importer.preprocessing
