"""Good files of every kind that the programs read, and who reads them.

A case is a folder: with the one file that is read, or with all that a program
is given. What a program writes goes into `out` in it.
"""

from collections.abc import Callable
import contextlib
import dataclasses
import importlib.util
import itertools
import json
import pathlib
import shutil
import tempfile
from unittest import mock

import numpy as np

_SIZE = (16, 24)


@dataclasses.dataclass(frozen=True)
class Case:
  """What is read.

  Attributes:
    folder: of the case.
    path: the file that was damaged.
  """

  folder: pathlib.Path
  path: pathlib.Path

  @property
  def out(self) -> pathlib.Path:
    """For what is written."""
    return self.folder / 'out'


@dataclasses.dataclass(frozen=True)
class Kind:
  """A kind of files.

  Attributes:
    name: of it.
    make: fills a folder with a folder a case.
    damaged: patterns of the files in a case of which one is damaged.
    uses: what reads them; each is tried, and does not return.
    share: how many of all files are of this kind, compared with others.
    needs: modules that may not be installed.
  """

  name: str
  make: Callable[[pathlib.Path], None]
  damaged: tuple[str, ...]
  uses: tuple[Callable[[Case], object], ...]
  share: int = 10
  needs: tuple[str, ...] = ()

  @property
  def is_here(self) -> bool:
    """Whether all is installed that it needs."""
    return all(importlib.util.find_spec(module) for module in self.needs)


def _labels(index: int = 0) -> np.ndarray:
  labels = np.zeros(_SIZE, np.uint8)
  labels[2:8, 1 + index : 9 + index] = 1
  labels[9:15, 12:20] = 2
  return labels


def _frame(index: int = 0) -> np.ndarray:
  rng = np.random.default_rng(index)
  noise = rng.integers(0, 40, (*_SIZE, 3), np.uint8)
  return noise + 100 * _labels(index)[..., None]


# ---------------------------------------------------------------------------
# Pictures and videos

# Suffix, mode and options of Pillow.
_PICTURES = (
  *(('.png', mode, {}) for mode in
    ('L', 'RGB', 'P', 'RGBA', 'LA', '1', 'I;16')),
  *(('.jpg', mode, {'quality': 95}) for mode in ('L', 'RGB', 'CMYK')),
  ('.jpg', 'RGB', {'progressive': True, 'exif': b'Exif\0\0II*\0\b\0\0\0\1\0'
    b'\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0'}),
  *(('.bmp', mode, {}) for mode in ('L', 'RGB', 'P', '1')),
  *(('.webp', 'RGBA', {'lossless': lossless}) for lossless in (True, False)),
  ('.webp', 'RGB', {}),
  *(('.tif', 'RGB', {'compression': compression}) for compression in
    (None, 'tiff_lzw', 'tiff_adobe_deflate', 'jpeg', 'packbits')),
  ('.tif', '1', {'compression': 'group4'}), ('.tif', 'I;16', {}),
  ('.tif', 'L', {}), ('.gif', 'P', {}),
)  # fmt: skip
# Suffix, encoder and its pixel format.
_VIDEOS = (
  ('.mp4', 'libx264', 'yuv420p'), ('.mp4', 'mpeg4', 'yuv420p'),
  ('.mov', 'libx264', 'yuv420p'), ('.mov', 'prores_ks', 'yuv422p10le'),
  ('.mov', 'qtrle', 'rgb24'), ('.mkv', 'libx264', 'yuv420p'),
  ('.mkv', 'ffv1', 'yuv420p'),
  ('.webm', 'libvpx', 'yuv420p'), ('.webm', 'libvpx-vp9', 'yuv420p'),
  ('.avi', 'mpeg4', 'yuv420p'), ('.avi', 'mjpeg', 'yuvj420p'),
  ('.avi', 'rawvideo', 'bgr24'), ('.gif', 'gif', 'rgb8'),
  ('.ts', 'mpeg2video', 'yuv420p'), ('.ts', 'libx264', 'yuv420p'),
  ('.mpg', 'mpeg1video', 'yuv420p'), ('.flv', 'flv', 'yuv420p'),
  ('.wmv', 'wmv2', 'yuv420p'), ('.ogv', 'libtheora', 'yuv420p'),
  ('.nut', 'mpeg4', 'yuv420p'), ('.y4m', 'rawvideo', 'yuv420p'),
)  # fmt: skip


_HEARD = 'libx264'  # With sound.
_ANNOTATIONS = (
  'coco', 'coco_polygons', 'labelme', 'cvat', 'cvat_polygons', 'label_studio',
)  # fmt: skip


def _make_pictures(folder: pathlib.Path, pixels: Callable) -> None:
  from PIL import Image

  for number, (suffix, mode, options) in enumerate(_PICTURES):
    case = folder / f'{number:02d}'
    case.mkdir()
    with Image.fromarray(pixels(mode)) as image:
      image.convert(mode).save(case / f'a{suffix}', **options)


def _make_frames(folder: pathlib.Path) -> None:
  _make_pictures(folder, lambda mode: _frame())


def _make_masks(folder: pathlib.Path) -> None:
  def pixels(mode):
    return (_labels() > 0) * np.uint8(255) if mode in '1LA' else _labels()

  _make_pictures(folder, pixels)


def _read_frame(case: Case) -> None:
  from savos_jax.datasets import masks

  masks.image_size(case.path)
  masks.read_frame(case.path)


def _read_as_seen(case: Case) -> None:
  from savos_jax.video import sources

  sources.read_image(case.path)


def _read_mask(case: Case) -> None:
  from savos_jax.datasets import masks

  masks.read_mask(case.path)


def _read_object_mask(case: Case) -> None:
  from savos_jax.datasets import segtrack

  segtrack.read_object_mask(case.path)


def _read_first_mask(case: Case) -> None:
  from savos_jax.video import first_masks

  first_masks.read([case.path], _SIZE, colours=True, resize=True)


def _write_video(path: pathlib.Path, codec: str, pixels: str) -> None:
  import av

  options = {'fflags': 'bitexact'}
  with av.open(str(path), 'w', options=options) as container:
    stream = container.add_stream(codec, rate=25)
    stream.height, stream.width, stream.pix_fmt = 32, 48, pixels
    stream.gop_size = 4
    sound = container.add_stream('aac', rate=8000) if codec == _HEARD else None
    if sound:
      silence = np.zeros((1, 1024), np.float32)
      for index in range(3):
        heard = av.AudioFrame.from_ndarray(silence, 'fltp', 'mono')
        heard.sample_rate, heard.pts = 8000, 1024 * index
        container.mux(sound.encode(heard))
      container.mux(sound.encode(None))
    for index in range(8):
      large = np.kron(_frame(index % 4), np.ones((2, 2, 1), np.uint8))
      frame = av.VideoFrame.from_ndarray(large, format='rgb24')
      container.mux(stream.encode(frame.reformat(format=pixels)))
    container.mux(stream.encode(None))


def _make_videos(folder: pathlib.Path) -> None:
  import av

  for suffix, codec, pixels in _VIDEOS:
    if codec in av.codecs_available:
      case = folder / f'{suffix[1:]}_{codec}'
      case.mkdir()
      _write_video(case / f'a{suffix}', codec, pixels)


def _read_video(case: Case, start: int = 0) -> None:
  from savos_jax.video import sources

  video = sources.open_video(case.path)
  for _ in video.frames(start):
    pass


def _read_video_from(case: Case) -> None:
  _read_video(case, 5)


# ---------------------------------------------------------------------------
# Networks


def _make_safetensors(folder: pathlib.Path) -> None:
  import safetensors.numpy

  from tests import tiny_resnets

  drawn = tiny_resnets.tensors()
  named = {
    'torchvision': drawn,
    'transformers': {
      tiny_resnets.as_transformers(name): array for name, array in drawn.items()
    },
  }
  for name, tensors in named.items():
    (folder / name).mkdir()
    safetensors.numpy.save_file(
      tensors, folder / name / 'file.safetensors', {'format': 'pt'}
    )


def _make_pth(folder: pathlib.Path) -> None:
  import torch

  from tests import tiny_resnets

  tensors = {
    name: torch.from_numpy(array)
    for name, array in tiny_resnets.tensors().items()
  }
  for name, zipped in (('zip', True), ('pickle', False)):
    (folder / name).mkdir()
    torch.save(
      {'state_dict': tensors}, folder / name / 'file.pth',
      _use_new_zipfile_serialization=zipped,
    )  # fmt: skip


def _make_onnx(folder: pathlib.Path) -> None:
  import onnx

  from tests import onnx_models

  for norm in ('folded', 'batch_norm', 'mul_add'):
    model, _ = onnx_models.resnet(norm=norm, pad_pool=(0, 1), pool={})
    (folder / norm).mkdir()
    onnx.save(model, folder / norm / 'file.onnx')
  (folder / 'beside').mkdir()
  onnx.save(
    model, folder / 'beside' / 'file.onnx', save_as_external_data=True,
    location='file.onnx.data', size_threshold=0,
  )  # fmt: skip


def _make_keras(folder: pathlib.Path) -> None:
  from tests import keras_files

  layers, _ = keras_files.arrays()
  for layout, name in (
    ('published', 'file.h5'),
    ('whole model', 'file.h5'),
    ('weights', 'file.weights.h5'),
    ('keras', 'file.keras'),
  ):
    (folder / layout).mkdir()
    keras_files.write(folder / layout / name, layout, layers)
  (folder / 'keras' / 'model.weights.h5').unlink()


def _import_backbone(case: Case) -> None:
  from savos_jax.tools import import_backbone

  out = case.out / 'backbone.safetensors'
  import_backbone.main([str(case.path), '--list', f'--out={out}'])


def _tiny_network():
  from savos_jax import network
  from tests import tiny_resnets

  model = tiny_resnets.MODEL
  config = {'seed': 0, 'eval': {'short_side': 32, 'zoom': 0.0}}
  params = tiny_resnets.network_params(model)
  return network.Trained(model, params, 7, False, config)


def _make_networks(folder: pathlib.Path) -> None:
  from savos_jax import network

  (folder / 'case').mkdir()
  network.write(folder / 'case' / 'file.safetensors', _tiny_network())


def _load_network(case: Case) -> None:
  from savos_jax import network

  network.load(case.path)


def _start_from_network(case: Case) -> None:
  from savos_jax.weights import pretrained
  from tests import tiny_resnets

  pretrained.architecture(case.path, tiny_resnets.MODEL.config)


def _make_trainings(folder: pathlib.Path) -> None:
  import jax.numpy as jnp

  from savos_jax.training import checkpoint
  from savos_jax.training import state as state_lib

  trained, workdir = _tiny_network(), folder / 'case' / 'out'
  state = state_lib.TrainState(jnp.int32(3), trained.params, {}, {})
  checkpoints = workdir / 'checkpoints'
  with checkpoint.Checkpoints(checkpoints, trained.model.config) as saved:
    saved.save(state, with_optimizer=False)
  (workdir / 'config.json').write_text(json.dumps(trained.config))


def _load_training(case: Case) -> None:
  from savos_jax import network

  network.load(case.out)


def _go_on_with_training(case: Case) -> None:
  from ml_collections import config_dict

  from savos_jax.training import record

  record.keep(config_dict.ConfigDict({'seed': 1}), case.out, 3)


def _make_curves(folder: pathlib.Path) -> None:
  from savos_jax.training import event_files

  writer = event_files.Writer(folder / 'case' / 'logs')
  for step in range(5):
    writer.write_scalars(step, {'iou': step / 5, 'validation/J': 0.5})
  writer.close()


def _read_curves(case: Case) -> None:
  from savos_jax.tools import curves

  curves.main([str(case.folder), f'--csv={case.out / "a.csv"}'])


# ---------------------------------------------------------------------------
# Data sets and results


def _write_pictures(images, masks_folder, count: int = 3) -> None:
  from PIL import Image

  from savos_jax.datasets import masks

  images.mkdir(parents=True)
  for index in range(count):
    Image.fromarray(_frame(index)).save(images / f'{index:05d}.png')
    masks.write_mask(masks_folder / f'{index:05d}.png', _labels(index))


def _make_lists(folder: pathlib.Path) -> None:
  """Three data sets, each scored against its own masks."""
  from tests import segtrack_folders

  davis, youtube = folder / 'davis2017', folder / 'youtube_vos' / 'valid'
  for root, part in ((davis, '480p'), (youtube, '')):
    for name in ('bear', 'zwei Hunde'):
      masks = root / 'Annotations' / part / name
      _write_pictures(root / 'JPEGImages' / part / name, masks)
      shutil.copytree(masks, folder / root.parts[len(folder.parts)]
                      / 'results' / name)  # fmt: skip
  lists = davis / 'ImageSets' / '2017'
  lists.mkdir(parents=True)
  (lists / 'val.txt').write_text(
    'bear\n/JPEGImages/480p/zwei Hunde/00000.png '
    '/Annotations/480p/zwei Hunde/00000.png\n'
  )
  (davis / 'db_info.yml').write_text(
    'attributes: [AC]\nsequences:\n  - name: bear\n    attributes: [AC, BC]\n'
  )
  objects = {'1': {'category': 'bear', 'frames': ['00000']}, '2': {}}
  meta = {'videos': {'bear': {'objects': objects}}}
  (youtube.parent / 'train').mkdir()
  for split in ('train', 'valid'):
    path = youtube.parent / split / 'meta.json'
    path.write_text(json.dumps(meta))
  segtrack = segtrack_folders.make(folder / 'segtrack', frames=2)
  results = segtrack / 'results'
  shutil.copytree(segtrack / 'GroundTruth', results)
  for path in sorted(results.rglob('*.bmp')):
    path.rename(path.with_suffix('.png'))


def _score(case: Case) -> None:
  from savos_jax.tools import score

  protocol = next(
    name
    for name, part in (
      ('youtube_vos', 'valid'), ('segtrack', 'GroundTruth'), ('davis2017', ''),
    )
    if (case.folder / part).exists()
  )  # fmt: skip
  root = case.folder / ('valid' if protocol == 'youtube_vos' else '')
  score.main([
    f'--results={case.folder / "results"}', f'--annotations={root}',
    f'--protocol={protocol}', f'--json={case.out / "scores.json"}',
    f'--csv={case.out / "tables"}',
  ])  # fmt: skip


def _open_data(case: Case) -> None:
  from savos_jax.datasets import davis
  from savos_jax.datasets import segtrack

  if (case.folder / 'GroundTruth').exists():
    segtrack.load(case.folder)
  elif (case.folder / 'valid').exists():
    davis.load(case.folder, 'valid')
  else:
    davis.load(case.folder, 'val')


def _make_results(folder: pathlib.Path) -> None:
  from savos_jax.evaluation import results_folder
  from tests import results_folders

  case, root = folder / 'case', folder / 'case' / 'DAVIS'
  _write_pictures(root / 'JPEGImages/480p/bear', root / 'Annotations/480p/bear')
  (root / 'ImageSets/2017').mkdir(parents=True)
  (root / 'ImageSets/2017/val.txt').write_text('bear\n')
  results_folders.write(case, root, '2017', shift=1)
  results_folder.write_speed(case / 'results', {
    'sequences': 1, 'frames': 3, 'total_seconds': 1.5, 'network_share': 0.5,
    'seconds_a_frame': 0.1, 'first_seconds': 0.5, 'peak_gib': 0.5,
  })  # fmt: skip
  facts = {'revision': 'a', 'device': 'cpu', 'checkpoint': 'a', 'step': 3}
  config = json.loads((case / 'config.json').read_text())
  results_folder.write_run(case / 'results', config, facts, {})


def _report(case: Case) -> None:
  from savos_jax.tools import report

  report.main([
    str(case.folder / 'results'), f'--out={case.out / "report.html"}',
    f'--data={case.folder / "DAVIS"}', '--compare',
    str(case.folder / 'results'),
  ])  # fmt: skip


def _make_packs(folder: pathlib.Path) -> None:
  from savos_jax.datasets import pack
  from savos_jax.datasets import sequences

  case = folder / 'case'
  _write_pictures(case / 'images', case / 'masks')
  files = [sorted((case / part).iterdir()) for part in ('images', 'masks')]
  video = sequences.open_sequence('bear', *files)
  pack.write(case / 'file.pack', [video], _SIZE)


def _read_pack(case: Case) -> None:
  from savos_jax.datasets import pack

  for record in pack.read(case.path):
    for index in itertools.islice(range(len(record)), 20):
      record.frame(index)
      record.labels(index)


# ---------------------------------------------------------------------------
# A video to segment, and what an earlier run left


def _make_folder(folder: pathlib.Path) -> None:
  """A folder of images as the video."""
  from savos_jax import network

  case = folder / 'folder'
  _write_pictures(case / 'video', case / 'masks', 4)
  (case / 'masks' / '00000.png').rename(case / 'first.png')
  shutil.rmtree(case / 'masks')
  network.write(case / 'file.safetensors', _tiny_network())


def _make_file(folder: pathlib.Path) -> None:
  """A file as the video, and what an interrupted run left."""
  from savos_jax import network
  from savos_jax.datasets import masks

  case = folder / 'file'
  large = np.kron(_labels(), np.ones((2, 2), np.uint8))
  masks.write_mask(case / 'first.png', large)
  _write_video(case / 'video.mp4', 'libx264', 'yuv420p')
  network.write(case / 'file.safetensors', _tiny_network())
  _interrupt(Case(case, case / 'first.png'))
  # Of the same content as a file that the manifest knows.
  shutil.copy(case / 'out' / 'masks' / '00000.png', case / 'mine.png')


def _make_both(folder: pathlib.Path) -> None:
  _make_folder(folder)
  _make_file(folder)


def _interrupt(case: Case) -> None:
  """Segments four frames."""
  from savos_jax.datasets import masks

  write, left = masks.write_mask, iter(range(3))

  def write_some(path, labels):
    write(path, labels)
    if next(left, None) is None:
      raise KeyboardInterrupt

  with (
    mock.patch.object(masks, 'write_mask', write_some),
    contextlib.suppress(SystemExit),
  ):
    _segment(case)


def _segment(case: Case, *flags: str) -> None:
  from savos_jax.tools import segment

  def given(name: str) -> pathlib.Path:
    path = case.folder / name
    return path if path.exists() else case.path

  video = 'video' if (case.folder / 'video').exists() else 'video.mp4'
  segment.main([
    f'--video={given(video)}', f'--mask={given("first.png")}',
    f'--checkpoint={given("file.safetensors")}', f'--out={case.out}',
    '--cutout=png', *flags,
  ])  # fmt: skip


def _make_annotations(folder: pathlib.Path) -> None:
  """What other programs read of a video, as they write it, too."""
  with tempfile.TemporaryDirectory() as name:
    _make_folder(pathlib.Path(name))
    case = Case(pathlib.Path(name) / 'folder', pathlib.Path(name))
    _segment(case, '--format', *_ANNOTATIONS)
    for kind in _ANNOTATIONS:
      (folder / kind).mkdir()
      shutil.copytree(case.folder / 'video', folder / kind / 'video')
      told = next(
        path
        for path in sorted((case.out / kind).rglob('*'))
        if path.suffix in ('.json', '.xml')
      )
      shutil.copy(told, folder / kind / f'told{told.suffix}')


def _read_annotations(case: Case) -> None:
  from savos_jax.video import annotation_files
  from savos_jax.video import sources

  video = sources.open_video(case.folder / 'video')
  annotation_files.read(video, [str(case.path)], resize=True)


def _segment_anew(case: Case) -> None:
  _segment(case, '--overwrite')


def _go_on_segmenting(case: Case) -> None:
  _segment(case, '--resume')


def _make_exported(folder: pathlib.Path) -> None:
  from savos_jax.exporting import choices
  from savos_jax.exporting import onnx_folder

  for dtype in ('float32', 'float16'):
    onnx_folder.write(folder / dtype, _tiny_network(), choices.Choices(dtype))


def _run_exported(case: Case) -> None:
  from savos_jax.inference import tracker
  from savos_jax.inference import with_onnx

  runtime = with_onnx.Onnx(with_onnx.read(case.folder))
  following = tracker.Tracker(runtime, None)
  frame = np.zeros((32, 64, 3), np.uint8)
  following.start(frame, np.ones((32, 64), np.uint8), [1])
  following.step(frame)


KINDS = (
  Kind('frame', _make_frames, ('*',), (_read_frame, _read_as_seen), 22),
  Kind(
    'mask', _make_masks, ('*',),
    (_read_mask, _read_object_mask, _read_first_mask), 22,
  ),
  Kind('video', _make_videos, ('*',), (_read_video, _read_video_from), 36),
  Kind('keras', _make_keras, ('*',), (_import_backbone,), 12, ('h5py',)),
  Kind('pth', _make_pth, ('*',), (_import_backbone,), 10, ('torch',)),
  Kind('safetensors', _make_safetensors, ('*',), (_import_backbone,), 8),
  Kind('onnx', _make_onnx, ('*',), (_import_backbone,), 12, ('onnx',)),
  Kind(
    'network', _make_networks, ('*',), (_load_network, _start_from_network), 10
  ),
  Kind(
    'exported', _make_exported, ('*',), (_run_exported,), 8, ('onnxruntime',)
  ),
  Kind(
    'training', _make_trainings, ('out/**/*',),
    (_load_training, _go_on_with_training), 4,
  ),
  Kind('config', _make_trainings, ('out/config.json',),
       (_load_training, _go_on_with_training), 4),
  Kind('curves', _make_curves, ('logs/*',), (_read_curves,), 5),
  Kind(
    'list', _make_lists, ('**/*.txt', '**/*.yml', '**/meta.json'),
    (_open_data, _score), 20,
  ),
  Kind('scored mask', _make_lists, ('results/**/*.png',), (_score,), 5),
  Kind('results', _make_results, ('results/*.json', 'config.json'),
       (_report,), 6),
  Kind('pack', _make_packs, ('*.pack',), (_read_pack,), 10),
  Kind(
    'segment', _make_both,
    ('video*/*', 'video.*', 'first.png', '*.safetensors'), (_segment_anew,), 6,
  ),
  Kind('annotations', _make_annotations, ('told.*',), (_read_annotations,), 20),
  Kind('progress', _make_file, ('out/progress.npz',),
       (_go_on_segmenting,), 4),
  Kind('manifest', _make_file, ('out/.savos_jax.jsonl',),
       (_go_on_segmenting, _segment_anew), 4),
)  # fmt: skip
