"""Flags of the benchmarks, a module each, with what --help tells of its rows.

Light to import. The module of the same name beside this folder measures.
"""
