"""Programs beside `savos_jax.main`."""
