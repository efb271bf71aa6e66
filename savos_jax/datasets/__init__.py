"""Data sets on disk, read into one kind of record. Independent of JAX."""
