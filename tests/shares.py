"""What the processes of a run do together, on images of different sizes.

`main` prints the results as JSON: two processes of two devices each find what
`results` finds on one device.
"""

import hashlib
import json
import pathlib

import jax
import numpy as np
from PIL import Image

from tests import lse_config
from uda_jax import parallel
from uda_jax.data import patches
from uda_jax.data.streets import style
from uda_jax.evaluate import scoring
from uda_jax.runs import resume
from uda_jax.train import round_mining
from uda_jax.train import round_patches
from uda_jax.train import rounds
from uda_jax.train import setup
from uda_jax.train import state as state_lib

SIZES = [(32, 64)] * 5 + [(24, 48)] * 2
# One image twice.
CHOSEN = [6, 0, 3, 3, 5]


def write_images(folder):
  """Writes images and labels."""
  draw = np.random.default_rng(0)
  for kind, shape, high in (('images', (3,), 256), ('labels', (), 11)):
    (folder / kind).mkdir(parents=True)
    for number, size in enumerate(SIZES):
      pixels = draw.integers(0, high, (*size, *shape), np.uint8)
      Image.fromarray(pixels).save(folder / kind / f'{number}.png')


def config(images, own, devices):
  """A config on these images; what is made is kept below `own`."""
  made = lse_config.get_config()
  made.devices = devices
  made.batch.groups = devices or 4
  made.data.cache_dir = str(own / 'data')
  made.data.source.num_images = 1
  record = dict(
    kind='folder',
    name='mixed',
    root=str(images),
    images='images/*.png',
    labels='labels/*.png',
    class_names=tuple(style.CLASSES),
  )
  made.data.target = record
  made.data.evaluation = record
  made.eval.label_free.num_images = 7
  made.data.crop_size = (16, 32)
  # Other groups have other batches.
  made.rounds.target_statistics = 0
  made.parallel.shard = 'all'
  return made


def results(images, own, devices):
  """Returns what is found on all devices (0), or on the first."""
  this = config(images, own, devices)
  run, student = setup.build(this, own)
  network, mesh = run.recipe.network, run.mesh
  placed = jax.device_put(student, parallel.replicated(mesh))
  functions = round_mining.make_functions(run)
  host = jax.device_get(student)
  ranking = round_mining.collect(
    round_mining.rank(run, functions, host), len(SIZES)
  )
  store = patches.Store(
    run.data.target, 'patches', [], own / 'rounds', count=len(CHOSEN)
  )
  polled = []
  round_patches.make(
    run,
    functions,
    host,
    store,
    images=CHOSEN,
    limits=np.full(11, 0.5),
    key=rounds.window_key(0, 0),
    between=lambda: polled.append(1),
  )
  made = round_patches.read(store)
  state = state_lib.fresh(run, student, next(setup.batches(run, 0)))
  begun = rounds.begin(run, functions, state)
  data = run.data.evaluation
  digest = lambda path: hashlib.sha256(
    pathlib.Path(path).read_bytes()
  ).hexdigest()
  predict = scoring.make_predict(this, network, mesh)
  free = scoring.make_label_free(
    this,
    network,
    run.data.target,
    mesh,
    class_pixels=run.data.source.class_pixels.sum(0),
  )
  return {
    'scores': scoring.make_labeled(this, predict, data).score(placed),
    'label-free': free(placed, None),
    'ranking': [table.tolist() for table in ranking],
    'patches': list(map(digest, made.image_paths + made.label_paths)),
    'pixels': made.class_pixels.tolist(),
    'data': resume.describe_data(data),
    'labels': list(map(digest, data.label_paths)),
    'round': [
      *map(int, begun.round),
      (own / 'rounds' / 'round_00.json').read_text(),
    ],
    'points': len(polled),
  }


def main(address, process, folder):
  """Prints the results of this process."""
  parallel.start_processes(address, 2, process)
  if process:
    _see_late()
  print(json.dumps(results(folder / 'mixed', folder / 'pair', 0)))


def _see_late():
  """Shows this process too much at first, as a network file system may."""
  missing, seen = patches.Store.missing, []

  def late(self):
    seen.append(1)
    return missing(self) if len(seen) > 1 else [0]

  patches.Store.missing = late
