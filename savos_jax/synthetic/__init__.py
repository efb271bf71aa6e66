"""Clips made of photographs, for the demo and for trying trackers. No jax."""
