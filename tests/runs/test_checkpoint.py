"""Save and restore, kills, the best network, warm starts, errors."""

import dataclasses
import errno
import json
import logging
import os
import pathlib
import re
import resource
import shutil
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import tiny
from tests import tiny_config
from uda_jax import parallel
from uda_jax import types
from uda_jax.runs import checkpoint
from uda_jax.runs import checksums
from uda_jax.runs import lock
from uda_jax.runs import networks
from uda_jax.runs import provenance
from uda_jax.runs import restore
from uda_jax.train import optim

ROOT = pathlib.Path(__file__).parents[2]
NUM_CLASSES = 4


def _variables(num_classes=NUM_CLASSES, seed=0):
  return tiny.network(num_classes).init(jax.random.key(seed), (8, 8))


def _state(num_classes=NUM_CLASSES, seed=0, teacher=True):
  variables = _variables(num_classes, seed)
  copy = lambda tree: jax.tree.map(jnp.array, tree)
  return types.TrainState(
    step=jnp.asarray(7, jnp.int32),
    student=variables,
    teacher=copy(variables) if teacher else None,
    opt_state=optim.make(tiny.adamw(), variables.params).init(variables.params),
    method_state={
      'bank': jax.random.normal(jax.random.key(seed), (4, 5)),
      'counts': jnp.arange(4),
    },
    round=types.Round(*jnp.arange(3)),
    nonfinite=jnp.zeros((), jnp.int32),
    rng=jax.random.key(seed + 1),
  )


def _like(state, mesh=None):
  mesh = mesh or parallel.make_mesh(1)
  shapes = jax.eval_shape(lambda: state)
  return jax.tree.map(
    lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
    shapes,
    parallel.state_sharding(shapes, mesh),
  )


def _assert_same(a, b, rtol=0):
  assert jax.tree.structure(a) == jax.tree.structure(b)
  data = lambda x: (
    jax.random.key_data(x)
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    else x
  )
  for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b)):
    assert x.dtype == y.dtype
    np.testing.assert_allclose(data(x), data(y), rtol=rtol)


def _folders(path):
  return sorted(p.name for p in path.iterdir() if p.is_dir())


@pytest.mark.parametrize('teacher', [True, False])
def test_restore_is_exact_and_onto_the_given_devices(tmp_path, teacher):
  state = _state(teacher=teacher)
  mesh = parallel.make_mesh(4)
  with checkpoint.Checkpoints(tmp_path, every_steps=1) as saved:
    assert saved.latest_step() is None
    assert saved.save(7, state)
  with checkpoint.Checkpoints(tmp_path, every_steps=1) as saved:
    assert saved.latest_step() == 7
    restored = saved.restore(_like(state, mesh))
  _assert_same(restored, state)
  assert isinstance(restored.student, types.Variables)
  assert isinstance(restored.round, types.Round)
  assert restored.student.params['kernel'].sharding == parallel.replicated(mesh)
  assert restored.method_state['bank'].sharding == parallel.by_group(mesh)
  assert restored.rng.sharding.is_equivalent_to(parallel.replicated(mesh), 0)
  # A sharded state goes back onto one device, too.
  with checkpoint.Checkpoints(tmp_path / 'b', every_steps=1) as saved:
    saved.save(1, restored)
    saved.wait()
    _assert_same(saved.restore(_like(state)), state)


def test_checkpoints_with_empty_tuples_for_absent_parts_still_load(tmp_path):
  state = dataclasses.replace(_state(teacher=False), method_state=None)
  earlier = dataclasses.replace(state, teacher=(), method_state=())
  with checkpoint.Checkpoints(tmp_path, every_steps=1) as saved:
    saved.save(7, earlier)
    saved.wait()
    _assert_same(saved.restore(_like(state)), state)
  assert json.loads((tmp_path / 'checkpoints/7/state/_METADATA').read_text())[
    'tree_metadata'
  ]["('teacher',)"]['value_metadata'] == {
    'value_type': 'Tuple',
    'skip_deserialize': True,
  }
  student = networks.load(tmp_path, 'student', state.student)
  _assert_same(student, state.student)
  with pytest.raises(ValueError, match='has no teacher'):
    networks.load(tmp_path, 'teacher', state.student)


def test_saves_at_the_interval_and_when_forced(tmp_path):
  state = _state()
  with checkpoint.Checkpoints(tmp_path, every_steps=3) as saved:
    wrote = [step for step in range(1, 8) if saved.save(step, state)]
    assert wrote == [3, 6]
    assert saved.save(7, state, force=True)
    assert not saved.save(7, state, force=True)
    assert saved.latest_step() == 7
  assert _folders(tmp_path / 'checkpoints') == ['7']


@pytest.mark.parametrize('devices', [1, 4])
def test_a_state_may_be_donated_right_after_save(tmp_path, devices):
  sharding = parallel.replicated(parallel.make_mesh(devices))
  # Large enough to be still on its way to the disk when the next steps run.
  state = {
    f'w{i}': jax.device_put(np.full((512, 1024), 1.0, np.float32), sharding)
    for i in range(16)
  }
  step = jax.jit(
    lambda tree: jax.tree.map(lambda x: 2 * x + 1, tree), donate_argnums=0
  )
  state = step(state)  # compiled: all leaves are 3
  with checkpoint.Checkpoints(tmp_path, every_steps=1) as saved:
    for number in (1, 2):
      expected = float(state['w0'][0, 0])
      saved.save(number, state)
      for _ in range(3):
        state = step(state)
      jax.block_until_ready(state)
      saved.wait()
      like = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
        state,
      )
      for leaf in jax.tree.leaves(saved.restore(like)):
        assert (np.asarray(leaf) == expected).all()


_KILLED = """
import os, pathlib, signal, sys
import jax, jax.numpy as jnp
from uda_jax.runs import checkpoint
from uda_jax.runs import networks
big = {f'w{i}': jnp.full((1024, 1024), 2.0) for i in range(24)}
saved = checkpoint.Checkpoints(pathlib.Path(sys.argv[1]), every_steps=1)
saved.save_best(1, {'w': jnp.ones(3)}, {'value': 0.5})
saved.save(1, big)
saved.wait()
saved.save(2, jax.tree.map(lambda x: x + 1, big))
print('saving', flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_kill_during_a_save_leaves_the_previous_one(tmp_path):
  child = subprocess.run(
    [sys.executable, '-c', _KILLED, tmp_path],
    cwd=ROOT,
    capture_output=True,
    text=True,
    timeout=120,
  )
  assert child.returncode == -9 and child.stdout == 'saving\n', child.stderr
  left = _folders(tmp_path / 'checkpoints')
  assert left[0] == '1' and len(left) == 2 and 'tmp' in left[1], left
  with checkpoint.Checkpoints(tmp_path, every_steps=1) as saved:
    assert saved.latest_step() == 1
    sharding = parallel.replicated(parallel.make_mesh(1))
    state = saved.restore(
      {
        f'w{i}': jax.ShapeDtypeStruct(
          (1024, 1024), jnp.float32, sharding=sharding
        )
        for i in range(24)
      }
    )
    assert all((np.asarray(x) == 2).all() for x in state.values())
    assert saved.best() == {'step': 1, 'value': 0.5}
    assert saved.save(2, state)
  assert _folders(tmp_path / 'checkpoints') == ['2']


_STOPPED = """
import os, pathlib, signal, sys
import jax
from jax.experimental import multihost_utils
from orbax.checkpoint._src.path import step as steps
jax.config.update('jax_num_cpu_devices', 2)
from uda_jax import parallel
parallel.start_processes(sys.argv[2], 2, int(sys.argv[3]))
from tests.runs import test_checkpoint as t
from uda_jax.runs import checkpoint
from uda_jax.runs import networks
from uda_jax.train import interrupts
mesh = parallel.make_mesh()
like = t._like(t._state(), mesh)
state = jax.jit(t._state, out_shardings=jax.tree.map(
    lambda x: x.sharding, like))()
handler = interrupts.Interrupts()
handler.agree_with(parallel.Agreement())
handler.hold()
saving = checkpoint.Checkpoints(pathlib.Path(sys.argv[1]), every_steps=3)
with handler, saving as saved:
  for step in range(1, 1000):
    multihost_utils.process_allgather(step)
    saved.save(step, state)
    if step == 5 and jax.process_index() == 1:
      os.kill(os.getpid(), signal.SIGTERM)
    try:
      handler.poll()
    except interrupts.Stop:
      saved.save(step, state, force=True)
      saved.wait()
      t._assert_same(
          jax.tree.map(lambda x: x.addressable_data(0), saved.restore(like)),
          jax.tree.map(lambda x: x.addressable_data(0), state))
      if jax.process_index():  # its file system shows nothing yet
        steps._StandardNameFormat._glob_step_paths = lambda self, folder: []
      again = checkpoint.Checkpoints(pathlib.Path(sys.argv[1]), every_steps=3)
      with again:
        print('stopped at', step, 'resumes at', again.latest_step())
      sys.exit(75)
"""


def test_two_processes_save_the_same_step_when_one_is_told_to_stop(tmp_path):
  with socket.socket() as free:
    free.bind(('localhost', 0))
    address = f'localhost:{free.getsockname()[1]}'
  processes = [
    subprocess.Popen(
      [sys.executable, '-c', _STOPPED, tmp_path, address, str(i)],
      cwd=ROOT,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    for i in range(2)
  ]
  outputs = [process.communicate(timeout=120) for process in processes]
  assert [process.returncode for process in processes] == [75, 75], outputs
  lines = {out.splitlines()[-1] for out, _ in outputs}
  with checkpoint.Checkpoints(tmp_path, every_steps=3) as saved:
    step = saved.latest_step()
    assert lines == {f'stopped at {step} resumes at {step}'} and step > 5
    # One process, one device: the whole state is there. (It was made by
    # another program, so that last bits differ; above they do not.)
    _assert_same(saved.restore(_like(_state())), _state(), rtol=1e-6)


def test_best_is_kept_over_restarts_and_repeated_steps(tmp_path):
  score = lambda value: {'metric': 'eval/miou/all classes', 'value': value}
  candidates = [_variables(seed=seed) for seed in range(4)]
  with checkpoint.Checkpoints(tmp_path, every_steps=1) as saved:
    assert saved.best() is None
    assert not saved.save_best(0, candidates[3], score(None))
    assert not saved.save_best(0, candidates[3], score(float('nan')))
    assert not (tmp_path / 'best').exists()
    assert saved.save_best(4, candidates[0], score(0.4))
    assert saved.save_best(8, candidates[1], score(0.6))
    assert not saved.save_best(12, candidates[3], score(0.5))
    assert not saved.save_best(16, candidates[3], score(0.6))
  with checkpoint.Checkpoints(tmp_path, every_steps=1) as saved:
    assert saved.best() == {'step': 8, **score(0.6)}
    assert not saved.save_best(4, candidates[3], score(0.5))
    # Resumed from before step 8: its second visit may be better.
    assert saved.save_best(8, candidates[2], score(0.7))
    assert saved.best() == {'step': 8, **score(0.7)}
    assert saved.save_best(4, candidates[3], score(0.8))
    assert saved.best() == {'step': 4, **score(0.8)}
  assert len(_folders(tmp_path / 'best')) == 1
  _assert_same(networks.load(tmp_path, 'best', candidates[0]), candidates[3])


def test_the_best_of_another_network_does_not_count(tmp_path):
  score = lambda value, network: {
    'metric': 'eval/miou/all classes',
    'value': value,
    'network': network,
    'report': {'miou': value},
  }
  with checkpoint.Checkpoints(tmp_path, every_steps=1) as saved:
    assert saved.save_best(4, _variables(), score(0.6, 'student'))
    assert not saved.save_best(8, _variables(), score(0.5, 'student'))
    # The run was resumed with another config.eval.network.
    assert saved.save_best(12, _variables(), score(0.4, 'teacher'))
    assert saved.best() == {'step': 12, **score(0.4, 'teacher')}
    assert not saved.save_best(16, _variables(), score(0.3, 'teacher'))


def test_warm_start_reads_one_network(tmp_path):
  state = dataclasses.replace(_state(), teacher=_variables(seed=5))
  with checkpoint.Checkpoints(tmp_path, every_steps=1) as saved:
    saved.save(1, state)
  mesh = parallel.make_mesh(2)
  like = jax.device_put(_variables(seed=9), parallel.replicated(mesh))
  for which in ('student', 'teacher'):
    variables = networks.load(tmp_path, which, like)
    _assert_same(variables, getattr(state, which))
    assert isinstance(variables, types.Variables)
    assert variables.params['kernel'].sharding == parallel.replicated(mesh)


def test_a_run_that_saves_while_it_is_read(tmp_path, monkeypatch):
  """Its checkpoint, which it removes, was called damaged."""
  config = tiny_config.get_config()
  config.eval.network = 'student'
  read, states = checksums.damage, [_state(seed=1), _state(seed=2)]
  classes = {'names': ('a', 'b', 'c', 'd'), 'palette': ((0, 0, 0),) * 4}
  provenance.run_manifest(tmp_path, config, {'classes': classes})
  with checkpoint.Checkpoints(tmp_path, every_steps=1) as saved:
    saved.save(1, states[0])
    saved.wait()

    def damage(folder, item):
      if saved.latest_step() == 1:
        saved.save(2, states[1])
        saved.wait()
      return read(folder, item)

    monkeypatch.setattr(checksums, 'damage', damage)
    trained = restore.load(tmp_path, 'student')
  assert trained.step == 2 and not (tmp_path / 'checkpoints/1').exists()
  _assert_same(trained.variables, states[1].student)


def test_warm_start_errors(tmp_path):
  with pytest.raises(ValueError, match='warm_start.network.*last'):
    networks.load(tmp_path, 'last', _variables())
  with pytest.raises(ValueError, match='warm_start.workdir.*found none'):
    networks.load(tmp_path / 'nowhere', 'student', _variables())
  with checkpoint.Checkpoints(tmp_path, every_steps=1) as saved:
    saved.save(1, _state(teacher=False))
  with pytest.raises(ValueError, match='has no teacher; use its student'):
    networks.load(tmp_path, 'teacher', _variables())
  with pytest.raises(ValueError, match='found none; .* ask for the student'):
    networks.load(tmp_path, 'best', _variables())
  with pytest.raises(ValueError) as error:
    networks.load(tmp_path, 'student', _variables(num_classes=6))
  message = str(error.value)
  assert 'params/kernel: expected float32[3, 6], got float32[3, 4]' in message
  assert '1 of 4 tensors' in message and 'config.warm_start' in message


def test_another_network_is_one_clear_error(tmp_path):
  with checkpoint.Checkpoints(tmp_path, every_steps=1) as saved:
    saved.save(3, _state())
    saved.wait()
    other = _state(num_classes=6, teacher=False)
    other = dataclasses.replace(other, method_state={'queue': jnp.ones(4)})
    with pytest.raises(ValueError) as error:
      saved.restore(_like(other))
    message = str(error.value)
    assert f'{tmp_path}/checkpoints/3: expected a checkpoint' in message
    # Kernels of student and optimiser, the teacher, the state of the method.
    assert '10 of' in message and message.count('\n') == 0, message
    assert 'method_state/bank: expected nothing, got float32[4, 5]' in message
    assert 'method_state/queue: expected float32[4], got nothing' in message
    assert 'new --workdir' in message and 'config.model' in message
    _assert_same(saved.restore(_like(_state())), _state())


def test_an_interval_of_nothing_names_its_field(tmp_path):
  with pytest.raises(ValueError, match=r'config\.checkpoint\.every.*got 0'):
    checkpoint.Checkpoints(tmp_path, every_steps=0)


def test_orbax_is_quiet_and_the_run_is_not(tmp_path, caplog):
  caplog.set_level(logging.INFO)
  from absl import logging as absl_logging

  with checkpoint.Checkpoints(tmp_path, every_steps=1) as saved:
    absl_logging.info('our own line')
    saved.save(1, _state())
  lines = [r.getMessage() for r in caplog.records if 'jax' not in r.name]
  assert lines == ['our own line']


def _two_checkpoints(workdir):
  with checkpoint.Checkpoints(workdir, every_steps=4, keep=2) as saved:
    for step in (4, 8, 12):
      saved.save(step, _state(seed=step))
  assert _folders(workdir / 'checkpoints') == ['12', '8']
  return workdir / 'checkpoints' / '12'


def test_some_checkpoints_are_kept_for_good(tmp_path):
  with checkpoint.Checkpoints(
    tmp_path, every_steps=2, keep=1, keep_every=4
  ) as saved:
    for step in (2, 4, 6, 8, 9):
      saved.save(step, _state(seed=step), force=step == 9)
  assert _folders(tmp_path / 'checkpoints') == ['4', '8', '9']


def _largest(folder):
  files = [path for path in folder.rglob('*') if path.is_file()]
  return max(files, key=lambda path: path.stat().st_size)


def _flip(folder):
  path = _largest(folder / 'state' / 'ocdbt.process_0')
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)


def _empty(folder):
  shutil.rmtree(folder)
  folder.mkdir()


_DAMAGES = {
  'truncated': (
    lambda folder: os.truncate(
      _largest(folder / 'state' / 'ocdbt.process_0'), 9
    ),
    r'state/.*: expected \d+ bytes, got 9',
  ),
  'flipped': (_flip, r'state/.*: expected the bytes that were written'),
  'deleted': (
    lambda folder: _largest(folder / 'state' / 'ocdbt.process_0').unlink(),
    r'state/.*: expected a file of \d+ bytes, found none',
  ),
  'metadata': (
    lambda folder: os.truncate(folder / 'state' / '_METADATA', 0),
    'state/_METADATA: expected the list of arrays',
  ),
  'no state': (
    lambda folder: shutil.rmtree(folder / 'state'),
    'state: expected a folder, found none',
  ),
  'empty': (_empty, 'state: expected a folder, found none'),
  'checksums': (
    lambda folder: (folder / 'checksums.json').write_text('[]'),
    'checksums.json: expected sizes',
  ),
}


@pytest.mark.parametrize('kind', _DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_older_one_taken(
  kind, tmp_path, caplog
):
  damage, message = _DAMAGES[kind]
  damage(_two_checkpoints(tmp_path))
  # Another run does not take it in silence.
  with pytest.raises(ValueError, match=message):
    networks.load(tmp_path, 'student', _variables())
  with checkpoint.Checkpoints(tmp_path, every_steps=4, keep=2) as saved:
    assert saved.latest_step() == 8
    _assert_same(saved.restore(_like(_state())), _state(seed=8))
    saved.save(12, _state(seed=12))
  [line] = [r.getMessage() for r in caplog.records if 'damaged' in r.message]
  assert re.search(f'checkpoints/12/{message}', line) and 'older one' in line
  assert _folders(tmp_path / 'checkpoints') == ['12', '8']
  assert len(_folders(tmp_path / 'damaged')) == 1


def test_a_damaged_checkpoint_behind_a_link_to_another_disk(
  tmp_path, monkeypatch
):
  os.truncate(_two_checkpoints(tmp_path) / 'state' / '_METADATA', 0)
  with monkeypatch.context() as patched:

    def other_disk(*_):
      raise OSError(errno.EXDEV, 'Invalid cross-device link')

    patched.setattr(os, 'rename', other_disk)
    checksums.set_aside(tmp_path / 'checkpoints', 'state', required=True)
  assert _folders(tmp_path / 'checkpoints') == ['8']
  [aside] = (tmp_path / 'damaged').iterdir()
  assert (aside / 'state' / 'manifest.ocdbt').is_file()


def test_no_whole_checkpoint_is_one_line_and_nothing_is_moved(tmp_path):
  folder = _two_checkpoints(tmp_path)
  _flip(folder)
  _empty(folder.parent / '8')
  with pytest.raises(ValueError, match='checkpoints/12/.* is whole') as error:
    checkpoint.Checkpoints(tmp_path, every_steps=4)
  assert '\n' not in str(error.value)
  assert _folders(tmp_path / 'checkpoints') == ['12', '8']


def test_a_damaged_checkpoint_of_an_earlier_version_is_one_line(tmp_path):
  folder = _two_checkpoints(tmp_path)
  (folder / 'checksums.json').unlink()
  for path in folder.rglob('d/*'):
    os.truncate(path, 9)
  with checkpoint.Checkpoints(tmp_path, every_steps=4) as saved:
    with pytest.raises(
      ValueError, match='checkpoints/12/state: .*cannot'
    ) as error:
      saved.restore(_like(_state()))
  assert '\n' not in str(error.value)


def test_a_damaged_best_network_is_chosen_anew(tmp_path, caplog):
  with checkpoint.Checkpoints(tmp_path, every_steps=1) as saved:
    saved.save_best(4, _variables(), {'metric': 'm', 'value': 0.9})
  damaged = _largest(tmp_path / 'best' / '0' / 'net')
  os.truncate(damaged, 9)
  with checkpoint.Checkpoints(tmp_path, every_steps=1) as saved:
    assert saved.best() is None
    assert saved.save_best(8, _variables(), {'metric': 'm', 'value': 0.1})
  assert 'the best network is chosen from here on' in caplog.text


def test_a_full_disk_is_one_line_and_the_last_checkpoint_stays(tmp_path):
  saved = checkpoint.Checkpoints(tmp_path, every_steps=4, keep=2)
  saved.save(4, _state(seed=4))
  saved.wait()
  limit = resource.getrlimit(resource.RLIMIT_FSIZE)
  try:
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, limit[1]))
    with pytest.raises(lock.Gone, match='cannot be written') as error:
      saved.save(8, _state(seed=8))
      saved.wait()
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
  assert '\n' not in str(error.value) and str(tmp_path) in str(error.value)
  with checkpoint.Checkpoints(tmp_path, every_steps=4, keep=2) as saved:
    assert saved.latest_step() == 4
    _assert_same(saved.restore(_like(_state())), _state(seed=4))
