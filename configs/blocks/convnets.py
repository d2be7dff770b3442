"""DeepLab-v2 and FCN-8s, and the optimizers of their published runs."""

import ml_collections

from uda_jax.configs.blocks import common

ConfigDict = ml_collections.ConfigDict

# Number of times that PixMatch, EHTDI and LSE list a tensor of DeepLab-v2 in
# their optimizer: they collect the backbone by visiting all nested modules.
DEEPLAB_REPEATS = (
  ('^layer[56]/', 1),
  ('^(conv1|bn1)/', 1),
  ('/downsample/', 4),
  ('', 3),
)


def deeplab_v2(*, weights: str = '', aux_head: bool = True) -> ConfigDict:
  """DeepLab-v2 on ResNet-101, two of four branches used as released."""
  return ConfigDict(
    dict(
      name='deeplab_v2',
      weights=weights,
      starts_from='',
      allow_target_labels=False,
      new_classifier=False,
      in_channels=3,
      # Of the pixels, one a channel; (): those of the weights.
      mean=(),
      std=(),
      dtype='float32',
      matmul_precision='default',
      resnet='caffe',
      stem=64,
      planes=(64, 128, 256, 512),
      blocks=(3, 4, 23, 3),
      aspp_branches=2,
      aux_head=aux_head,
      remat=False,
      # Rows to take of a file's classifiers if it has more classes than these,
      # e.g. 16 of 19 classes; () = all.
      class_rows=(),
    )
  )


def fcn8s_vgg(*, weights: str = '', preprocessing: str = 'CAFFE') -> ConfigDict:
  """LSE's FCN-8s on VGG-16."""
  return ConfigDict(
    dict(
      name='fcn8s_vgg',
      weights=weights,
      starts_from='',
      allow_target_labels=False,
      new_classifier=False,
      in_channels=3,
      # Of the pixels, one a channel; (): those of the weights.
      mean=(),
      std=(),
      dtype='float32',
      matmul_precision='default',
      widths=(64, 128, 256, 512, 512),
      fc_width=4096,
      dropout=0.5,
      preprocessing=preprocessing,
    )
  )


def pixmatch_sgd(*, repeats: tuple = ()) -> ConfigDict:
  """SGD of PixMatch (and EHTDI): the stem's batch norm does not train."""
  config = common.sgd(
    weight_decay=5e-4, repeats=repeats, groups=(('^layer[56]/', 10.0, 1.0),)
  )
  config.frozen = ('^bn1/',)
  return config


def lse_sgd(*, repeats: tuple = ()) -> ConfigDict:
  """LSE's optimizer of DeepLab-v2: no batch norm trains."""
  config = common.sgd(
    weight_decay=5e-4, repeats=repeats, groups=(('^layer5/', 10.0, 1.0),)
  )
  config.frozen = (r'(^|/)bn\d/', '/downsample/1/')
  return config


def lse_adam() -> ConfigDict:
  """LSE's optimizer of FCN-8s: biases twice as fast, upsampling fixed."""
  config = common.adamw(weight_decay=0.0, groups=(('/bias$', 2.0, 1.0),))
  config.b2 = 0.99
  config.frozen = ('^upscore',)
  return config
