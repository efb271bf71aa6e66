"""A project of the studio: plain files, that open again where they were."""

import csv
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from savos_jax import network
from savos_jax.datasets import masks
from savos_jax.foundation import errors
from savos_jax.studio import project as project_lib
from savos_jax.tools import segment
from tests import studio_projects as projects

ROOT = pathlib.Path(__file__).parents[1]


def marked(session):
  """Marks and computes something."""
  for name in ('a cat', None):
    session.project.add_object(name, None)
  session.mark(0, projects.drawn(0, 1), (1,))
  session.mark(4, projects.drawn(4, 2), (1, 2))
  session.project.change_object(2, {'until': 8, 'color': '#00FF7f'})
  session.propagate('forward', 0, 6)
  assert projects.wait(session)['state'] == 'done'


def shown(session):
  """Returns all that a page is told, and all masks."""
  view = session.view()
  del view['video']['kept']
  found = [session.results.labels(i) for i in range(projects.FRAMES)]
  return view, [None if each is None else each.tobytes() for each in found]


def test_it_opens_again_where_it_was(clip, tmp_path):
  folder = tmp_path / 'project'
  with projects.opened(folder, clip) as session:
    marked(session)
    before = shown(session)
  told = json.loads((folder / 'project.json').read_text())
  assert told['version'] == 1
  assert told['marks'] == {'0': [1], '4': [1, 2]}
  assert told['objects'][1] == {
    'id': 2, 'name': 'object 2', 'color': '#00ff7f', 'until': 8,
  }  # fmt: skip
  assert told['video']['path'] == str(clip)
  for video in (None, clip):
    with projects.opened(folder, video) as session:
      assert shown(session) == before
  assert before[0]['computed'] == [[0, 6]]
  assert before[0]['objects'][0]['name'] == 'a cat'
  assert before[0]['marks'] == {'0': [1], '4': [1, 2]}
  with (folder / 'confidence.csv').open() as file:
    rows = list(csv.DictReader(file))
  assert [row['frame'] for row in rows if row['object'] == '1'] == [
    str(i) for i in range(7)
  ]
  assert sorted(path.name for path in (folder / 'masks').iterdir()) == [
    f'{i:05d}.png' for i in range(7)
  ]


def test_a_mark_may_be_added_and_taken_by_hand(clip, tmp_path):
  folder = tmp_path / 'project'
  with projects.opened(folder, clip) as session:
    marked(session)
  (folder / 'marks' / '00000.png').unlink()
  (folder / 'marks' / 'notes.png').write_bytes(b'no mark')
  masks.write_mask(folder / 'marks' / '00003.png', 5 * projects.drawn(3, 1))
  with projects.opened(folder, clip) as session:
    assert session.marked()['marks'] == {'3': [5], '4': [1, 2]}
    assert session.project.object(5).name == 'object 5'
    assert 5 in session.results.labels(3)
    assert session.results.labels(0) is None
    # A number that was given once is not given again.
    session.remove_object(5)
    assert session.project.add_object(None, None).id == 6
  assert (folder / 'marks' / 'notes.png').read_bytes() == b'no mark'


def test_a_removed_object_is_in_no_mark_and_no_mask(clip, tmp_path):
  with projects.opened(tmp_path / 'project', clip) as session:
    marked(session)
    session.remove_object(1)
    assert session.marked()['marks'] == {'4': [2]}
    for index in range(7):
      found = session.results.labels(index)
      assert found is None or 1 not in found
    stored = masks.read_mask(session.project.mark_path(4))
    np.testing.assert_array_equal(np.unique(stored), (0, 2))
    assert not (session.project.folder / 'marks' / '00000.png').exists()


@pytest.mark.parametrize(
  ('change', 'said'),
  [
    (lambda told: 'no json', 'no JSON'),
    (lambda told: told[: len(told) // 2], 'no JSON'),
    (lambda told: '[]', r'it is \[\]'),
    (lambda told: '{"version": "1"}', 'version is'),
    (lambda told: '{"version": 1}', 'has no'),
    (lambda told: told.replace('"version": 1', '"version": 2'), 'version 2'),
    (lambda told: told.replace('"id": 1,', '"id": 255,'), 'object 255'),
    (lambda told: told.replace('#', 'x'), 'color'),
  ],
)
def test_what_is_damaged_or_of_another_version_is_told(
  clip, tmp_path, change, said
):
  folder = tmp_path / 'project'
  with projects.opened(folder, clip) as session:
    session.project.add_object(None, None)
  path = folder / 'project.json'
  path.write_text(change(path.read_text()))
  changed = path.read_text()
  with (
    pytest.raises(errors.SavosError, match=f'(?s){said}.*\n  Expected'),
    projects.opened(folder, clip),
  ):
    pass
  assert path.read_text() == changed


def test_a_video_that_is_elsewhere_or_changed_is_told(clip, tmp_path):
  folder, video = tmp_path / 'project', tmp_path / 'mine.mp4'
  shutil.copy(clip, video)
  with projects.opened(folder, video) as session:
    marked(session)
  moved = video.rename(tmp_path / 'moved.mp4')
  with (
    pytest.raises(errors.SavosError, match='no such file: the video of'),
    projects.opened(folder, None),
  ):
    pass
  with projects.opened(folder, moved) as session:
    assert session.project.told
  with projects.opened(folder, None) as session:
    assert session.project.opened.path == moved
  data = bytearray(moved.read_bytes())
  data[-1] ^= 1
  moved.write_bytes(data)
  for asked in (None, moved):
    with (
      pytest.raises(errors.SavosError, match='another video than that of'),
      projects.opened(folder, asked),
    ):
      pass


def test_images_of_a_folder_keep_their_names(clip, tmp_path):
  from savos_jax.pictures import overlay
  from savos_jax.video import sources

  images = tmp_path / 'images'
  for index, image in enumerate(sources.open_video(clip).frames()):
    overlay.write_png(images / f'shot_{index + 7}.png', image)
  with projects.opened(tmp_path / 'project', images) as session:
    marked(session)
    assert session.view()['video']['fps'] is None
  names = sorted(p.name for p in (tmp_path / 'project' / 'marks').iterdir())
  assert names == ['shot_11.png', 'shot_7.png']
  with projects.opened(tmp_path / 'project', None) as session:
    assert session.marked()['marks'] == {'0': [1], '4': [1, 2]}
  (images / 'shot_9.png').unlink()
  with (
    pytest.raises(errors.SavosError, match='another video'),
    projects.opened(tmp_path / 'project', None),
  ):
    pass


def test_files_of_others_are_neither_replaced_nor_removed(clip, tmp_path):
  folder = tmp_path / 'project'
  with projects.opened(folder, clip) as session:
    marked(session)
    mine = {
      folder / 'marks' / '00004.png': projects.png(projects.drawn(0, 2)),
      folder / 'masks' / '00002.png': projects.png(projects.drawn(0, 1)),
      folder / 'masks' / 'mine.png': b'mine',
      folder / 'exports' / 'davis' / 'mine.txt': b'mine',
      folder / 'exports' / 'overlay.mp4': b'mine',
    }
    for path, content in mine.items():
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_bytes(content)
    with pytest.raises(errors.SavosError, match='did not write'):
      session.mark(4, projects.drawn(4, 1), (1,))
    with pytest.raises(errors.SavosError, match='did not write'):
      session.unmark(4)
    session.export(['davis', 'overlay'], None, None)
    told = projects.wait(session)
    assert told['state'] == 'failed'
    assert 'did not write' in told['error']
    session.export(['davis'], None, None)
    assert projects.wait(session)['state'] == 'done'
  with projects.opened(folder, clip):
    pass
  assert {path: path.read_bytes() for path in mine} == mine


def test_a_video_that_was_sent_is_a_copy_in_the_project(clip, tmp_path):
  folder = tmp_path / 'project'
  with (
    projects.opened(folder, None) as session,
    projects.client(session) as browser,
    browser.websocket_connect(
      f'ws://127.0.0.1:{projects.PORT}/api/events'
    ) as socket,
  ):
    assert socket.receive_json()['video'] is None
    assert browser.get('/api/frames/0.jpg').status_code == 400
    answer = browser.put('/api/marks/0', content=b'')
    assert 'Expected one: drop it on the page' in answer.json()['error']
    content = clip.read_bytes()
    answer = browser.post('/api/video?name=mine.mp4', content=content)
    assert answer.status_code == 200, answer.text
    told = []
    while not told or told[-1].get('state') != 'done':
      told.append(socket.receive_json())
    uploads = [t for t in told if t.get('kind') == 'upload']
    assert uploads[0]['total'] == len(content)
    assert uploads[-1]['done'] == len(content)
    assert browser.get('/api/frames/9.jpg').status_code == 200
  assert (folder / 'video' / 'mine.mp4').read_bytes() == content
  told = json.loads((folder / 'project.json').read_text())
  assert told['video']['path'] == 'video/mine.mp4'
  moved = folder.rename(tmp_path / 'elsewhere')
  with projects.opened(moved, None) as session:
    assert session.project.count == projects.FRAMES


def test_two_at_one_project_are_refused(clip, tmp_path):
  with projects.opened(tmp_path / 'project', clip):
    code = (
      'import sys, pathlib\n'
      'from savos_jax.foundation import files\n'
      'with files.claimed(pathlib.Path(sys.argv[1])): pass\n'
    )
    other = subprocess.run(
      [sys.executable, '-c', code, str(tmp_path / 'project')],
      capture_output=True, text=True,
    )  # fmt: skip
  assert 'another process is using it' in other.stderr


def test_a_kill_between_a_mark_and_its_note_loses_nothing(
  clip, tmp_path, monkeypatch
):
  folder = tmp_path / 'project'
  with projects.opened(folder, clip) as session:
    session.project.add_object(None, None)
    monkeypatch.setattr(project_lib.Project, 'save', lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
      session.mark(2, projects.drawn(2, 1), (1,))
    monkeypatch.undo()
  with projects.opened(folder, clip) as session:
    assert session.marked()['marks'] == {'2': [1]}
    np.testing.assert_array_equal(
      session.results.labels(2), projects.drawn(2, 1)
    )


# --- With the programs. ------------------------------------------------------

LONG = 90


@pytest.fixture(scope='module')
def long(tmp_path_factory):
  """A longer video, and a network in a file."""
  folder = tmp_path_factory.mktemp('long')
  projects.clip(folder / 'clip.mp4', LONG)
  trained = network.Trained(projects.MODEL, projects.params(), 7, False, {})
  network.write(folder / 'savos.safetensors', trained)
  return folder


class Program:
  """The studio in a process of its own."""

  def __init__(self, long, out):
    self._process = subprocess.Popen(
      [
        sys.executable, '-m', 'savos_jax.tools.studio',
        str(long / 'clip.mp4'), f'--out={out}', '--no-browser',
        f'--checkpoint={long / "savos.safetensors"}',
      ],
      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
    )  # fmt: skip
    for line in self._process.stdout:
      if found := re.search(r'http://(\S+?)(/\?token=\S+)', line):
        break
    self._host = found[1]
    self._headers = {'Origin': f'http://{self._host}'}
    answer = self._ask('GET', found[2])
    cookie = answer.getheader('set-cookie')
    self._headers['Cookie'] = cookie.partition(';')[0]

  def _ask(self, method, path, body=None):
    connection = http.client.HTTPConnection(self._host)
    connection.request(method, path, body, self._headers)
    answer = connection.getresponse()
    self.said = answer.read()
    connection.close()
    return answer

  def ask(self, method, path, told=None):
    body = told if isinstance(told, bytes) else json.dumps(told or {}).encode()
    answer = self._ask(method, path, None if method == 'GET' else body)
    assert answer.status == 200, self.said
    return json.loads(self.said) if self.said[:1] in b'{n' else self.said

  def computed(self):
    told = self.ask('GET', '/api/project')
    count = sum(last - first + 1 for first, last in told['computed'])
    return count, told['job']

  def wait(self, count):
    end = time.monotonic() + 120
    while self.computed()[0] < count:
      assert time.monotonic() < end
      time.sleep(0.02)

  def end(self, number):
    self._process.send_signal(number)
    said, _ = self._process.communicate(timeout=60)
    return self._process.returncode, said


def test_killed_ended_and_gone_on_it_makes_what_the_command_line_makes(
  long, tmp_path
):
  out = tmp_path / 'project'
  program = Program(long, out)
  program.ask('POST', '/api/objects', {'name': 'square'})
  program.ask('POST', '/api/objects')
  for index, ids in ((3, (1, 2)), (80, (2,))):
    mark = projects.png(projects.drawn(index, *ids))
    program.ask('PUT', f'/api/marks/{index}', mark)
  both = {'direction': 'both', 'from': 3}
  program.ask('POST', '/api/propagate', both)
  program.wait(10)
  program.end(signal.SIGKILL)
  program = Program(long, out)
  done, job = program.computed()
  assert 10 <= done < LONG
  assert job is None
  program.ask('POST', '/api/propagate', both)
  program.wait(done + 5)
  status, said = program.end(signal.SIGINT)
  assert (status, 'Traceback' in said) == (0, False), said
  program = Program(long, out)
  assert done + 5 <= program.computed()[0] < LONG
  program.ask('POST', '/api/propagate', both)
  program.wait(LONG)
  assert program.ask('GET', '/api/project')['stale'] == []
  assert program.end(signal.SIGTERM)[0] in (0, -signal.SIGTERM)
  segment.main([
    f'--video={long / "clip.mp4"}', '--mask', str(out / 'marks'),
    f'--checkpoint={long / "savos.safetensors"}', '--direction=both',
    f'--out={tmp_path / "segment"}', '--no-overlay',
  ])  # fmt: skip
  for index in range(LONG):
    name = f'{index:05d}.png'
    np.testing.assert_array_equal(
      masks.read_mask(out / 'masks' / name),
      masks.read_mask(tmp_path / 'segment' / 'masks' / name),
      err_msg=name,
    )
  assert not list(out.rglob('*.part*'))
  assert os.path.getsize(out / 'confidence.csv') > LONG
