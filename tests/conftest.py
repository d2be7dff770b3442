"""Several CPU devices for every test, and flags that count as parsed.

Tests are bound by compilation, not by running: most of XLA's optimisations are
off. The command-line tests run programs of their own, with all of them.
"""

from absl import flags
import jax

jax.config.update('jax_num_cpu_devices', 4)
jax.config.update('jax_disable_most_optimizations', True)
flags.FLAGS.mark_as_parsed()
