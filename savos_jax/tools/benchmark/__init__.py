"""Measures speed and memory on this machine.

  python -m savos_jax.tools.benchmark inference --width_multiplier=0.5
  python -m savos_jax.tools.benchmark training --clip_frames 1 2 4

One module a benchmark, each with `add_arguments` and `run`; --help lists them.
"""
