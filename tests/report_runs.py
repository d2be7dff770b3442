"""Directories of runs that the tests of the report read, without a training."""

import jax
import numpy as np

from uda_jax import configs
from uda_jax.evaluate import by_image
from uda_jax.evaluate import counts
from uda_jax.evaluate import reports
from uda_jax.runs import provenance
from uda_jax.runs import writers

# Names that are markup, formulas, or not Latin.
NAMES = ('road', '<b>sky</b> & $x$', '車')
PALETTE = ((128, 64, 128), (70, 130, 180), (0, 0, 142))
# Class 2 of the second network is neither in the labels nor predicted.
CONFUSION = {
  'student': [[6, 2, 0], [1, 3, 0], [4, 0, 0]],
  'teacher': [[8, 0, 0], [1, 3, 0], [0, 0, 0]],
}


def write(
  path, config_name='self_training', *, seed=0, finished=True, evaluation='rain'
):
  """Writes the files of a run of three logged steps, without checkpoints.

  Args:
    path: its directory.
    config_name: name of a config in configs/streets.
    seed: of the predictions.
    finished: whether it has results.
    evaluation: name of the data set that it is scored on.
  """
  config = configs.load(f'streets/{config_name}')
  facts = {
    'data': {
      role: {'name': name, 'images': count}
      for role, name, count in (
        ('source', 'clean', 4),
        ('target', 'rain', 5),
        ('evaluation', evaluation, 2),
      )
    },
    'classes': {'names': NAMES, 'palette': PALETTE},
    'weights': None,
  }
  path.mkdir(parents=True)
  provenance.run_manifest(path, config, facts)
  writer = writers.Writer(
    path,
    num_steps=30,
    images_per_step=4,
    every=10,
    palette=PALETTE,
    class_names=NAMES,
  )
  results = {
    name: reports.report(np.array(matrix), NAMES, {reports.ALL: range(3)})
    for name, matrix in CONFUSION.items()
  }
  if config_name == 'source_only':
    del results['teacher']
  network = config.eval.network
  with writer:
    for step, skipped in ((10, 0.0), (20, 1.0), (30, 0.0)):
      loss = float('nan') if skipped else 1 / step
      writer.step(step, {'loss/source': loss, 'skipped': skipped})
      report = results[network] | {'label_free': {'entropy': 0.1 * step}}
      writer.report(step, report)
      writer.examples(step, _examples(seed), network)
    if finished:
      for name in ('worst', 'best', 'random'):
        writer.images(30, [(*x, x[1] / 2) for x in _examples(seed)], name)
  if finished:
    results[network] |= {'label_free': {'entropy': 3.0}, 'images': _ranked()}
    reports.write_results(path, results, ['Evaluated on rain, 2 images.'])


def _ranked():
  """Scores of two images of which the second is worse."""
  matrix = np.array([np.eye(3, dtype=int), np.ones((3, 3), int)])
  confidence = np.array([0.9, 0.4])
  found = counts.Counts(np.arange(2), matrix, confidence)
  return by_image.summary(found, ['/data/<good>.png', '/data/bad.png'])


def _examples(seed):
  key = jax.random.key(seed)
  images = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)
  truth = np.arange(2 * 4 * 6).reshape(2, 4, 6) % 3
  prediction = np.asarray(jax.random.randint(key, truth.shape, 0, 3))
  return list(zip(images, truth, prediction))
