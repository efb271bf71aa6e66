"""Reports: charts, comparisons, strips of frames. Independent of JAX."""
