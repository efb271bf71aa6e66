"""Scores masks exactly as the official DAVIS code. Independent of JAX."""
