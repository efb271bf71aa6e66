"""Datasets, masks, augmentation and the input pipeline. No jax in here."""
