"""Lucid dreaming: unlimited training samples from one frame and its mask.

After Khoreva et al., "Lucid Data Dreaming for Video Object Segmentation"
(2017): objects are cut out of a frame, the hole is filled, and objects and
background are recombined as they might look a moment later. Each of the five
steps is a function; `dream` runs them all:

  1. change_illumination
  2. split              objects, and the background without them
  3. move_object        where each object is in every frame
  4. move_camera        what the camera sees of the background
  5. merge

Every function is pure: all randomness comes from the generator passed in. Only
NumPy and OpenCV are used. Images are RGB uint8 [H, W, 3]; labels are uint8
[H, W], 0 is the background, 1..255 are objects. A size is (height, width) in
pixels.
"""

from savos_jax.data.lucid.camera import camera_path as camera_path
from savos_jax.data.lucid.camera import move_camera as move_camera
from savos_jax.data.lucid.dreaming import Dream as Dream
from savos_jax.data.lucid.dreaming import draw_moving as draw_moving
from savos_jax.data.lucid.dreaming import dream as dream
from savos_jax.data.lucid.dreaming import previous_labels as previous_labels
from savos_jax.data.lucid.illumination import (
  change_illumination as change_illumination,
)
from savos_jax.data.lucid.merging import merge as merge
from savos_jax.data.lucid.motion import move_object as move_object
from savos_jax.data.lucid.splitting import Cutout as Cutout
from savos_jax.data.lucid.splitting import Layer as Layer
from savos_jax.data.lucid.splitting import hole as hole
from savos_jax.data.lucid.splitting import inpaint as inpaint
from savos_jax.data.lucid.splitting import inpaint_settings as inpaint_settings
from savos_jax.data.lucid.splitting import split as split
from savos_jax.data.lucid_config import MERGES as MERGES
from savos_jax.data.lucid_config import LucidConfig as LucidConfig
