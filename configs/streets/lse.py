r"""LSE on rendered streets: rounds on enlarged windows of sure images.

  python -m uda_jax.main \
      --config=configs/streets/lse.py \
      --workdir=DIR
"""

from configs import lse
from configs.streets import base


def get_config():
  """See the module's docstring."""
  return lse.small(
      base.get_config(), adapt_from=300, window=(48, 96), divisor=11)
