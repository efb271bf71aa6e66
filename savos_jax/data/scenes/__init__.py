"""Scenes with rivals: training examples made on the training device.

`generate.batch` makes examples of several objects from photos and videos, as a
compiled function of (seed, index): thousands a second on an accelerator.
"""
