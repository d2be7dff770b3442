"""Sliding-window and whole-image prediction against released code."""

from __future__ import annotations

from collections.abc import Iterator
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax import configs
from uda_jax import types
from uda_jax.evaluate import inference
from uda_jax.evaluate import protocol
from uda_jax.evaluate import windows
from uda_jax.ops import boxes


def _network(kernel: np.ndarray, bias: np.ndarray) -> types.Network:
  """The recorded stand-in: one convolution with zero padding 1 (OIHW)."""

  def forward(
    params,
    batch_stats,
    image,
    *,
    key=None,
    use_running_average=False,
    detail=None,
  ):
    del key, use_running_average, detail
    logits = jax.lax.conv_general_dilated(
      image,
      params['kernel'],
      (1, 1),
      'SAME',
      dimension_numbers=('NHWC', 'OIHW', 'NHWC'),
    )
    return types.Outputs(logits + params['bias']), batch_stats

  variables = types.Variables(
    {'kernel': jnp.asarray(kernel, float), 'bias': jnp.asarray(bias, float)}, {}
  )
  same = lambda image: image
  return types.Network(lambda key, size: variables, forward, same, same)


def slide_inference(path: pathlib.Path) -> Iterator[tuple]:
  """Logits averaged over windows, probabilities at the labels' size, labels.

  Scored as the configs of DAFormer and HRDA say, but for the size of windows.
  The released code cuts a window that is larger than the image; `make_scores`
  does so too, and only `make_predict` calls it an error.
  """
  daformer, hrda = (
    protocol.configured(configs.load(f'gta5_to_cityscapes/{name}').eval)
    for name in ('daformer', 'hrda')
  )
  d = dict(np.load(path))
  network = _network(d['w'], d['b'])
  variables = network.init(None, None)
  tolerance = (1e-6 if jax.config.jax_enable_x64 else 1e-5, 1e-4)
  ints = lambda x: tuple(map(int, x))
  for name in sorted(k.removesuffix('.img') for k in d if k.endswith('.img')):
    image = jnp.asarray(d[f'{name}.img'], float)
    how = daformer
    if f'{name}.crop' in d:
      window = windows.Window(
        ints(d[f'{name}.crop']), ints(d[f'{name}.stride'])
      )
      count = len(boxes.sliding_boxes(image.shape[1:3], *window))
      how = hrda._replace(window=window)
      yield f'{name}.n_windows', count, d[f'{name}.n_windows'], 0.0, 0.0
    logits = jax.jit(inference.make_scores(network, how), static_argnums=2)
    size = ints(d[f'{name}.ori'])
    prob = inference.probabilities(logits(variables, image, size), how)
    yield (
      f'{name}.logits',
      logits(variables, image, image.shape[1:3]),
      d[f'{name}.logits'],
      *tolerance,
    )
    yield f'{name}.prob', prob, d[f'{name}.prob'], *tolerance
    yield f'{name}.pred', jnp.argmax(prob, -1), d[f'{name}.pred'], 0.0, 0.0


CHECKS = {'daformer_hrda/slide_inference*.npz': slide_inference}
