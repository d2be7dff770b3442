"""Start weights of the published runs: the file, its origin, a substitute.

Texts for `config.model.starts_from`; docs/weights.md lists all files.
"""

_WARM = 'or config.warm_start.workdir=DIR of a run of {}'

MIT_B5 = (
  "mit_b5.pth (ImageNet-1k) of the SegFormer authors, or the hub's "
  'nvidia/mit-b5; no config makes a substitute'
)
IMAGENET_RESNET = (
  "DeepLab_resnet_pretrained_init-f81d91e8.pth of AdaptSegNet's author, or "
  "torchvision's resnet101-63fe2227.pth with config.model.resnet=torchvision; "
  'no config makes a substitute'
)
IMAGENET_VGG = (
  "torchvision's vgg16-397923af.pth with "
  'config.model.preprocessing=IMAGENET; no config makes a substitute'
)


def dinov2(file: str) -> str:
  """DINOv2's file without registers."""
  return (
    f'{file} of facebookresearch/dinov2 (LVD-142M), see docs/weights.md; no '
    'config makes a substitute'
  )


def dinov3_convnext(size: str) -> str:
  """DINOv3's ConvNeXt; `size`: 'tiny', 'small', 'base' or 'large'."""
  return (
    f"the hub's facebook/dinov3-convnext-{size}-pretrain-lvd1689m "
    f'(model.safetensors) or dinov3_convnext_{size}_pretrain_lvd1689m-*.pth of '
    'its authors, after accepting their licence, see docs/weights.md; no '
    'config makes a substitute'
  )


def eva02(name: str) -> str:
  """EVA-02's file `name` among those of timm."""
  return (
    f"the hub's timm/{name} (model.safetensors), see docs/weights.md; no "
    'config makes a substitute'
  )


def gta5_two_heads() -> str:
  """PixMatch's and EHTDI's start on GTA5."""
  run = _WARM.format('gta5_to_cityscapes/pixmatch_start')
  return f"GTA5_source.pth of release v1.0.0 of PixMatch's repository, {run}"


def synthia_two_heads() -> str:
  """EHTDI's start on SYNTHIA."""
  run = _WARM.format('synthia_to_cityscapes/ehtdi_start')
  return (
    "the network trained on SYNTHIA that EHTDI's repository links, or "
    f'GTA5_source.pth (its rows of the 16 classes are taken), {run}'
  )


def lse(benchmark: str) -> str:
  """LSE's start on FCN-8s; `benchmark` is the folder of the configs."""
  source = benchmark.split('_')[0]
  run = _WARM.format(f'{benchmark}/lse_start')
  return f"{source}_vggfcn_init.pth, which LSE's repository links, {run}"


def lse_deeplab(benchmark: str) -> str:
  """LSE's start on DeepLab-v2, whose file was not released."""
  run = _WARM.format(f'{benchmark}/lse_deeplab_start')
  return (
    'a DeepLab-v2 trained on the source (that of the paper was not released), '
    f'{run}'
  )
