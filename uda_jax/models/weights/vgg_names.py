"""Names of torchvision's VGG-16, as rows of templates; see `renaming`."""

from __future__ import annotations

# torchvision's places of VGG-16's layers in its two sequences.
VGG16 = tuple(
  (f'{theirs}.{{*}}', f'{ours}.{{*}}')
  for theirs, ours in {
    'features.0': 'conv1_1',
    'features.2': 'conv1_2',
    'features.5': 'conv2_1',
    'features.7': 'conv2_2',
    'features.10': 'conv3_1',
    'features.12': 'conv3_2',
    'features.14': 'conv3_3',
    'features.17': 'conv4_1',
    'features.19': 'conv4_2',
    'features.21': 'conv4_3',
    'features.24': 'conv5_1',
    'features.26': 'conv5_2',
    'features.28': 'conv5_3',
    'classifier.0': 'fc6',
    'classifier.3': 'fc7',
  }.items()
)
