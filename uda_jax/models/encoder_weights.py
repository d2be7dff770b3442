"""Tensors of a weight file for an encoder and a decoder head."""

from __future__ import annotations

from collections.abc import Set

from uda_jax.models import extra_heads
from uda_jax.models import vit_adapter
from uda_jax.models import weights
from uda_jax.models.weights import key_maps
from uda_jax.models.weights import renaming
from uda_jax.models.weights import state_dict

# In an encoder's own file: DINOv2's, and the hub's DINOv3.
MASK_TOKENS = ('mask_token', 'embeddings.mask_token')
EXTRA_HEADS = frozenset(key for key, _ in extra_heads.HEADS.values())


def choose(
  tensors: weights.Tensors,
  *,
  heads: Set[str] = frozenset(),
  mask_token: bool = False,
  adapter: bool = False,
) -> tuple[weights.Tensors, state_dict.NameOf]:
  """Returns the tensors of a file that belong to the network.

  Two kinds of files are known: an encoder's pre-training file, and a
  checkpoint of the whole network, see `key_maps`. Extra heads are taken if
  both the file and the network have them.

  Args:
    tensors: all tensors of one network of the file.
    heads: names of the variables of the network's extra heads.
    mask_token: whether the network has DINOv2's token, which `key_maps` leaves
      out of an encoder's file.
    adapter: whether the network has the ViT-Adapter, which starts at random if
      an encoder's file is DINOv2's alone; DINOv2's last norm is left out.
  """
  found = key_maps.canonical(tensors).tensors
  if not any(name.startswith('backbone.') for name in found):
    for name, x in renaming.unwrap(tensors).items():
      if mask_token and name in MASK_TOKENS:
        found = {**found, 'mask_token': x.reshape(1, -1)}
    if adapter:
      found = {n: x for n, x in found.items() if not n.startswith('norm.')}
      if not any(name.startswith('spm.') for name in found):
        return found, _dinov2_name
    return found, _encoder_name
  modules = {name.split('.')[0] for name in found}
  missing = heads - modules
  unused = EXTRA_HEADS & modules - heads
  used = {n: x for n, x in found.items() if n.split('.')[0] not in unused}
  return (
    used,
    lambda path: None if path[0] in missing else state_dict.dotted(path),
  )


def _dinov2_name(path: tuple[str, ...]) -> str | None:
  return (
    None if path[1:2] and path[1] in vit_adapter.OWN else (_encoder_name(path))
  )


def _encoder_name(path: tuple[str, ...]) -> str | None:
  return state_dict.dotted(path[1:]) if path[0] == 'backbone' else None
