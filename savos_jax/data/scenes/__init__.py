"""Scenes with rivals: training examples that are made where training runs.

`generate.batch` makes examples of several objects from photos and videos, as a
compiled function of (seed, index): on an accelerator thousands a second.
"""
