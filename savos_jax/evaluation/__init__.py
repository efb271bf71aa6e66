"""Scoring masks as the official DAVIS code does. No jax."""
