"""EHTDI on rendered streets, with losses on the borders of pastes.

python -m uda_jax.main --config=configs/streets/ehtdi_edge.py --workdir=DIR
"""

from uda_jax.configs.streets import ehtdi


def get_config():
  """See the module's docstring."""
  config = ehtdi.get_config()
  config.method.variant = 'edge'
  return config
