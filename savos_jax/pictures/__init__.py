"""Masks drawn over frames, and objects cut out of them. No jax."""
