"""The page of an exported network, in a real browser, beside Python."""

from concurrent import futures
import dataclasses
import io
import zipfile

import jax.numpy as jnp
import numpy as np
import onnx
from PIL import Image
import pytest

from savos_jax import checkpoints
from savos_jax import network
from savos_jax.datasets import masks as masks_lib
from savos_jax.inference import aggregation
from savos_jax.inference import compiled
from savos_jax.inference import focus
from savos_jax.inference import geometry
from savos_jax.inference import options
from savos_jax.inference import sight
from savos_jax.inference import tracker as tracker_lib
from savos_jax.inference import with_onnx
from savos_jax.inference import zoom
from savos_jax.studio import chains
from savos_jax.synthetic import embedded_scenes
from savos_jax.video import marks as marks_lib
from tests import made_videos
from tests import studio_browser as browsing
from tests import web_site

SIZE = (96, 128)
COUNT = 5
MARKED, CORRECTED = 1, 3
# Pixels of a frame, at edges, that may be another object's than in Python.
FEW = 2


@pytest.fixture(scope='module')
def trained():
  return network.load(checkpoints.DEFAULT)


@pytest.fixture(scope='module')
def clip():
  rng = np.random.default_rng(0)
  cast = ['motorcycle', 'cat']
  frames = embedded_scenes.render_clip('val', cast, SIZE, COUNT, rng)
  pictures, labels = zip(*frames, strict=True)
  return list(pictures), list(labels)


@pytest.fixture(scope='module')
def site(tmp_path_factory):
  browsing.require()
  return web_site.write(tmp_path_factory.mktemp('web'))


@pytest.fixture(scope='module')
def address(site):
  with web_site.served(site) as address:
    yield address


@pytest.fixture(scope='module')
def browser(address):
  with browsing.launched() as browser:
    yield browser


@pytest.fixture
def page(browser, address):
  # On the CPU, wherever the test runs.
  with browsing.window(browser, f'{address}/?engine=cpu') as page:
    yield page


def images(folder, pictures):
  """Writes pictures as PNGs; returns their paths."""
  paths = [folder / f'shot {i + 8}.png' for i in range(len(pictures))]
  for path, picture in zip(paths, pictures, strict=True):
    Image.fromarray(picture).save(path)
  # In any order: what comes first is told by the numbers in their names.
  return [str(path) for path in reversed(paths)]


def opened(page, paths, frame=0):
  page.locator('#file').set_input_files(paths)
  browsing.opened(page, frame)


def draw(page, frame, labels, ids):
  """Draws objects in a frame."""
  page.evaluate('(frame) => studio.seek(frame)', frame)
  browsing.opened(page, frame)
  page.evaluate(
    """async ([labels, ids]) => {
      while (studio.model.objects.length < Math.max(...ids)) {
        await studio.addObject();
      }
      const { marker } = studio;
      marker.begin();
      labels.forEach((id, i) => {
        if (ids.includes(marker.labels[i])) marker.labels[i] = 0;
        if (ids.includes(id)) marker.labels[i] = id;
      });
      const { width, height } = marker;
      marker.changed({ x0: 0, y0: 0, x1: width, y1: height });
      marker.commit(ids);
    }""",
    [labels.ravel().tolist(), ids],
  )
  browsing.saved(page)


def propagate(page):
  before = page.evaluate('studio.propagation.ended')
  page.locator('#run').click()
  browsing.wait(
    page, '(n) => studio.propagation.ended > n', before, seconds=120
  )
  assert not page.locator('.toast.error').all_inner_texts()


def masks_of(page):
  """Returns what the page has found, uint8 [N, H, W]."""
  found = page.evaluate(
    """async () => {
      const address = new URL('page/js/server/api.js', document.baseURI);
      const { mask } = await import(address.href);
      const all = [];
      for (let i = 0; i < studio.model.count; i++) {
        all.push(Array.from(await mask(i)));
      }
      return all;
    }"""
  )
  return np.array(found, np.uint8).reshape(-1, *SIZE)


def config_of(trained):
  known = {field.name for field in dataclasses.fields(options.InferenceConfig)}
  evaluated = {k: v for k, v in trained.config['eval'].items() if k in known}
  return options.InferenceConfig(**evaluated | {'scales': (1.0,)})


def expected(trained, clip):
  """Returns the masks of both rounds of `test_masks_are_those_of_python`."""
  pictures, labels = clip
  shipped = checkpoints.find(checkpoints.DEFAULT).parent
  runtime = with_onnx.Onnx(with_onnx.read(shipped))
  tracker = tracker_lib.Tracker(runtime, None, config_of(trained))
  found = {MARKED: labels[MARKED]}
  for way in (range(MARKED - 1, -1, -1), range(MARKED + 1, COUNT)):
    tracker.start(pictures[MARKED], labels[MARKED], [1, 2])
    for i in way:
      found[i] = tracker.step(pictures[i])
  first = np.stack([found[i] for i in range(COUNT)])
  second = first.copy()
  drawn = np.where(labels[CORRECTED] == 2, labels[CORRECTED], 0)
  marks = marks_lib.of_labels({MARKED: labels[MARKED], CORRECTED: drawn})
  tracker.start(pictures[MARKED], labels[MARKED], [1, 2])
  for i in range(MARKED + 1, COUNT):
    second[i] = tracker.step(pictures[i])
    if i == CORRECTED:
      marks_lib.give(tracker, marks, i, pictures[i])
      second[i] = marks_lib.over(second[i], drawn, [2])
  return first, second


def differing(found, wanted):
  """Returns in how many pixels of each frame they differ."""
  return (found != wanted).sum(axis=(1, 2))


def test_masks_are_those_of_python(page, trained, clip, tmp_path):
  pictures, labels = clip
  opened(page, images(tmp_path, pictures))
  draw(page, MARKED, labels[MARKED], [1, 2])
  propagate(page)
  first, second = expected(trained, clip)
  differs = differing(masks_of(page), first)
  print(f'\npixels that differ, frame by frame: {differs}')
  assert differs.max() <= FEW
  # A later frame is corrected, and what comes behind it goes on from there.
  draw(page, CORRECTED, labels[CORRECTED], [2])
  assert page.evaluate('Array.from(studio.model.stale)')[CORRECTED + 1 :] == [1]
  propagate(page)
  differs = differing(masks_of(page), second)
  print(f'after a correction: {differs}')
  assert differs.max() <= FEW
  assert not np.array_equal(first[-1], second[-1])
  said = page.locator('#engine').inner_text()
  assert 'CPU (WebAssembly), ' in said
  assert 'headers' not in said  # They are sent: it has threads.

  # What a person takes away is what is seen.
  page.locator('#export').click()
  page.locator('#export-run').click()
  with page.expect_download() as download:
    page.locator('#downloads a').click()
  with zipfile.ZipFile(download.value.path()) as archive:
    assert archive.testzip() is None
    names = archive.namelist()
    read = [archive.read(name) for name in names]
  assert names == [f'masks/shot {i + 8}.png' for i in range(COUNT)]
  with Image.open(io.BytesIO(read[0])) as image:
    assert image.mode == 'P'
    assert image.getpalette() == masks_lib.pascal_palette().ravel().tolist()
  got = [np.asarray(Image.open(io.BytesIO(data))) for data in read]
  np.testing.assert_array_equal(got, masks_of(page))


@pytest.fixture(scope='module')
def video(clip, tmp_path_factory):
  path = tmp_path_factory.mktemp('video') / 'clip.mp4'
  times = [0.0, 0.04, 0.08, 0.2, 0.24]  # Not evenly.
  made_videos.write(path, clip[0], times)
  return str(path), times


@pytest.mark.parametrize('missing', ['', 'VideoDecoder'])
def test_frames_of_a_video(missing, browser, address, clip, video):
  """With WebCodecs, and by a video element where there is none."""
  path, times = video
  with browsing.window(browser, f'{address}/?engine=cpu') as page:
    page.add_init_script(f'delete window.{missing}' if missing else '')
    page.reload()
    opened(page, path)
    told = page.evaluate('studio.model.video')
    assert (told['frames'], told['width'], told['height']) == (COUNT, 128, 96)
    np.testing.assert_allclose(told['times'], times, atol=1e-3)
    for i in (0, 3, 2, 1, 4):  # Both ways.
      page.evaluate('(frame) => studio.seek(frame)', i)
      browsing.opened(page, i)
      rgba = page.evaluate('studio.pixels().then((all) => Array.from(all))')
      rgb = np.array(rgba, float).reshape(*SIZE, 4)[..., :3]
      far = [np.abs(rgb - other).mean() for other in clip[0]]
      assert np.argmin(far) == i
      assert far[i] < 6


def test_the_network_is_fetched_once(browser, address, clip, tmp_path):
  paths = images(tmp_path, clip[0][:2])
  with browsing.window(browser, f'{address}/?engine=cpu') as page:
    asked = []
    page.context.on('request', lambda request: asked.append(request.url))
    for _ in range(2):
      opened(page, paths)
      browsing.wait(
        page, "document.getElementById('engine').innerText.includes('Runs on')"
      )
      page.reload()
    names = [url.partition('?')[0].rpartition('/')[2] for url in asked]
  assert names.count('savos.safetensors') == names.count('step.onnx') == 1
  assert names.count('savos.json') == 2


def test_a_server_that_sends_no_headers(browser, site, clip, tmp_path):
  pictures, labels = clip
  with (
    web_site.served(site, headers=False) as address,
    browsing.window(browser, f'{address}/?engine=cpu') as page,
  ):
    opened(page, images(tmp_path, pictures[:2]))
    draw(page, 0, labels[0], [1, 2])
    propagate(page)
    said = page.locator('#engine').inner_text()
    assert masks_of(page)[1].any()
  assert '1 thread' in said
  assert 'sends no headers' in said


def test_a_folder_of_images(page, clip, tmp_path):
  folder = tmp_path / 'shots'
  folder.mkdir()
  images(folder, clip[0])
  (folder / 'notes.txt').write_text('nothing to see')
  devtools = page.context.new_cdp_session(page)
  data = {'items': [], 'files': [str(folder)], 'dragOperationsMask': 1}
  for kind in ('dragEnter', 'dragOver', 'drop'):
    devtools.send(
      'Input.dispatchDragEvent',
      {'type': kind, 'x': 400, 'y': 300, 'data': data},
    )
  browsing.opened(page, 0)
  assert page.evaluate('studio.model.count') == COUNT


def test_what_is_no_video_is_refused(page, tmp_path):
  path = tmp_path / 'notes.txt'
  path.write_text('nothing to see')
  page.locator('#file').set_input_files(str(path))
  toast = page.locator('.toast.error')
  toast.wait_for()
  assert 'notes.txt' in toast.inner_text()
  assert 'Expected a video' in toast.inner_text()
  assert page.locator('.drop').is_visible()


def test_a_gpu_can_run_all_of_it():
  """As far as ONNX Runtime tells which operators WebGPU has."""
  listed = web_site.webgpu_operators()
  assert len(listed) > 80
  for path in web_site.NETWORK:
    graph = onnx.load(path, load_external_data=False).graph
    used = {node.op_type for node in graph.node}
    # It is taken out when a graph is loaded.
    assert used - listed <= {'Identity'}, path


def _by_gpu_and_cpu(address):
  """Returns what each says it is, and its probabilities; None without a GPU.

  By a GPU that is a program: Chromium's SwiftShader.
  """
  software = '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'
  with (
    browsing.launched(*software) as browser,
    browsing.window(browser, f'{address}/?') as page,
  ):
    if not page.evaluate('navigator.gpu?.requestAdapter().then(Boolean)'):
      return None
    return page.evaluate(
      """async () => {
        const address = new URL('page/js/network/engine.js', document.baseURI);
        const { load } = await import(address.href);
        const size = { height: 64, width: 96 };
        const area = size.height * size.width;
        const frame = Float32Array.from({ length: 3 * area }, (_, i) =>
          (1 + Math.sin(i / 7) * Math.cos(i / 300)) / 2);
        const mask = Float32Array.from({ length: area }, (_, i) =>
          Number(i > area / 3 && i % 96 > 20 && i % 96 < 60));
        const all = [];
        for (const engine of ['gpu', 'cpu']) {
          const loaded = await load({ engine }, () => {});
          const { network } = loaded;
          const reference = await network.reference(frame, mask, size);
          const region = { top: 1, left: 2, rows: 6, columns: 10 };
          const p = await network.step(frame, mask, reference, size, region);
          all.push([loaded.engine, Array.from(p)]);
        }
        return all;
      }"""
    )


@pytest.mark.slow
def test_a_gpu_finds_what_the_cpu_finds(address):
  # In a thread of its own: another browser is open in this one.
  with futures.ThreadPoolExecutor(1) as pool:
    found = pool.submit(_by_gpu_and_cpu, address).result()
  if found is None:
    pytest.skip('this Chromium has no WebGPU')
  (gpu, one), (cpu, other) = found
  assert 'WebGPU' in gpu
  assert 'WebAssembly' in cpu
  assert np.ptp(other) > 0.3
  np.testing.assert_allclose(one, other, atol=1e-3)


# --- What its modules compute. -----------------------------------------------


@pytest.fixture(scope='module')
def modules(browser, address):
  """A page for all that only computes."""
  with browsing.window(browser, f'{address}/?') as page:
    yield page


def test_keys_change_where_the_studios_do(modules):
  """What is stale is told by `ways.js` as by `studio.chains`."""
  rng = np.random.default_rng(0)
  count, seen = 12, 0
  for _ in range(20):
    marks = {}
    for index in rng.choice(count, rng.integers(1, 5), replace=False):
      drawn = rng.integers(0, 4, (2, 3)).astype(np.uint8)
      named = rng.choice([1, 2, 3], rng.integers(1, 4), replace=False)
      marks[int(index)] = drawn, [int(i) for i in named]
    until = {i: int(rng.integers(count)) for i in (1, 2) if rng.random() < 0.4}
    told = {i: chains.told(*mark) for i, mark in marks.items()}
    for forwards in (True, False):
      way = chains.Way(told, until, forwards)
      wanted = [
        [e.index, e.begins, list(e.dropped), e.told and list(e.told.ids),
         e.told and list(e.told.absent)]
        for e in way.events
      ]  # fmt: skip
      events, keys, chain = run(
        modules,
        '../local/ways',
        """const [marks, until, forwards, count] = values;
        const told = new Map(marks.map(([index, labels, ids]) =>
          [index, m.toldOf(Uint8Array.from(labels), ids)]));
        const way = new m.Way(told, new Map(until), forwards);
        const frames = Array.from({ length: count }, (_, i) => i);
        return [
          way.events.map(({ index, begins, dropped, told }) =>
            [index, begins, dropped, told?.ids ?? null, told?.absent ?? null]),
          frames.map((i) => way.key(i)),
          frames.map((i) => way.chain(i).map(({ index }) => index)),
        ];""",
        [[i, mark.ravel().tolist(), ids] for i, (mark, ids) in marks.items()],
        list(until.items()),
        forwards,
        count,
      )
      assert events == wanted
      frames = range(count)
      assert chain == [[e.index for e in way.chain(i)] for i in frames]
      one, other = ([x.index(k) for k in x] for x in (
        keys, [way.key(i) for i in frames]
      ))  # fmt: skip
      assert one == other
      seen += len(wanted)
  assert seen > 50


def run(page, module, body, *values):
  """Runs a function's body, with a module's exports as `m`, on `values`."""
  return page.evaluate(
    f"""async (values) => {{
      const path = 'page/js/network/{module}.js';
      const m = await import(new URL(path, document.baseURI).href);
      const floats = (list) => Float32Array.from(list);
      {body}
    }}""",
    list(values),
  )


def blobs(count, height, width):
  """Returns smooth probabilities, float32 [count, height, width]."""
  y, x = np.mgrid[:height, :width].astype(np.float32)
  found = []
  for k in range(count):
    centre = (k + 1) * height / (count + 1), (k + 1) * width / (count + 1)
    far = np.hypot(y - centre[0], x - centre[1])
    found.append(1 / (1 + np.exp((far - height / 5) / 3)))
  return np.stack(found).astype(np.float32)


def sizes(height, width, **more):
  config = options.InferenceConfig(short_side=16, zoom=2.0, **more)
  return geometry.of((height, width), config)


def test_geometry(modules):
  shapes = [(96, 128), (480, 854), (1080, 1920), (1920, 1080), (250, 333)]
  shapes += [(240, 432), (31, 40)]
  for zoomed in (0.0, 2.0):
    config = options.InferenceConfig(short_side=256, zoom=zoomed)
    for shape in shapes:
      wanted = geometry.of(shape, config)
      found = run(
        modules,
        'geometry',
        """const [[height, width], zoom] = values;
        const how = { short_side: 256, zoom };
        return m.geometryOf({ height, width }, how);""",
        shape,
        zoomed,
      )
      assert (found['size']['height'], found['size']['width']) == wanted.size
      bottom, right = wanted.padding
      height, width = wanted.size
      padded = height + bottom, width + right
      assert (found['padded']['height'], found['padded']['width']) == padded
      view = wanted.views[0]
      seen = padded if view.plain else (view.height, view.width)
      assert (found['view']['height'], found['view']['width']) == seen


@pytest.mark.parametrize('shape', [(100, 140), (100, 31), (60, 50)])
def test_prepared(modules, shape):
  wanted = sizes(*shape)
  picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
  found = run(
    modules,
    'geometry',
    """const [data, [height, width]] = values;
    const how = { short_side: 16, zoom: 2 };
    const geometry = m.geometryOf({ height, width }, how);
    const given = { data: Uint8Array.from(data), height, width, channels: 3 };
    return Array.from(m.prepared(given, geometry).data);""",
    picture.ravel().tolist(),
    shape,
  )
  prepared = wanted.prepare(picture)
  found = np.array(found, int).reshape(prepared.shape)
  # Halves are rounded either way.
  assert np.abs(found - prepared.astype(int)).max() <= 1
  assert (found != prepared).mean() < 0.02


@pytest.mark.parametrize('stray', [0.0, 0.05])
def test_windows(modules, stray):
  wanted = sizes(70, 93)
  height, width = wanted.prepare(np.zeros((70, 93), np.uint8)).shape
  none = np.zeros((1, height, width), np.float32)
  masks = np.concatenate([blobs(3, height, width), none])
  how = zoom.Windows(2.0, 0.0, stray)
  boxes = zoom.windows(masks, np.asarray(wanted.size), how)
  found = run(
    modules,
    'windows',
    """const [masks, height, width, padded, stray] = values;
    const geometry = { size: { height, width }, padded };
    return masks.map((mask) =>
      m.windowOf(floats(mask), geometry, { zoom: 2, stray }));""",
    [mask.ravel().tolist() for mask in masks],
    *wanted.size,
    {'height': height, 'width': width},
    stray,
  )
  np.testing.assert_array_equal(np.array(found, np.float32), boxes)


@pytest.mark.parametrize('ratio', [0.0, 1.0, 1.5])
def test_focus(modules, ratio):
  view = 64, 96
  none = np.zeros((1, *view), np.float32)
  masks = np.concatenate([blobs(3, *view), none])
  found = run(
    modules,
    'focus',
    """const [masks, [height, width], ratio] = values;
    const view = { height, width };
    return masks.map((mask) => {
      const region = m.regionOf(floats(mask), view, ratio);
      const { top, left, rows, columns } = region;
      const part = new Float32Array(64 * rows * columns).fill(0.4);
      const placed = m.placed(part, region, view);
      const leaves = [m.leaves(part, region, view)];
      for (const index of [0, part.length - 1]) {
        const touched = part.slice();
        touched[index] = 0.6;
        leaves.push(m.leaves(touched, region, view));
      }
      return [[top, left, rows, columns], Array.from(placed), leaves];
    });""",
    [mask.ravel().tolist() for mask in masks],
    view,
    ratio,
  )
  cells = [side // focus.STRIDE for side in view]
  for (region, placed, leaves), mask in zip(found, masks, strict=True):
    box = focus.boxes(mask[None], ratio or 100.0)
    sides = np.minimum(box.side[0], cells).astype(int).tolist()
    begin = [
      int(focus.first(*each))
      for each in zip(box.middle[0], sides, cells, strict=True)
    ]
    assert region == [*begin, *sides]
    corner = [focus.STRIDE * first for first in begin]
    part = np.full([focus.STRIDE * n for n in sides], 0.4, np.float32)
    wanted = focus.placed(part, corner, view)
    np.testing.assert_array_equal(np.array(placed, np.float32), wanted.ravel())
    expected = [bool(focus.leaves(part, corner, view))]
    for index in (0, -1):
      touched = part.copy()
      touched.flat[index] = 0.6
      expected.append(bool(focus.leaves(touched, corner, view)))
    assert leaves == expected


BOXES = [[0.0, 0.0, 60.0, 80.0], [5.25, 15.5, 22.0, 29.5], [40, 50, 20, 30]]


def test_into_and_out_of_windows(modules):
  height, width = 60, 80
  picture = np.random.default_rng(1).random((height, width, 3), np.float32)
  for box in np.array(BOXES, np.float32):
    into = sight.into_windows(jnp.array(picture)[None], box[None], 32, 48)[0]
    found = run(
      modules,
      'resampling',
      """const [data, height, width, box] = values;
      const given = { data: floats(data), height, width, channels: 3 };
      return Array.from(m.intoWindow(given, box, 32, 48));""",
      picture.ravel().tolist(),
      height,
      width,
      box.tolist(),
    )
    found = np.array(found, np.float32).reshape(32, 48, 3)
    np.testing.assert_allclose(found, into, atol=2e-5)
    mask = blobs(1, 32, 48)
    back = sight.out_of_windows(jnp.array(mask), box[None], height, width)[0]
    found = run(
      modules,
      'resampling',
      """const [data, height, width, box] = values;
      const given = { data: floats(data), height: 32, width: 48, channels: 1 };
      return Array.from(m.outOfWindow(given, box, height, width));""",
      mask.ravel().tolist(),
      height,
      width,
      box.tolist(),
    )
    found = np.array(found, np.float32).reshape(height, width)
    np.testing.assert_allclose(found, back, atol=2e-5)
    assert np.array_equal(found == 0, np.asarray(back) == 0)


@pytest.mark.parametrize('mode', options.MODES)
@pytest.mark.parametrize('background', ['product', 'max'])
@pytest.mark.parametrize('count', [1, 3])
def test_aggregation(modules, mode, background, count):
  objects = blobs(count, 48, 64)
  objects[:, 0, 0] = 1  # Odds are not finite.
  objects[:, 0, 1] = 0
  wanted = aggregation.aggregate(objects, mode, background)
  found = run(
    modules,
    'aggregation',
    """const [objects, aggregation, background] = values;
    const how = { aggregation, background };
    const agreed = m.aggregate(objects.map(floats), how);
    const labels = Array.from(m.labelsOf(agreed, aggregation));
    const size = { height: 40, width: 50 };
    const geometry = { size, padded: { height: 48, width: 64 } };
    const sure = agreed.map((each) => m.confidence(each, geometry));
    return [agreed.map((each) => Array.from(each)), labels, sure];""",
    [each.ravel().tolist() for each in objects],
    mode,
    background,
  )
  agreed = np.array(found[0], np.float32).reshape(objects.shape)
  np.testing.assert_allclose(agreed, wanted, atol=1e-6)
  labels = np.array(found[1], np.uint8).reshape(objects.shape[1:])
  assert (labels != aggregation.labels(wanted, mode)).sum() <= 1
  sure = aggregation.confidence(wanted, np.array([40, 50]))
  np.testing.assert_allclose(found[2], sure, atol=1e-5)


@pytest.mark.parametrize('count', [1, 3])
def test_labels_at_the_size_of_the_video(modules, count):
  wanted = sizes(100, 140)
  assert wanted.size != wanted.shape
  objects = blobs(count, *wanted.size)
  labels = compiled.label(objects, 'softmax', wanted.labels_size)
  found = run(
    modules,
    'tracker',
    """const [objects, height, width] = values;
    const inference = { short_side: 16, zoom: 2, aggregation: 'softmax' };
    const told = { inference, frame: { mean: [0, 0, 0] } };
    const tracker = new m.Tracker(null, told, { height, width });
    tracker.objects = objects.map((_, k) => ({ id: k + 1 }));
    return Array.from(tracker.labels(objects.map(floats)));""",
    [each.ravel().tolist() for each in objects],
    *wanted.shape,
  )
  found = np.array(found, np.uint8).reshape(wanted.shape)
  assert found.max() == count
  # Of two that are equal to the last digit, either may be the more probable.
  assert (found != np.asarray(labels)).sum() <= 1


def test_a_frame_that_is_seen_as_it_is(modules):
  """Of a network without windows: padded with the mean colour."""
  mean = np.array([0.5, 0.25, 0.75], np.float32)
  rng = np.random.default_rng(0)
  picture = rng.integers(0, 256, (40, 50, 3), np.uint8)
  mask = (picture[..., 0] > 99).astype(np.float32)
  frame, seen = run(
    modules,
    'tracker',
    """const [rgba, mean, mask, height, width] = values;
    const inference = { short_side: 0, zoom: 0, aggregation: 'softmax' };
    const told = { inference, frame: { mean } };
    const tracker = new m.Tracker(null, told, { height, width });
    tracker.see(Uint8ClampedArray.from(rgba));
    return tracker.look(floats(mask), null).map((each) => Array.from(each));""",
    np.dstack([picture, np.full((40, 50), 255)]).ravel().tolist(),
    mean.tolist(),
    np.pad(mask, ((0, 24), (0, 14)), constant_values=1).ravel().tolist(),
    40,
    50,
  )
  wanted = np.broadcast_to(mean, (64, 64, 3)).copy()
  wanted[:40, :50] = picture / np.float32(255)
  found = np.array(frame, np.float32).reshape(64, 64, 3)
  np.testing.assert_allclose(found, wanted, atol=1e-7)
  wanted = np.pad(mask, ((0, 24), (0, 14)))
  np.testing.assert_array_equal(np.reshape(seen, (64, 64)), wanted)
