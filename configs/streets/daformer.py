r"""DAFormer on rendered streets: self-training, rare classes first.

  python -m uda_jax.main \
      --config=configs/streets/daformer.py \
      --workdir=DIR

Without its feature distance: the network starts from scratch and there is
nothing to stay near to.
"""

from uda_jax.configs.streets import self_training


def get_config():
  """See the module's docstring."""
  config = self_training.get_config()
  # A third of a percent of an image, as published.
  config.data.rare_class.update(
    temperature=0.01, min_pixels=0.003, min_crop_ratio=0.5
  )
  return config
