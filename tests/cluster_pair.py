"""Checks of a cluster by two processes, of which the second has a mistake.

Prints what each check found, one line of JSON each.
"""

import json
import time

import jax

from tests import tiny_config
from uda_jax import parallel
from uda_jax.parallel import joint_checks
from uda_jax.runs import provenance
from uda_jax.train import cluster

NUM_IMAGES = 2


def small(folder):
  """A config whose data are rendered below a folder."""
  config = tiny_config.get_config()
  config.batch.groups = 2
  config.data.cache_dir = str(folder / 'data')
  for part in ('source', 'target', 'evaluation'):
    config.data[part].num_images = NUM_IMAGES
  return config


def changed(config, fields):
  """Returns a config with other fields."""
  config.update_from_flattened_dict(
    {name.replace('__', '.'): value for name, value in fields.items()}
  )
  return config


def found(name, check):
  """Prints what a check returns, or what is wrong."""
  try:
    answer = check()
  except joint_checks.ProcessError as error:
    answer = f'wrong: {error}'
  print(json.dumps([name, answer], default=str), flush=True)


def main(address, process, folder):
  """Does all checks."""
  parallel.start_processes(address, 2, process)

  both = lambda **fields: changed(small(folder), fields)
  second = lambda **fields: changed(small(folder), fields if process else {})
  found('processes', lambda: [jax.process_count(), len(cluster.machines())])
  found('config', lambda: cluster.config(second(data__root='/elsewhere')))
  found('other config', lambda: cluster.config(second(steps=12)))
  found('bad config', lambda: cluster.config(second(steps=-1)))
  machines = cluster.machines()
  found('devices', lambda: cluster.devices(small(folder), machines))
  found('groups', lambda: cluster.devices(both(batch__groups=3), machines))
  found('one device', lambda: cluster.devices(both(devices=1), machines))
  unlike = [machines[0], machines[1]._replace(devices=8)]
  found('unlike devices', lambda: cluster.devices(small(folder), unlike))
  found('sum', lambda: cluster.add_up(small(folder))[0])
  workdir = lambda path: cluster.workdir(path, small(folder))
  found('workdir', lambda: workdir(folder / 'run'))
  (folder / f'file{process}').write_text('')
  path = folder / ('file1/run' if process else 'run')
  found('no directory', lambda: workdir(path))
  cluster._VISIBLE = 0.5
  found('own directory', lambda: workdir(folder / f'run{process}'))
  found('code', cluster.code)
  if process:
    versions = provenance.versions()
    provenance.versions = lambda: versions | {'jax': '0.1'}
  found('other jax', cluster.code)
  found('clocks', lambda: cluster.clocks() < 5)
  if process:
    now = time.time
    time.time = lambda: now() - 60
  found('slow clock', cluster.clocks)
  data = lambda config: sorted(
    facts['images'] for facts in cluster.data(config).values()
  )
  found('data', lambda: data(small(folder)))
  found('no data', lambda: data(second(data__cache_dir='/proc/none')))
  found('other data', lambda: data(second(data__target__num_images=1)))
