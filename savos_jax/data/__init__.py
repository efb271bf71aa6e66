"""Datasets, masks, augmentation and loaders. No jax but in `scenes`."""
