"""What was traced once is read by every later process, if nothing changed."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from savos_jax.foundation import compilation_cache
from savos_jax.inference import compiled
from savos_jax.inference import options
from savos_jax.inference import traces
from savos_jax.inference import tracker as tracker_lib
from savos_jax.inference import with_jax
from tests import compilations
from tests import tiny_resnets
from tests import tiny_videos


@pytest.fixture
def folder(tmp_path, monkeypatch):
  """The folder where traces are kept."""
  monkeypatch.setattr(compilation_cache, '_folder', tmp_path)
  return tmp_path / 'traces'


@pytest.fixture
def process():
  """Calls a function as a process of its own does; counts the tracings."""
  traced = []

  def scaled(model, x, *, times=2):
    traced.append(model)
    return {'found': model * x * times}

  def call(x, model=3, **static):
    names = ('model', *static)
    jitted = jax.jit(traces.kept(scaled), static_argnames=names)
    return jitted(model, x, **static)['found'].tolist()

  call.traced = traced
  return call


def test_another_process_traces_nothing(folder, process):
  assert process(jnp.ones(2)) == process(jnp.ones(2)) == [6.0, 6.0]
  assert len(process.traced) == len(list(folder.iterdir())) == 1


def test_what_a_trace_depends_on_makes_another(folder, process, monkeypatch):
  assert process(jnp.ones(2)) == [6.0, 6.0]
  assert process(jnp.ones(2), model=4) == [8.0, 8.0]
  assert process(jnp.ones(2), times=5) == [15.0, 15.0]
  assert process(jnp.ones(3)) == [6.0, 6.0, 6.0]
  assert process(jnp.ones(2, jnp.int32)) == [6, 6]
  with monkeypatch.context() as changed:
    changed.setattr(traces, '_sources', lambda: b'other')
    assert process(jnp.ones(2)) == [6.0, 6.0]
  monkeypatch.setattr(traces.processor, 'has_avx512', lambda: 'other')
  assert process(jnp.ones(2)) == [6.0, 6.0]
  assert len(process.traced) == len(list(folder.iterdir())) == 7


@pytest.mark.parametrize('damage', [lambda x: x[:-9], lambda x: b'', None])
def test_a_damaged_file_is_made_again(folder, process, damage):
  process(jnp.ones(2))
  (path,) = folder.iterdir()
  whole = path.read_bytes()
  if damage:
    path.write_bytes(damage(whole))
  else:
    path.unlink()
  assert process(jnp.ones(2)) == [6.0, 6.0]
  assert len(process.traced) == 2
  process(jnp.ones(2))
  assert len(process.traced) == 2


def test_without_what_writes_them_nothing_is_kept(folder, process, monkeypatch):
  """JAX installs no flatbuffers, which its export needs."""
  monkeypatch.setattr(traces, '_writable', lambda: False)
  assert process(jnp.ones(2)) == process(jnp.ones(2)) == [6.0, 6.0]
  assert len(process.traced) == 2
  assert not folder.exists()


def test_no_place_to_write_is_no_error(folder, process):
  folder.write_text('in the way')
  assert process(jnp.ones(2)) == [6.0, 6.0]


def test_nothing_is_kept_unasked(tmp_path, process, monkeypatch):
  monkeypatch.setattr(compilation_cache, '_folder', None)
  assert process(jnp.ones(2)) == process(jnp.ones(2)) == [6.0, 6.0]
  assert len(process.traced) == 2


@pytest.mark.parametrize(
  ('config', 'kept'),
  [
    ({'zoom': 1.5, 'short_side': 32}, True),
    ({'memory_frames': 2}, False),
    ({'aggregation': 'softmax', 'background': 'merged', 'chunk': 2}, True),
  ],
)
def test_what_is_compiled_ahead_is_used(tmp_path, monkeypatch, config, kept):
  """And what was kept and read finds what the functions themselves do."""
  # Functions of their own, so that no other test has compiled them.
  again = {
    name: type(function)(function.__wrapped__, static_argnames=names)
    for name, function, names in (
      ('step', compiled.step, compiled._STATIC),
      ('encode_references', compiled.encode_references, compiled._SEEING),
    )
  }
  (tmp_path / 'video').mkdir()
  video = tiny_videos.write(tmp_path / 'video')
  params = tiny_resnets.looking_back_params()
  config = options.InferenceConfig(**config)

  def run(params, tracker):
    tracker.start(video.frame(0), video.labels(0), video.object_ids)
    if tracker._ahead:
      tracker._ahead.join()
    with compilations.heard() as names:
      found = [tracker.step(video.frame(index)) for index in (1, 2)]
    return found, names

  make = functools.partial(
    tracker_lib.Tracker, tiny_resnets.LOOKING_BACK, config=config
  )
  monkeypatch.setattr(compilation_cache, '_folder', None)
  expected, _ = run(params, make(params))
  monkeypatch.setattr(compilation_cache, '_folder', tmp_path if kept else None)
  monkeypatch.setattr(tracker_lib, '_compiled_ahead', set())
  for name, function in again.items():
    monkeypatch.setattr(compiled, name, function)
  compiled.segment.clear_cache()
  tracker = make(with_jax.placed_params(params))
  tracker.compile_ahead(video.height, video.width, len(video.object_ids))
  found, after = run(params, tracker)
  np.testing.assert_array_equal(found, expected)
  assert not {'one_step', 'probabilities'} & {*after}
  assert kept == (tmp_path / 'traces').exists()
