"""CPU time of the stages of the input pipeline, on one thread.

`python -m benchmarks.input_stages --cache_dir=DIR` prints a JSON line for each
domain of `benchmarks.input_pipeline`, with the mean over its examples of the
fastest of some runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
import json
import time
from typing import Any

import tensorflow as tf

from benchmarks import input_pipeline
from benchmarks import street_files
from uda_jax import cli
from uda_jax import flag_values
from uda_jax.data import crop_rules
from uda_jax.data import cutting
from uda_jax.data import datasets
from uda_jax.data import domains as domains_lib
from uda_jax.data import examples
from uda_jax.data import sampling
from uda_jax.data import transforms

SEED = 0


def _ms(
  function: Callable[..., Any], rows: Sequence[tuple], repeats: int
) -> tuple[float, list[Any]]:
  """Returns the mean over rows of the minimal CPU milliseconds, and results."""
  function = tf.function(function, reduce_retracing=True)
  results = [function(*row) for row in rows]
  total = 0.0
  for row in rows:
    times = []
    for _ in range(repeats):
      start = time.process_time()
      function(*row)
      times.append(time.process_time() - start)
    total += min(times)
  return 1000 * total / len(rows), results


# Stage -> f(columns of arguments), which measures and returns the results.
Run = Callable[..., list[Any]]


def stages(
  domain: domains_lib.Domain, *, count: int, repeats: int
) -> dict[str, float]:
  """Returns CPU milliseconds of the stages of the first `count` examples.

  Args:
    domain: whose files have one size and, if labeled, a rare class asked for.
    count: examples.
    repeats: runs of each, of which the fastest counts.

  Returns:
    Stage -> milliseconds; 'all' is measured, not summed.
  """
  numbers = [tf.constant(k, tf.int64) for k in range(count)]
  chosen = [examples.choose(domain, SEED, k) for k in numbers]
  times = {}

  def run(stage, function, *columns):
    times[stage], results = _ms(function, list(zip(*columns)), repeats)
    return results

  images = run(
    'decode image',
    transforms.read_image,
    [tf.constant(domain.data.image_paths[int(i)]) for i, _ in chosen],
  )
  full = transforms.resized_size(tf.shape(images[0])[:2], domain.spec)
  windows = _windows(domain, numbers, chosen, full, run)
  run(
    'resize and cut image',
    lambda image, window: cutting.cut_image(image, window, domain.spec.resize),
    images,
    windows,
  )
  run('all', examples.reader(domain, SEED), numbers)
  return times


def _windows(
  domain: domains_lib.Domain,
  numbers: Sequence[tf.Tensor],
  chosen: Sequence[tuple],
  full: tf.Tensor,
  run: Run,
) -> list[Any]:
  """Returns the crops of examples; measures the stages that find them.

  Args:
    domain: see `stages`.
    numbers: of the examples.
    chosen: image and wanted class of each.
    full: [2] size of the resized images.
    run: measures a stage, and returns its results.
  """
  spec, data = domain.spec, domain.data
  stream = sampling.Stream(SEED, domain.name, sampling.CROP)
  shares = [
    stream.uniform(k, (crop_rules.DRAWS, crop_rules.DRAWS, 2)) for k in numbers
  ]
  if not data.labeled:
    return [crop_rules.crop_window(s[0, 0], full, spec) for s in shares]
  labels = run(
    'decode label',
    transforms.read_label,
    [tf.constant(data.label_paths[int(i)]) for i, _ in chosen],
  )
  whole = cutting.Window(tf.zeros(2, tf.int32), full, full)
  labels = run(
    'resize label',
    lambda label: cutting.cut_label(label, whole, spec.resize),
    labels,
  )
  return run(
    'choose crop',
    lambda shares, label, class_id: crop_rules.choose_window(
      shares,
      label,
      full,
      spec,
      len(data.class_names),
      crop_rules.Wanted(class_id, domain.rare_pixels),
    ),
    shares,
    labels,
    [wanted.class_id for _, wanted in chosen],
  )


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('benchmarks.input_stages', __doc__)
  group = result.add_argument_group('measurement')
  street_files.add_flags(group)
  group.add_argument(
    '--examples',
    type=flag_values.at_least(1),
    default=24,
    metavar='N',
    help='of each domain; default: 24',
  )
  return result


def measure(args: argparse.Namespace) -> None:
  """Prints the JSON lines."""
  tf.config.threading.set_intra_op_parallelism_threads(1)
  tf.config.threading.set_inter_op_parallelism_threads(1)
  street_files.write(args.cache_dir, args.images)
  for form in input_pipeline.FORMS:
    config = input_pipeline.data_block(args.cache_dir, form)
    source, target = (
      datasets.load_part(config, name) for name in ('source', 'target')
    )
    for domain in input_pipeline.one_set_each(config, source, target):
      times = stages(domain, count=args.examples, repeats=5)
      print(
        json.dumps(
          {
            'benchmark': 'input_stages',
            'images': form,
            'domain': domain.name,
            'cpu_ms': {k: round(x, 1) for k, x in times.items()},
          }
        ),
        flush=True,
      )


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), measure, argv)


if __name__ == '__main__':
  main()
