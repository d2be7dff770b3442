r"""EHTDI on CamVid day -> dusk, with losses on the borders of pastes.

  python -m uda_jax.main \
      --config=configs/camvid_day_to_dusk/ehtdi_edge.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.camvid_day_to_dusk import ehtdi


def get_config():
  """See the module's docstring."""
  config = ehtdi.get_config()
  config.method.variant = 'edge'
  return config
