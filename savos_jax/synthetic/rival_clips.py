"""Validation clips of look-alikes, made of photos that training never sees.

Objects cut out of held-out photos (held_out_photos.py) travel over another
held-out photo, cross, leave and return; often they come from one folder, such
as horse beside horse. Masks and frames use the same warps. The clips are
written in the layout of DAVIS 2017.
"""

from collections.abc import Iterable
import dataclasses
import json
import os
import pathlib
import shutil
import uuid

import cv2
import numpy as np
from PIL import Image
import tqdm

from savos_jax.datasets import held_out_photos
from savos_jax.datasets import masks
from savos_jax.datasets import sequences
from savos_jax.datasets import stills
from savos_jax.foundation import errors
from savos_jax.foundation import manifests
from savos_jax.synthetic import rival_scenes

# Share of its photo that an object to cut out covers.
SHARES = (0.03, 0.6)
MIN_SIZE = 64
MIN_FRAMES = 8

_RESOLUTION = '480p'  # The folder's name in DAVIS; `size` is what counts.
_JPEG_QUALITY = 90
_SETTINGS_FILE = 'rival_clips.json'
# Three to paste, and a background.
_MIN_PHOTOS = 4
# Draws of a scene for a cast, and of casts for a clip.
_SCENES, _CASTS = 40, 12
# An object of the background is to be segmented if it covers this share of its
# photo; where more than the second is covered, nothing else would be seen.
_OWN_SHARES = (0.02, 0.3)
_MOST_OWN = 2
# A photo of this shape is not a background: little of it would be seen.
_MIN_ASPECT = 1.1
_MAX_ENLARGED = 2.0


@dataclasses.dataclass(frozen=True)
class Thing:
  """An object of a held-out photo.

  Attributes:
    record: the photo.
    object_id: which of its objects.
    share: fraction of the photo that it covers, 0..1.
    compact: whether it is in one piece; several pieces may be several objects.
    whole: whether it is also suitable as a cut-out: of a useful size, and away
      from the border of the photo and from other objects, which would truncate
      it.
    colour: mean RGB, float64 [3].
  """

  record: sequences.Sequence
  object_id: int
  share: float
  compact: bool
  whole: bool
  colour: np.ndarray

  @property
  def folder(self) -> str:
    return self.record.name.split('/')[0]

  def read(self) -> tuple[np.ndarray, np.ndarray]:
    """Reads the photo, RGB uint8 [H, W, 3], and the mask, bool [H, W]."""
    return self.record.frame(0), self.record.labels(0) == self.object_id


@dataclasses.dataclass(frozen=True)
class Summary:
  """Summary of the clips made.

  Attributes:
    clips: number of clips.
    objects: number of objects to segment.
    areas: fraction of the first frame that each object covers.
    hidden: number of frames in which each object is hidden.
  """

  clips: int
  objects: int
  areas: tuple[float, ...]
  hidden: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class _Plan:
  """Who plays in a clip, and what.

  Attributes:
    background: the photo.
    own: its objects that are to be segmented.
    cast: what is pasted; the distractors last.
    script: what happens.
  """

  background: sequences.Sequence
  own: list[Thing]
  cast: list[Thing]
  script: rival_scenes.Script


def is_compact(mask: np.ndarray) -> bool:
  """Whether a mask is in one piece, not connected only by thin bridges.

  In some data sets one id covers all objects of a kind, or something in front
  of an object, such as a fence, divides it.

  Args:
    mask: bool [H, W], not empty.
  """
  reach = max(1, round(0.025 * float(np.sqrt(mask.sum()))))
  disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, [2 * reach + 1] * 2)
  whole = mask.astype(np.uint8)
  # Outside of the photo counts as object: no border eats into it.
  for binary in (whole, cv2.erode(whole, disk)):
    stats = cv2.connectedComponentsWithStats(binary)[2]
    sizes = stats[1:, cv2.CC_STAT_AREA]
    if not len(sizes) or sizes.max() < 0.9 * sizes.sum():
      return False
  return True


def is_whole(labels: np.ndarray, object_id: int) -> bool:
  """Whether an object is suitable as a cut-out, see `Thing`.

  Args:
    labels: uint8 [H, W].
    object_id: one that it holds.
  """
  mask = labels == object_id
  if not SHARES[0] <= mask.mean() <= SHARES[1] or not is_compact(mask):
    return False
  if mask[[0, 1, -2, -1]].any() or mask[:, [0, 1, -2, -1]].any():
    return False
  # Some data sets leave a gap of some pixels between objects that touch.
  near = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8))
  ring = near.astype(bool) & ~mask
  return bool((ring & (labels > 0)).sum() <= 0.03 * ring.sum())


def _things(record: sequences.Sequence) -> list[Thing]:
  """Lists the objects of a photo."""
  labels, photo = record.labels(0), record.frame(0)
  return [
    Thing(
      record=record,
      object_id=object_id,
      share=float((labels == object_id).mean()),
      compact=is_compact(labels == object_id),
      whole=is_whole(labels, object_id),
      colour=photo[labels == object_id].mean(axis=0),
    )
    for object_id in record.object_ids
  ]


def _held_out(
  folders: Iterable[str | os.PathLike],
) -> dict[str, list[Thing]]:
  """Opens the held-out photos of folders: name -> its objects.

  Raises:
    SavosError: as stills.load; one folder's name twice; too few photos.
  """
  # Sorted: in whichever order they are named, the clips are the same.
  folders = sorted(
    (pathlib.Path(folder).expanduser() for folder in folders),
    key=lambda folder: folder.name,
  )
  seen: dict[str, pathlib.Path] = {}
  for folder in folders:
    if folder.name in seen:
      raise errors.SavosError(
        f'{folder}: a second folder named {folder.name!r}, beside '
        f'{seen[folder.name]}.\n  Expected each name once: whether a photo is '
        'held out goes by it. Leave one of them out, or rename it.'
      )
    seen[folder.name] = folder
  records = [
    record
    for folder in tqdm.tqdm(folders, desc='folders of photos', disable=None)
    for record in stills.load(folder)
  ]
  held_out = [r for r in records if held_out_photos.is_held_out(r.name)]
  things = {record.name: _things(record) for record in held_out}
  whole = sum(any(t.whole for t in photo) for photo in things.values())
  if whole < _MIN_PHOTOS:
    raise errors.SavosError(
      f'{", ".join(map(str, folders))}: {len(records)} photos, of which '
      f'{len(held_out)} are held out; {whole} of those show a whole object.\n'
      f'  Expected {_MIN_PHOTOS} or more with an object of '
      f'{SHARES[0]:.0%} to {SHARES[1]:.0%} of the photo that does not touch '
      'its border. One photo in '
      f'{held_out_photos.HELD_OUT_ONE_IN} is held out: give more photos.'
    )
  return things


def _backgrounds(
  photos: dict[str, list[Thing]], size: tuple[int, int]
) -> list[str]:
  """Lists photos that are good as backgrounds; all, where none is."""
  good = []
  for name, things in photos.items():
    record = things[0].record
    enlarged = max(size[0] / record.height, size[1] / record.width)
    if (
      record.width >= _MIN_ASPECT * record.height
      and enlarged <= _MAX_ENLARGED
      and sum(thing.share for thing in things) <= _OWN_SHARES[1]
    ):
      good.append(name)
  return good or list(photos)


def _choose_cast(
  photos: dict[str, list[Thing]],
  background: str,
  count: int,
  alike: bool,
  folder: str | None,
  rng: np.random.Generator,
) -> list[Thing]:
  """Chooses what to paste, all of different photos.

  Args:
    photos: all held-out ones.
    background: the one not to take.
    count: how many.
    alike: whether they are of one folder and of about one colour, as far as
      there are enough.
    folder: the one to take for that, if it has enough.
    rng: decides.
  """
  # One object a photo: an object must not come twice, and two of one photo
  # were often cut at each other.
  whole = []
  for name, things in photos.items():
    fitting = [thing for thing in things if thing.whole]
    if name != background and fitting:
      whole.append(fitting[rng.integers(len(fitting))])
  count = min(count, len(whole))
  folders = sorted({thing.folder for thing in whole})
  sizes = [sum(t.folder == f for t in whole) for f in folders]
  enough = [f for f, n in zip(folders, sizes, strict=True) if n >= count]
  if not alike or not enough:
    return [whole[k] for k in rng.permutation(len(whole))[:count]]
  if folder not in enough:
    folder = enough[rng.integers(len(enough))]
  whole = [thing for thing in whole if thing.folder == folder]
  first = whole[rng.integers(len(whole))]
  # Out of the half that is most like the first.
  near = sorted(
    (thing for thing in whole if thing is not first),
    key=lambda thing: float(np.square(thing.colour - first.colour).sum()),
  )
  near = near[: max(count - 1, len(near) // 2)]
  rest = [near[k] for k in rng.permutation(len(near))[: count - 1]]
  return [first, *rest]


def _plan(
  photos: dict[str, list[Thing]],
  background: str,
  clip: int,
  rng: np.random.Generator,
) -> _Plan:
  """Decides who plays in a clip, and what; see `_Plan`."""
  # What happens goes by the clip's number, so that any set has all of it.
  event = ('leaves', 'crossing', 'crossing', 'hidden', 'crossing', 'crossing')[
    clip % 6
  ]
  distractors = int(rng.integers(1, 3)) if clip % 3 == 1 else 0
  count = int(rng.choice([2, 3, 4], p=[0.3, 0.4, 0.3]))
  things = sorted(photos[background], key=lambda thing: -thing.share)
  own = [
    thing
    for thing in things
    if thing.compact and _OWN_SHARES[0] <= thing.share <= _OWN_SHARES[1]
  ]
  own = own[:_MOST_OWN] if clip % 2 == 0 else []
  own = own[: max(0, count - 2)] or own[:1]
  # One that leaves is none of the two that cross.
  pasted = max(count - len(own), 3 if event == 'leaves' else 2)
  pasted = min(pasted, 4 - len(own))
  cast = _choose_cast(
    photos,
    background,
    pasted + distractors,
    alike=bool(rng.random() < 0.75),
    folder=things[0].folder if rng.random() < 0.35 else None,
    rng=rng,
  )
  distractors = max(0, min(distractors, len(cast) - pasted))
  return _Plan(
    background=things[0].record,
    own=own,
    cast=cast,
    script=rival_scenes.Script(event, distractors),
  )


def _scene(
  plan: _Plan, size, frames: int, rng: np.random.Generator
) -> rival_scenes.Scene | None:
  """Draws scenes of a plan until one is fair; None, where none is."""
  photo, labels = plan.background.frame(0), plan.background.labels(0)
  own = [labels == thing.object_id for thing in plan.own]
  cast = [thing.read() for thing in plan.cast]
  for _ in range(_SCENES):
    scene = rival_scenes.draw(photo, own, cast, plan.script, size, frames, rng)
    if rival_scenes.fairness(scene, plan.script) is None:
      return scene
  return None


def _described(plan: _Plan) -> dict:
  """Returns what a clip is made of, for the file that tells."""
  pasted = len(plan.cast) - plan.script.distractors
  played = [f'{t.record.name}#{t.object_id}' for t in (*plan.own, *plan.cast)]
  count = len(plan.own) + pasted
  return {
    'background': plan.background.name,
    'objects': dict(enumerate(played[:count], 1)),
    'distractors': played[count:],
    'event': plan.script.event,
  }


def _make_clip(photos, background, clip, size, frames, rng):
  """Makes one clip: what it is made of, and its frames and labels.

  Raises:
    SavosError: nothing fair comes of the photos.
  """
  for _ in range(_CASTS):
    plan = _plan(photos, background, clip, rng)
    scene = _scene(plan, size, frames, rng)
    if scene is None:
      continue
    rendered = list(rival_scenes.render(scene, rng))
    areas = _areas(rendered)[0]
    if len(areas) and areas.min() >= rival_scenes.MIN_VISIBLE:
      return _described(plan), rendered
  raise errors.SavosError(
    f'clip {clip}: no scene resulted from {_CASTS * _SCENES} attempts in which '
    f'objects show, cross and come back, over {background}.\n  Expected '
    f'photos with objects of {SHARES[0]:.0%} to {SHARES[1]:.0%} of their '
    'area: try another --seed, or give more photos.'
  )


def _areas(rendered) -> np.ndarray:
  """Returns the share of the frame of each object, float64 [T, K]."""
  count = max(int(labels.max()) for _, labels in rendered)
  return np.array(
    [
      np.bincount(labels.ravel(), minlength=count + 1)[1:] / labels.size
      for _, labels in rendered
    ]
  )


def _write_clip(root: pathlib.Path, name: str, rendered) -> None:
  images = root / 'JPEGImages' / _RESOLUTION / name
  annotations = root / 'Annotations' / _RESOLUTION / name
  images.mkdir(parents=True)
  annotations.mkdir(parents=True)
  for t, (image, labels) in enumerate(rendered):
    Image.fromarray(image).save(
      images / f'{t:05d}.jpg', quality=_JPEG_QUALITY, subsampling=0
    )
    masks.write_mask(annotations / f'{t:05d}.png', labels)


def _write_all(root: pathlib.Path, photos, settings: dict) -> Summary:
  """Writes the whole data set into the empty folder `root`."""
  size, frames = tuple(settings['size']), settings['frames']
  seed, clips = settings['seed'], settings['clips']
  backgrounds = _backgrounds(photos, size)
  order = np.random.default_rng(seed).permutation(len(backgrounds))
  made, areas, hidden = {}, [], []
  # `disable=None`: no bar where nobody watches.
  for clip in tqdm.trange(clips, desc='rival clips', disable=None):
    # A generator a clip: a clip does not depend on how many there are.
    rng = np.random.default_rng((seed, clip))
    background = backgrounds[order[clip % len(order)]]
    name = f'rivals-{clip:02d}'
    made[name], rendered = _make_clip(
      photos, background, clip, size, frames, rng
    )
    _write_clip(root, name, rendered)
    shares = _areas(rendered)
    areas += shares[0].tolist()
    gone = shares < rival_scenes.HIDDEN * shares[0]
    hidden += gone.sum(axis=0).tolist()
  path = root / 'ImageSets' / '2017' / 'val.txt'
  path.parent.mkdir(parents=True)
  path.write_text('\n'.join(made) + '\n', 'utf-8')
  (root / _SETTINGS_FILE).write_text(
    json.dumps({'settings': settings, 'clips': made}, indent=2) + '\n', 'utf-8'
  )
  return Summary(clips, len(areas), tuple(areas), tuple(hidden))


def _check(out: pathlib.Path, clips, frames, size, seed) -> None:
  """Raises SavosError for what no clips can be made with, or no folder of."""
  for name, value, least in (
    ('--clips', clips, 1),
    ('--frames', frames, MIN_FRAMES),
    ('--size', min(size), MIN_SIZE),
    ('--seed', seed, 0),
  ):
    if value < least:
      raise errors.SavosError(
        f'{name} is {value}.\n  Expected {least} or more'
        f'{", height and width" if name == "--size" else ""}.'
      )
  if out.is_dir() and not any(out.iterdir()):
    return
  if out.exists() or out.is_symlink():
    what = 'is not empty' if out.is_dir() else 'is no folder'
    raise errors.SavosError(
      f'{out}: exists and {what}.\n'
      '  Expected a new folder: nothing is replaced. Give another --out, or '
      'move it away.'
    )


def generate(
  folders: Iterable[str | os.PathLike],
  out: str | os.PathLike,
  clips: int = 12,
  frames: int = 30,
  size: tuple[int, int] = (256, 448),
  seed: int = 0,
) -> Summary:
  """Makes the clips; the same photos and settings give the same files.

  They appear under `out` atomically.

  Args:
    folders: of photos, as for stills.load; only held-out photos are used.
    out: the folder to make; `davis.load(out, 'val')` reads it then. It must
      not exist, or be empty.
    clips: how many.
    frames: length of each.
    size: (height, width) of the frames, pixels.
    seed: of all random choices.

  Returns:
    What was made.

  Raises:
    SavosError: a value is out of range; `out` is not empty; a folder cannot be
      opened; there are too few held-out photos; `out` cannot be written.
  """
  out = pathlib.Path(out).expanduser()
  _check(out, clips, frames, size, seed)
  folders = list(folders)
  photos = _held_out(folders)
  settings = {
    'folders': sorted(pathlib.Path(folder).name for folder in folders),
    'clips': clips,
    'frames': frames,
    'size': list(size),
    'seed': seed,
  }
  partial = out.with_name(f'.{out.name}.{uuid.uuid4().hex[:12]}.part')
  try:
    partial.mkdir(parents=True)
    summary = _write_all(partial, photos, settings)
    manifests.begin_with_all(partial)
    os.rename(partial, out)
  except OSError as error:
    raise errors.SavosError(
      f'{out}: could not be written: {error}.\n'
      '  Expected a writable folder with free space.'
    ) from None
  finally:
    shutil.rmtree(partial, ignore_errors=True)
  return summary
