"""EHTDI on rendered streets: source classes pasted, views contrasted.

python -m uda_jax.main --config=configs/streets/ehtdi.py --workdir=DIR
"""

from uda_jax.configs.blocks import ehtdi
from uda_jax.configs.streets import base


def get_config():
  """See the module's docstring."""
  return ehtdi.small(
    base.get_config(),
    crop_size=(80, 80),
    adapt_from=300,
    # Poles, signs, vegetation, sky, people, cars and bicycles.
    paste_classes=tuple(range(4, 11)),
  )
