r"""LSE on rendered streets with the choices of the released code.

  python -m uda_jax.main \
      --config=configs/streets/lse_released.py \
      --workdir=DIR
"""

from uda_jax.configs.blocks import lse as blocks
from uda_jax.configs.streets import lse


def get_config():
  """See the module's docstring."""
  return blocks.release(lse.get_config())
