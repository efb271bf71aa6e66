"""The programs besides `savos_jax.main`.

Each has flags, `run` and `main`. Slow imports are in `run`, so that --help and
invalid flags do not wait for them.
"""
