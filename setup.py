"""Packages of the wheel; everything else is in pyproject.toml.

`configs/` lies at the top level of the repository and is installed inside the
package, as `uda_jax.configs.<folder>`: site-packages gets no `configs`.
"""

import setuptools

_CONFIGS = {
  f'uda_jax.{name}': name.replace('.', '/')
  for name in setuptools.find_namespace_packages(
    include=['configs.*'],
    # Texts that the tests of a checkout compare with.
    exclude=['configs.resolved'],
  )
}

setuptools.setup(
  packages=[*setuptools.find_packages(include=['uda_jax*']), *_CONFIGS],
  package_dir=_CONFIGS,
)
