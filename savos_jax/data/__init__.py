"""Training examples: sampling, augmentation, loaders. No jax but in scenes/."""
