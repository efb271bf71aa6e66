"""How images are kept to be trained on."""

# Shorter and longer side at most, pixels.
BOX = (384, 640)
# Of photos and frames in a pack.
CODECS = ('jpeg', 'webp')
