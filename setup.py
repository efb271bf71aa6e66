"""What pyproject.toml cannot say: configs/ is the package savos_jax.configs.

It stays at the top of the repository, where who trains looks for it.
"""

import setuptools

setuptools.setup(
  packages=[
    *setuptools.find_packages(include=['savos_jax*']),
    # Pictures, and a page; setuptools calls any folder a package.
    'savos_jax.synthetic.embedded',
    *setuptools.find_namespace_packages(include=['savos_jax.studio.page*']),
    'savos_jax.configs',
  ],
  package_dir={'savos_jax.configs': 'configs'},
)
