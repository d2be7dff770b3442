"""MIC: the mask of blocks from recorded numbers."""

from __future__ import annotations

from collections.abc import Iterator
import pathlib

import jax.numpy as jnp

from tests.golden_checks import common
from uda_jax.augment import masking


def mask(path: pathlib.Path) -> Iterator[common.Difference]:
  """The grid of blocks and the masked images."""
  for case, d in common.cases(common.load(path), '.', 'u'):
    size = d['x'].shape[1:3]
    yield (
      f'{case}.grid',
      masking.block_grid(size, int(d['block'])),
      d['u'].shape[1:],
      *common.EXACT,
    )
    # Compared in float32, as the released code does.
    keep = masking.visible_mask(
      jnp.asarray(d['u'], jnp.float32), size, ratio=float(d['ratio'])
    )
    yield (
      f'{case}.y',
      masking.apply_mask(jnp.asarray(d['x']), keep),
      d['y'],
      *common.EXACT,
    )


CHECKS = {'daformer_hrda/mic_mask*.npz': mask}
