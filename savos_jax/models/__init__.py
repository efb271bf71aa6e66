"""The SAVOS network in Flax (linen)."""
