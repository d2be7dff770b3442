"""The last checkpoint of a run, as arrays."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp


def read(workdir: pathlib.Path) -> tuple[str, dict[str, np.ndarray]]:
  """Returns the step and the arrays by path."""
  folder = max((workdir / 'checkpoints').iterdir(), key=lambda p: int(p.name))
  # As host arrays, for any devices of the run.
  reader = ocp.PyTreeCheckpointer()
  stored = reader.metadata(folder / 'state').item_metadata.tree
  tree = reader.restore(
    folder / 'state',
    restore_args=jax.tree.map(
      lambda _: ocp.RestoreArgs(restore_type=np.ndarray), stored
    ),
  )
  if jnp.issubdtype(tree['rng'].dtype, jax.dtypes.prng_key):
    tree['rng'] = jax.random.key_data(tree['rng'])
  return folder.name, {
    jax.tree_util.keystr(path): np.asarray(x)
    for path, x in jax.tree_util.tree_leaves_with_path(tree)
  }


def assert_same(workdir: pathlib.Path, reference: pathlib.Path) -> None:
  """Checks that two runs ended at the same step with the same bits."""
  step, arrays = read(workdir)
  expected_step, expected = read(reference)
  assert step == expected_step
  assert arrays.keys() == expected.keys()
  for name, value in expected.items():
    np.testing.assert_array_equal(arrays[name], value, err_msg=name)
