"""Exports of a network to formats that other programs run."""
