"""Clips made of photographs, for the demo and for tests. Independent of JAX."""
