"""SAVOS: video object segmentation in JAX."""
