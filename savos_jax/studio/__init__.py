"""A page to mark, propagate, correct and export a video's objects."""
