"""Types that several modules share.

Shapes: B is the number of images of one *group* (the batch of the paper), H and
W are image sizes, C is the number of classes. Images are NHWC, label maps NHW.
An absent field is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
from typing import Any, NamedTuple, Protocol

import jax

# A tree of arrays; JAX has no static type for one.
PyTree = Any
# On the device. A batch that is not there yet holds numpy arrays instead.
Array = jax.Array


class Config(Protocol):
  """A run's config, or a block of it: fields by attribute or by name."""

  def __getattr__(self, name: str) -> Any:
    """Returns a field, or a block, which is a `Config`."""

  def __getitem__(self, name: str) -> Any:
    """Returns a field by its name."""

  def __setattr__(self, name: str, value: Any) -> None:
    """Sets a field, where the config is not locked."""

  def __contains__(self, name: object) -> bool:
    """Returns whether there is a field of this name."""

  def get(self, name: str, default: Any = None) -> Any:
    """Returns a field, `default` where there is none."""


class Source(NamedTuple):
  """Labeled images of the source domain.

  Attributes:
    image: [B, H, W, 3] uint8 RGB pixels (floats are allowed).
    label: [B, H, W] int32 class ids, `labels.IGNORE_LABEL` where unknown.
    index: [B] int32, position of each image in the data set, or None.
  """

  image: Array
  label: Array
  index: Array | None = None  # type: ignore[assignment]  # hides tuple.index


class Target(NamedTuple):
  """Unlabeled images of the target domain.

  Attributes:
    image: [B, H, W, 3] uint8 RGB pixels.
    valid_mask: [B, H, W] bool, False where pseudo-labels get no weight
      (image margins, padding).
    label: [B, H, W] int32 mined labels (LSE), None for all other methods.
    index: [B] int32, position of each image in the data set, or None.
  """

  image: Array
  valid_mask: Array
  label: Array | None = None
  index: Array | None = None  # type: ignore[assignment]  # hides tuple.index


class Batch(NamedTuple):
  """One group, or (with a leading axis on every array) all groups.

  Attributes:
    source: labeled images.
    target: unlabeled images; None for a method that uses none.
    views: overlapping target crops (PiPa): 'image' [pairs, 2, H, W, 3] uint8,
      'box' [pairs, 2, 4] int32 (top, bottom, left, right) of the overlap in
      each crop, 'flipped' [pairs, 2] bool; None for steps without pairs.
    labeled: further target images, with their labels
      (`config.data.target_labels`); None without any.
  """

  source: Source
  target: Target | None = None
  views: Mapping[str, Array] | None = None
  labeled: Source | None = None

  def wanted_target(self) -> Target:
    """Returns the target of a method that uses it (`Method.uses_target`)."""
    assert self.target is not None
    return self.target


class Variables(NamedTuple):
  """The arrays of one network, such as the student or the teacher.

  Attributes:
    params: tree of parameters.
    batch_stats: tree of running statistics of batch norm; {} without any.
  """

  params: PyTree
  batch_stats: PyTree


class Outputs(NamedTuple):
  """Results of one forward pass.

  Attributes:
    logits: [B, h, w, C] float, at the network's output resolution.
    aux_logits: [B, h', w', C] float of an auxiliary head, or None.
    features: arrays [B, h_s, w_s, D_s], one a stage, finest first.
    maps: further arrays by name (fused features, attention).
    boxes: [4] or [B, 4] int32 (top, bottom, left, right) of the detail crops
      (HRDA), or None.
  """

  logits: jax.Array
  aux_logits: jax.Array | None = None
  features: tuple[jax.Array, ...] = ()
  maps: Mapping[str, Any] = {}
  boxes: jax.Array | None = None


class Reference(NamedTuple):
  """The functions of a frozen network that a student's features stay near.

  Attributes:
    init: `init(key, image_size) -> Variables`, the pretrained variables.
    features: `features(variables, image) -> [B, h, w, D]` of an `image` as of
      `Network.forward`.
  """

  init: Callable[..., Variables]
  features: Callable[[Variables, jax.Array], jax.Array]


class Network(NamedTuple):
  """The functions of a network; its arrays are `Variables`.

  Attributes:
    init: `init(key, image_size) -> Variables`, initial values.
    forward: `forward(params, batch_stats, image, *, key=None,
      use_running_average=False, detail=None) -> (Outputs, batch_stats)`.
      `image` is normalized, [B, H, W, 3]. Dropout and stochastic depth are on
      exactly when `key` is given. Batch norm uses the batch's statistics (and
      returns updated running ones) unless `use_running_average`. `detail` is
      HRDA's request for detail crops; other networks accept only None. A
      network with a `mask_size` also takes `mask`: [B, *mask_size] bool, True
      where its input is visible.
    normalize: `normalize(pixels) -> image`: RGB pixels in 0..255, uint8 or
      float, to the float input of `forward`.
    denormalize: inverse of `normalize`, not rounded.
    head: `head(name, params, batch_stats, features, *, key=None,
      use_running_average=False) -> (map, batch_stats)`: an extra trainable
      module on maps that the method prepared; None without such modules.
    mask_size: `mask_size(image_size) -> (rows, columns)` of the `mask` of
      `forward`; None for a network that takes none.
    reference: the frozen network of a feature distance, where it is another
      network (VFM-UDA++); None if there is none.
  """

  init: Callable[..., Variables]
  forward: Callable[..., tuple[Outputs, PyTree]]
  normalize: Callable[[jax.Array], jax.Array]
  denormalize: Callable[[jax.Array], jax.Array]
  head: Callable[..., tuple[jax.Array, PyTree]] | None = None
  mask_size: Callable[[tuple[int, int]], tuple[int, int]] | None = None
  reference: Reference | None = None


class LossTerm(NamedTuple):
  """One term of a method's loss; the step minimizes sum(weight * value)."""

  value: jax.Array
  weight: jax.Array | float = 1.0


# Terms by name.
Terms = dict[str, LossTerm]


class Losses(NamedTuple):
  """Results of a method for one group.

  Attributes:
    terms: loss terms by name.
    student_stats: the student's batch statistics after its forward passes.
    teacher_stats: the teacher's batch statistics, None without a teacher.
    method_state: the method's state for the next step, None without one.
    metrics: further scalars to plot, by name.
    panels: image-like arrays to show, by name; computed only by the panel
      function, never by the train step.
  """

  terms: Terms
  student_stats: PyTree
  teacher_stats: PyTree | None = None
  method_state: PyTree | None = None
  metrics: dict[str, jax.Array] = {}
  panels: dict[str, jax.Array] = {}


def _no_state(key: jax.Array, network: Network, batch: Batch) -> None:
  """Returns the state of a method that has none."""
  del key, network, batch


class Method(NamedTuple):
  """A method: its loss and its initial state, both pure functions.

  Attributes:
    loss: `loss(params, state, batch, key, network, frozen, *, phase=0) ->
      Losses` of ONE group. `params` are the student's, to be differentiated;
      `state` holds everything else; `frozen` are variables that never train,
      or None.
    init: `init(key, network, batch) -> method_state` of one group.
    starts: steps at which a further phase begins (a term that starts late).
      The loop compiles one step for each phase, so a term that is off costs
      nothing.
    uses_target: False for a method that reads no target images.
  """

  loss: Callable[..., Losses]
  init: Callable[[jax.Array, Network, Batch], PyTree | None] = _no_state
  starts: tuple[int, ...] = ()
  uses_target: bool = True


class Round(NamedTuple):
  """Position in a run of several rounds (LSE); other runs are one round.

  Attributes:
    index: [] int32, number of the round, -1 before the first.
    first_step: [] int32, step at which the round began.
    length: [] int32, steps of the round.
  """

  index: Any
  first_step: Any
  length: Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
  """Everything that a resumed run needs, and nothing else.

  Attributes:
    step: [] int32, optimizer steps done (skipped ones included).
    student: the trained network.
    teacher: its moving average, None without a teacher.
    opt_state: optax state of the student's parameters.
    method_state: the method's state with a leading axis of groups, or None.
    round: position of the schedule.
    nonfinite: [] int32, consecutive steps skipped for non-finite values.
    rng: the base key; it never changes, each step folds its number in.
  """

  step: jax.Array
  student: Variables
  teacher: Variables | None
  opt_state: PyTree
  method_state: PyTree | None
  round: Round
  nonfinite: jax.Array
  rng: jax.Array

  def wanted_teacher(self) -> Variables:
    """Returns the teacher of a method that has one (`config.teacher.use`)."""
    assert self.teacher is not None
    return self.teacher

  @property
  def teacher_stats(self) -> PyTree | None:
    """The teacher's batch statistics, None without a teacher.

    A method whose teacher sees no image in training returns these.
    """
    return None if self.teacher is None else self.teacher.batch_stats
