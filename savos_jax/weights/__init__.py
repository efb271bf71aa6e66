"""Imports parameters from other libraries, and the files that store them."""
