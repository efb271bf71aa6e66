"""Masks as the files of annotation programs and data sets, and back."""
