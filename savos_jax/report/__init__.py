"""The page about an evaluation: charts, comparisons, strips. No jax."""
