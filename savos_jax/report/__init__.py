"""The report of an evaluation: charts, comparisons, strips. Independent of
JAX.
"""
