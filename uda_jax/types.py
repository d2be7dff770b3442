"""The types that all rooms share.

B is the number of images of one *group* (the paper's batch), H and W are image
sizes, C is the number of classes. Images are NHWC, label maps NHW.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
from typing import Any, NamedTuple

import jax

PyTree = Any


class Source(NamedTuple):
  """Labelled images of the source domain.

  Attributes:
    image: [B, H, W, 3] uint8 RGB pixels (a golden run may send floats).
    label: [B, H, W] int32 class ids, `labels.IGNORE_LABEL` where unknown.
    index: [B] int32, which images of the data set these are.
  """

  image: Any
  label: Any
  index: Any = ()


class Target(NamedTuple):
  """Unlabelled images of the target domain.

  Attributes:
    image: [B, H, W, 3] uint8 RGB pixels.
    valid_mask: [B, H, W] bool, False where pseudo-labels get no weight (image
      margins, padding).
    label: [B, H, W] int32, only where a method mined labels (LSE), else ().
    index: [B] int32, which images of the data set these are.
  """

  image: Any
  valid_mask: Any
  label: Any = ()
  index: Any = ()


class Batch(NamedTuple):
  """One group, or (with one more leading axis on every leaf) all groups."""

  source: Source
  target: Target
  views: Any = ()


class Net(NamedTuple):
  """The two variable trees of a network; student and teacher are such."""

  params: PyTree
  batch_stats: PyTree


class Outputs(NamedTuple):
  """What one forward pass returns; what a network does not have is ().

  Attributes:
    logits: [B, h, w, C], at the network's own output resolution.
    aux_logits: [B, h', w', C] of an auxiliary head.
    features: tuple of [B, h_s, w_s, D_s], one entry a stage, finest first.
    maps: dict of further named maps (fused features, attention).
    boxes: detail boxes that the network chose itself (HRDA), else ().
  """

  logits: Any
  aux_logits: Any = ()
  features: Any = ()
  maps: Any = ()
  boxes: Any = ()


class Network(NamedTuple):
  """All that methods, the step and the evaluation know of a network.

  Attributes:
    init: `init(key, image_size) -> Net`, fresh variables.
    forward: `forward(params, batch_stats, image, *, key=None,
      use_running_average=False, detail=None) -> (Outputs, batch_stats)`.
      `image` is normalised, [B, H, W, 3]. Dropout and stochastic depth are on
      exactly when `key` is given. Batch norm uses the batch's statistics (and
      returns updated running ones) unless `use_running_average`. `detail` is
      HRDA's request for detail crops; other networks accept only None.
    head: `head(name, params, batch_stats, features, *, key=None,
      use_running_average=False) -> (map, batch_stats)`: an extra trainable
      module on maps that the method prepared; None if there is none.
    normalize: `normalize(pixels) -> image`: RGB pixels in 0..255, uint8 or
      float, to the float input of `forward`.
    denormalize: the inverse of `normalize`, not rounded.
  """

  init: Callable[..., Net]
  forward: Callable[..., tuple[Outputs, PyTree]]
  normalize: Callable[[jax.Array], jax.Array]
  denormalize: Callable[[jax.Array], jax.Array]
  head: Callable[..., tuple[jax.Array, PyTree]] | None = None


class LossTerm(NamedTuple):
  """One term of a method's loss; the step sums `weight * value`."""

  value: jax.Array
  weight: jax.Array | float = 1.0


class Losses(NamedTuple):
  """What a method hands back for one group.

  Attributes:
    terms: the loss terms by name.
    student_stats: the student's batch statistics after its forward passes.
    teacher_stats: the teacher's, () without a teacher.
    method_state: the method's state for the next step.
    metrics: dict of further scalars worth a curve.
    panels: dict of image-like arrays worth looking at; computed only by the
      panel function, the train step never asks for them.
  """

  terms: dict[str, LossTerm]
  student_stats: PyTree
  teacher_stats: PyTree = ()
  method_state: PyTree = ()
  metrics: dict[str, jax.Array] = {}
  panels: dict[str, jax.Array] = {}


class Method(NamedTuple):
  """A paper: two pure functions and what the step must know of its teacher.

  Attributes:
    loss: `loss(params, state, batch, key, network, frozen, *, phase=0) ->
      Losses` for ONE group. `params` are the student's, to be differentiated;
      `state` holds everything else; `frozen` are variables that never train.
    init: `init(key, network, batch) -> method_state` of one group.
    starts: steps at which a further phase begins (a term that starts late).
      The loop compiles one step a phase, so a term that is off costs nothing.
    uses_target: False for a method that never looks at target images.
  """

  loss: Callable[..., Losses]
  init: Callable[..., PyTree] = lambda key, network, batch: ()
  starts: tuple[int, ...] = ()
  uses_target: bool = True


class Round(NamedTuple):
  """Where a run in rounds (LSE) is; other runs are one single round."""

  index: Any
  first_step: Any
  length: Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
  """Everything that a resumed run needs, and nothing else.

  Attributes:
    step: int32 scalar, optimiser steps done (skipped ones included).
    student: the trained network.
    teacher: its moving average, or () without a teacher.
    opt_state: optax state of the student's parameters.
    method_state: the method's own, with a leading axis of groups.
    round: where the schedule stands.
    nonfinite: int32 scalar, steps in a row skipped for non-finite values.
    rng: the base key; never advanced, steps fold their number in.
  """

  step: jax.Array
  student: Net
  teacher: Any
  opt_state: PyTree
  method_state: PyTree
  round: Round
  nonfinite: jax.Array
  rng: jax.Array
