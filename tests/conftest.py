"""Several CPU devices for every test, and flags that count as parsed."""

from absl import flags
import jax

jax.config.update('jax_num_cpu_devices', 4)
flags.FLAGS.mark_as_parsed()
