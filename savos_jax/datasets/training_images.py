"""Encodings of the images that training reads."""

# Shorter and longer side at most, pixels.
BOX = (384, 640)
# Of photos and frames in a pack.
CODECS = ('jpeg', 'webp')
