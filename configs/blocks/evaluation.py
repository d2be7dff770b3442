"""Blocks of the evaluation of a run, and of the checkpoints it keeps."""

import ml_collections

ConfigDict = ml_collections.ConfigDict


def protocol() -> ConfigDict:
  """Times of evaluations, predictions of networks, and reported scores."""
  return ConfigDict(
    dict(
      every=0,  # steps; 0 = only at the end
      # Training stops after so many evaluations in a row without a better
      # network (`checkpoint.best`); 0 = trains to the end.
      patience=0,
      # The number that the run reports: of which network, and of its 'last' or
      # its 'best' step (`checkpoint.best`).
      network='student',
      checkpoint='last',
      batch_size=4,
      # Further means over subsets of the classes: name -> class numbers.
      subsets=ConfigDict(),
      # Target batches from which the student's batch-norm statistics are
      # estimated for one more row of the results (AdaBN); 0 = no such row.
      target_statistics=0,
      # Sliding window (height, width) and stride; (0, 0) = the whole image.
      window=(0, 0),
      stride=(0, 0),
      # How outputs come to the size of the labels: 'logits' or 'probabilities'
      # are enlarged bilinearly, corners on corners or half-pixel centers, from
      # the network's own grid in one step or by way of the image's size;
      # 'logits_of_windows': to each window, whose probabilities are averaged.
      enlarge='logits',
      align_corners=False,
      one_step=False,
      # (height, width) that labels are brought to by nearest; (0, 0) = full,
      # (S, 0) = a shorter side of S.
      label_size=(0, 0),
      # Probabilities are averaged over these factors of the image size and,
      # with `flip`, over mirrored images.
      scales=(1.0,),
      flip=False,
      # Number of unlabeled target images on which entropy, confident fraction,
      # agreement of student and teacher and prior are measured; 0 = none.
      label_free=dict(num_images=100, threshold=0.968),
    )
  )


def checkpoint() -> ConfigDict:
  """The states of a run that are kept."""
  return ConfigDict(
    dict(
      every=500,
      # Newest checkpoints that are kept; a damaged one needs an older one.
      keep=2,
      # Steps between checkpoints that are never removed; 0 = none.
      keep_every=0,
      # Criterion of the network in best/: 'miou' (needs target labels; over
      # 'all classes' or a name of eval.subsets), or without labels 'entropy',
      # 'confident', 'agreement' or 'prior': see
      # `uda_jax.evaluate.selection`.
      best='miou',
      best_subset='all classes',
    )
  )
