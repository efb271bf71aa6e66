"""Draws masks over frames and cuts objects out. Independent of JAX."""
