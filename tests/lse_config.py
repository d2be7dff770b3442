"""Config of a run of seconds with rounds, on `tests/tiny_config.py`.

python -m uda_jax.main --config=tests/lse_config.py --workdir=DIR
"""

from tests import tiny_config
from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import laptop


def get_config():
  """6 steps on the source, then two rounds of 4 steps."""
  config = tiny_config.get_config()
  config.steps = 14
  config.teacher = common.no_teacher()
  config.eval.network = 'student'
  config = laptop.add_rounds(config, adapt_from=6, window=(16, 32), divisor=2)
  config.rounds.update(p_start=0.3, p_step=0.1)
  config.checkpoint.every = 4
  return config
