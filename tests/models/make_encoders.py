"""Writes the vectors of encoders that other libraries compute.

    pip install torch==2.13.0 transformers==5.24.0 timm==1.0.31
    python tests/models/make_encoders.py tests/models

needs nothing of this library. Each file holds a small network with random
parameters: `sd:NAME`, its state dict, in float16 without loss; `tall.image` and
`wide.image`, normalized images [B, H, W, 3]; and maps [B, h, w, D] in float32.
"""

import pathlib
import sys

import numpy as np
from timm.models import eva
import torch
import transformers


def _noise(model):
  """Replaces parameters by noise that float16 holds."""
  torch.manual_seed(0)
  with torch.no_grad():
    for parameter in model.parameters():
      parameter.copy_((0.3 * torch.randn_like(parameter)).half())
  return model.eval()


def _images(tall, wide):
  """Returns two images [2, H, W, 3] by name."""
  random = np.random.default_rng(0)
  sizes = {'tall.image': tall, 'wide.image': wide}
  return {
    name: random.normal(size=(2, *size, 3)).astype(np.float16)
    for name, size in sizes.items()
  }


def _write(path, model, found):
  state = {
    f'sd:{name}': x.numpy().astype(np.float16)
    for name, x in model.state_dict().items()
  }
  np.savez_compressed(path, **state, **found)


def dinov3_convnext(path):
  """DINOv3's ConvNeXt in transformers, the outputs of all stages."""
  config = transformers.DINOv3ConvNextConfig(
    hidden_sizes=[4, 6, 8, 10], depths=[1, 2, 3, 1]
  )
  model = _noise(transformers.DINOv3ConvNextModel(config))
  found = _images((64, 32), (32, 96))
  for name, image in list(found.items()):
    x = torch.tensor(image.astype(np.float32)).permute(0, 3, 1, 2)
    with torch.no_grad():
      out = model(x, output_hidden_states=True)
    maps = [y.permute(0, 2, 3, 1).numpy() for y in out.hidden_states]
    assert maps[-4].shape[1] * 4 == image.shape[1]
    kind = name.removesuffix('.image')
    for i, y in enumerate(maps[-4:-1]):
      found[f'{kind}.stage{i}'] = y
    # Without the mean over the image, which comes first.
    last = out.last_hidden_state[:, 1:].numpy()
    found[f'{kind}.stage3'] = last.reshape(maps[-1].shape)
  _write(path, model, found)


def eva02(path, **options):
  """EVA-02 in timm, the outputs of all blocks after the norm that it has."""
  model = _noise(
    eva.Eva(
      img_size=42,
      patch_size=14,
      embed_dim=16,
      depth=4,
      num_heads=2,
      mlp_ratio=4 * 2 / 3,
      swiglu_mlp=True,
      use_rot_pos_emb=True,
      ref_feat_shape=(16, 16),
      dynamic_img_size=True,
      num_classes=3,
      **options,
    )
  )
  found = _images((42, 42), (28, 70))
  for name, image in list(found.items()):
    x = torch.tensor(image.astype(np.float32)).permute(0, 3, 1, 2)
    with torch.no_grad():
      maps = model.forward_intermediates(x, intermediates_only=True)
      for i, y in enumerate(maps):
        y = model.fc_norm(y.permute(0, 2, 3, 1))
        found[f'{name.removesuffix(".image")}.block{i}'] = y.numpy()
  _write(path, model, found)


if __name__ == '__main__':
  folder = pathlib.Path(sys.argv[1])
  dinov3_convnext(folder / 'dinov3_convnext.npz')
  # As the sizes tiny and small, and as base and large.
  eva02(folder / 'eva02_small.npz')
  eva02(folder / 'eva02_large.npz', qkv_fused=False, scale_mlp=True)
