"""The files of a run: checkpoints, manifest, curves and pictures."""
