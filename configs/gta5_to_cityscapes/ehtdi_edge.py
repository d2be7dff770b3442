r"""EHTDI from GTA5 to Cityscapes, with losses on borders (EHTDI*).

  python -m uda_jax.main \
      --config=configs/gta5_to_cityscapes/ehtdi_edge.py \
      --workdir=DIR --config.data.root=DIR

Starts from a network trained on GTA5: --config.model.weights=FILE, or the
directory of another run in --config.warm_start.workdir.
"""

from uda_jax.configs.gta5_to_cityscapes import ehtdi


def get_config():
  """See the module's docstring."""
  config = ehtdi.get_config()
  config.method.variant = 'edge'
  return config
