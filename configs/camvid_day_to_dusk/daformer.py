r"""DAFormer on CamVid day -> dusk: self-training, rare classes first.

  python -m uda_jax.main \
      --config=configs/camvid_day_to_dusk/daformer.py \
      --workdir=DIR --config.data.root=DIR

Without its feature distance. The encoder has batch norm: on crops the student's
features, by statistics of the batch, begin 1.3 times their norm away from the
frozen ones, by running statistics; and at stride 32 less than one cell of a
batch lies in a thing.
"""

from uda_jax.configs.camvid_day_to_dusk import self_training


def get_config():
  """See the module's docstring."""
  config = self_training.get_config()
  # A third of a percent of an image, as published.
  config.data.rare_class.update(
    temperature=0.01, min_pixels=0.003, min_crop_ratio=0.5
  )
  return config
