"""Datasets, masks, augmentation and the input pipeline. No jax but in `scenes`."""
