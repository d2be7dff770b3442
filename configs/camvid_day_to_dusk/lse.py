r"""LSE on CamVid day -> dusk: rounds on enlarged windows of sure images.

  python -m uda_jax.main \
      --config=configs/camvid_day_to_dusk/lse.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import lse
from uda_jax.configs.camvid_day_to_dusk import base


def get_config():
  """See the module's docstring."""
  config = lse.small(
    base.get_config(), adapt_from=300, window=(120, 160), divisor=11
  )
  # Few images: with smaller shares a class would take none.
  config.rounds.update(p_start=0.2, p_step=0.1, p_max=0.6)
  return config
