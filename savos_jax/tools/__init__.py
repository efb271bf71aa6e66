"""Programs beside `savos_jax.main`.

Each has its flags, `run` and `main`. `run` imports what takes long to import:
neither --help nor a flag that is refused waits for it.
"""
