r"""LSE on rendered streets: rounds on enlarged windows of sure images.

  python -m uda_jax.main \
      --config=configs/streets/lse.py \
      --workdir=DIR
"""

from uda_jax.configs.blocks import lse
from uda_jax.configs.streets import base


def get_config():
  """See the module's docstring."""
  config = lse.small(
    base.get_config(), adapt_from=900, window=(72, 144), divisor=11
  )
  # One round: every further one costs here.
  config.rounds.p_max = config.rounds.p_start
  return config
