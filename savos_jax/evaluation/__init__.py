"""Scoring masks as the official DAVIS code does, reports, pictures. No jax."""
