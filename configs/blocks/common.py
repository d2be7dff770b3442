"""Blocks of every run: run, optimizers, schedules, teacher, methods.

Each call returns a new ConfigDict.
"""

import ml_collections

from uda_jax.configs.blocks import additions
from uda_jax.configs.blocks import evaluation

ConfigDict = ml_collections.ConfigDict


def run(*, steps: int, groups: int = 1, group_size: int = 2) -> ConfigDict:
  """Length, batch, logging, checkpoints and evaluation of a run."""
  config = ConfigDict()
  config.seed = 0
  # Optimizer steps of the run.
  config.steps = steps
  # Devices to use, 0 = all.
  config.devices = 0
  config.parallel = _parallel()
  # Where compiled programs are kept for the next start, '' = nowhere; the
  # environment variable JAX_COMPILATION_CACHE_DIR takes precedence.
  config.compile_cache = '~/.cache/uda_jax/compiled'
  config.batch = _batch(groups, group_size)
  # Rounds on pseudo-labels, see `lse.rounds`; None: one pass over the steps.
  config.rounds = None
  # Start from the weights of another run: its directory and network, 'student',
  # 'teacher' or 'best'.
  config.warm_start = ConfigDict(dict(workdir='', network='student'))
  config.log = _log()
  config.checkpoint = evaluation.checkpoint()
  config.eval = evaluation.protocol()
  return config


def _parallel() -> ConfigDict:
  """Work of several processes and devices on one run."""
  return ConfigDict(
    dict(
      # Seconds without a sign of life after which another process counts as
      # dead, and this one ends with exit code 76.
      heartbeat_seconds=60.0,
      # A step that takes this many times the median (and 30 s) has the stacks
      # of all threads written to stacks/; 0 = never.
      slow_step=10.0,
      # What is divided over the devices to save memory: 'none', 'optimizer'
      # (its state and the teacher) or 'all' (the student as well).
      shard='none',
    )
  )


def _batch(groups: int, group_size: int) -> ConfigDict:
  """The batch of a step."""
  return ConfigDict(
    dict(
      # A group is the paper's batch: `group_size` images of each domain.
      groups=groups,
      group_size=group_size,
      # Gradient accumulation: turns in which a device computes its groups.
      accumulate=1,
      # How the learning rate grows with the number of groups: 'none' (the
      # published runs have one group), 'linear' or 'sqrt'.
      scale_learning_rate='none',
    )
  )


def _log() -> ConfigDict:
  """Progress lines and pictures."""
  return ConfigDict(
    dict(
      # Steps between two progress lines with scalars, and between pictures.
      every=50,
      panels_every=500,
      # Minimum seconds between two progress lines.
      seconds=5.0,
      # Consecutive steps with a non-finite loss or gradient that stop the run.
      max_nonfinite=10,
    )
  )


def low_rank() -> ConfigDict:
  """Adapters of a transformer's dense layers: `config.optim.adapters`.

  '' trains all parameters; 'lora' and 'soma' train two small matrices beside
  each kernel and freeze the rest of the encoder, see `uda_jax.models.adapters`.
  """
  return ConfigDict(
    dict(
      rank=16,
      # The product of the two matrices is multiplied by alpha / rank.
      alpha=16.0,
      # Patterns of the paths of adapted kernels; SoMA: of blocks 8 to 23 of a
      # ViT-L, 'blocks/([89]|1[0-9]|2[0-3])/(.*/)?(qkv|proj|fc1|fc2)/kernel$'.
      layers=(
        '/(qkv|q|k|v|kv|proj|fc1|fc2)/kernel$',
        # The names of DINOv3's and EVA-02's transformers, and of ConvNeXt.
        '/([qkvo]_proj|fc1_[gx]|pwconv[12])/kernel$',
      ),
    )
  )


def adamw(
  *, weight_decay: float, groups=(), clip_norm: float = 0.0
) -> ConfigDict:
  """AdamW.

  Args:
    weight_decay: of all parameters, times the factor of their group.
    groups: rows (pattern of the path, rate factor, decay factor); the first
      row that matches a parameter counts.
    clip_norm: largest global norm of the gradient; 0 = off.
  """
  return ConfigDict(
    dict(
      name='adamw',
      weight_decay=weight_decay,
      # What the decay of every group moves to by half a cosine, until the end
      # of the run; -1: constant. SoMA: 0.05 to 1e-5.
      weight_decay_end=-1.0,
      b1=0.9,
      b2=0.999,
      eps=1e-8,
      clip_norm=clip_norm,
      groups=tuple(groups),
      # Factor of the rate from a block of a transformer to the one before it;
      # 1 = off. See `uda_jax.train.layer_decay`.
      layer_decay=1.0,
      # Patterns of the paths of parameters that do not train.
      frozen=(),
      adapters='',
      low_rank=low_rank(),
    )
  )


def sgd(
  *, weight_decay: float, momentum: float = 0.9, groups=(), repeats=()
) -> ConfigDict:
  """SGD; `repeats`: rows (pattern of the path, updates a step)."""
  return ConfigDict(
    dict(
      name='sgd',
      weight_decay=weight_decay,
      momentum=momentum,
      clip_norm=0.0,
      groups=tuple(groups),
      repeats=tuple(repeats),
      # Details of repeated updates, see `update_rules.repeated_sgd`.
      fresh_every_repeat=True,
      decay_in_place=False,
      frozen=(),
      adapters='',
      low_rank=low_rank(),
    )
  )


def schedule(
  shape: str,
  *,
  learning_rate: float,
  power: float = 1.0,
  length: int = 0,
  every: int = 0,
  factor: float = 1.0,
  warmup_steps: int = 0,
  warmup_ratio: float = 1e-6,
) -> ConfigDict:
  """The learning rate: 'poly', 'cosine', 'constant' or 'staircase'."""
  return ConfigDict(
    dict(
      shape=shape,
      learning_rate=learning_rate,
      # Poly: (1 - step / length) ** power.
      power=power,
      # Poly and cosine: the step at which the rate is 0; 0: the round's end.
      length=length,
      # Staircase: the rate is multiplied by `factor` every `every` steps.
      every=every,
      factor=factor,
      # Linear warm-up from `warmup_ratio` times the rate.
      warmup_steps=warmup_steps,
      warmup_ratio=warmup_ratio,
      # Multiplier during pseudo-label rounds.
      round_factor=1.0,
    )
  )


def poly(*, learning_rate: float, power: float = 1.0, **fields) -> ConfigDict:
  """Polynomial decay to 0; `fields` as of `schedule`."""
  return schedule('poly', learning_rate=learning_rate, power=power, **fields)


def cosine(*, learning_rate: float, warmup_steps: int = 0) -> ConfigDict:
  """Cosine decay to 0 over the run, with a linear warm-up."""
  return schedule(
    'cosine',
    learning_rate=learning_rate,
    warmup_steps=warmup_steps,
    warmup_ratio=1e-2,
  )


def daformer_adamw() -> ConfigDict:
  """DAFormer's optimizer: heads 10 times faster, norms of MiT not decayed."""
  return adamw(
    weight_decay=0.01, groups=(('head', 10.0, 1.0), ('norm', 1.0, 0.0))
  )


def daformer_schedule() -> ConfigDict:
  """DAFormer's schedule, with the learning rate of the encoder."""
  return poly(learning_rate=6e-5, warmup_steps=1500)


def no_teacher() -> ConfigDict:
  """No moving average."""
  return ConfigDict(dict(use=False, decay=0.0, ramp=False, copy_stats_every=0))


def teacher(
  *, decay: float, ramp: bool = True, copy_stats_every: int = 0
) -> ConfigDict:
  """A moving average of the student; see `uda_jax.train.teacher.Rule`."""
  return ConfigDict(
    dict(use=True, decay=decay, ramp=ramp, copy_stats_every=copy_stats_every)
  )


def source_only(*, augment: bool = False, average: str = 'valid') -> ConfigDict:
  """Training on the source alone; `augment`: color jitter and blur."""
  return ConfigDict(
    dict(
      name='source_only',
      add=(),
      augment=augment,
      weight_aux=0.0,
      average=average,
      class_weights=(),
    )
  )


def self_training(*, threshold: float) -> ConfigDict:
  """Mean-teacher ClassMix self-training, as DAFormer's released code has it.

  Without its feature distance, which needs an ImageNet encoder.
  """
  return ConfigDict(
    dict(
      name='self_training',
      threshold=threshold,
      # The paper takes the confident fraction per image, the released code over
      # the whole batch; likewise for the classes to paste.
      pseudo_weight='batch',
      mix_classes_from='batch',
      mix_include_ignore=True,
      teacher_bn='batch',
      ce_average='all',
      # Of the classes, in all cross-entropies: one number each, or
      # ('median_frequency',) or ('inverse_log',) of the source's labels; (): 1.
      class_weights=(),
      weight_mixed=1.0,
      weight_distance=0.0,
      distance_classes=(),
      distance_min_fraction=0.0,
      **additions.on_self_training(),
    )
  )


def daformer() -> ConfigDict:
  """DAFormer: self-training with a distance to ImageNet features of things.

  Things are traffic lights and signs, people, riders and vehicles.
  """
  config = self_training(threshold=0.968)
  config.weight_distance = 0.005
  config.distance_classes = (6, 7, 11, 12, 13, 14, 15, 16, 17, 18)
  config.distance_min_fraction = 0.75
  return config
