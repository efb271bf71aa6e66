"""Training examples: sampling, augmentation, loaders. Only scenes/ uses JAX."""
