"""Data sets on disk, their images and masks, one record for all. No jax."""
