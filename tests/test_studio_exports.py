"""What the studio makes for others, and how it is fetched."""

import io
import json
import zipfile

import cv2
import numpy as np
import pytest

from savos_jax.annotations import formats
from savos_jax.datasets import masks
from savos_jax.studio import exports
from savos_jax.studio import jobs
from savos_jax.video import sources
from tests import studio_projects as projects


@pytest.fixture
def session(clip, tmp_path):
  with projects.opened(tmp_path / 'project', clip) as session:
    session.project.add_object('a cat', None)
    session.project.add_object('a dog', None)
    for index in range(2, 8):
      session.mark(index, projects.drawn(index, 1, 2), None)
    session.unmark(5)
    yield session


def export(session, *names, first=None, last=None, state='done'):
  session.export(list(names), first, last)
  found = projects.wait(session)
  assert found['state'] == state, found
  return found


def test_every_format_is_written_and_fetched(session):
  told = export(session, *exports.NAMES)
  assert told['files'] == [exports.made(name) for name in exports.NAMES]
  assert told['note'].startswith('1 of 6 frames have no mask')
  with projects.client(session) as browser:
    for name in told['files']:
      for asked in (name, f'{name}.zip'):
        answer = browser.get(f'/api/exports/{asked}')
        assert answer.status_code == 200
        if name not in formats.FORMATS and name not in ('davis', 'cutout'):
          path = session.project.folder / 'exports' / name
          assert answer.content == path.read_bytes()
          continue
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
          assert archive.testzip() is None
          assert all(n.startswith(f'{name}/') for n in archive.namelist())
          assert archive.namelist()
    answer = browser.get('/api/exports/coco')
  with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
    (name,) = archive.namelist()
    coco = json.loads(archive.read(name))
  assert [c['name'] for c in coco['categories']] == ['a cat', 'a dog']
  assert len(coco['annotations']) == 10


def test_the_davis_folder_and_the_films_are_of_the_masks(session, clip):
  export(session, 'davis', 'overlay', 'cutout')
  folder = session.project.folder / 'exports'
  found = sorted((folder / 'davis').iterdir())
  assert [path.stem for path in found] == [f'{i:05d}' for i in range(2, 8)]
  for path in found:
    index = int(path.stem)
    expected = projects.drawn(index, 1, 2) * (index != 5)
    np.testing.assert_array_equal(masks.read_mask(path), expected)
    alpha = cv2.imread(str(folder / 'cutout' / path.name), -1)[..., 3]
    np.testing.assert_array_equal(alpha > 0, expected > 0)
  film = sources.open_video(folder / 'overlay.mp4')
  assert film.count() == 6
  plain = list(sources.open_video(clip).frames())[2:8]
  for number, image in enumerate(film.frames()):
    inside = projects.drawn(number + 2, 2) > 0
    far = np.abs(image.astype(int) - plain[number])[inside].mean()
    assert (far > 20) == (number != 3)


def test_the_film_has_the_colours_of_the_page(session):
  session.project.change_object(2, {'color': '#00ff00'})
  export(session, 'overlay')
  film = sources.open_video(session.project.folder / 'exports' / 'overlay.mp4')
  inside = film.frame(0)[34:42, 33:47].reshape(-1, 3).mean(axis=0)
  assert inside[1] > inside[0] + 80
  assert inside[1] > inside[2] + 80


def test_another_export_replaces_what_was_there(session):
  folder = session.project.folder / 'exports'
  export(session, 'davis', 'labelme', 'cutout')
  export(session, 'davis', 'labelme', 'cutout', first=3, last=4)
  for name, count in (('davis', 2), ('labelme', 4), ('cutout', 2)):
    assert len(list((folder / name).iterdir())) == count


def test_an_export_is_stopped(session, monkeypatch):
  check, checks = jobs.Job.check, []

  def stop_soon(job):
    checks.append(1)
    if len(checks) == 3:
      job.stop()
    check(job)

  monkeypatch.setattr(jobs.Job, 'check', stop_soon)
  export(session, 'davis', 'overlay', state='stopped')
  assert not (session.project.folder / 'exports' / 'overlay.mp4').exists()
  export(session, 'overlay')


def test_nothing_else_is_fetched(session):
  with projects.client(session) as browser:
    assert browser.get('/api/exports/davis').status_code == 404
    assert browser.get('/api/exports/overlay.mp4').status_code == 404
    folder = session.project.folder / 'exports'
    folder.mkdir()
    (folder / 'other.txt').write_text('other')
    assert browser.get('/api/exports/other.txt').status_code == 404
    (folder / 'overlay.mp4').symlink_to(folder / 'other.txt')
    (folder / 'davis').symlink_to(folder.parent)
    assert browser.get('/api/exports/overlay.mp4').status_code == 404
    assert browser.get('/api/exports/davis').status_code == 404
    answer = browser.post('/api/export', json={'formats': ['no such']})
    assert answer.status_code == 400
    assert 'davis, overlay' in answer.json()['error']
    answer = browser.post('/api/export', json={'formats': []})
    assert answer.status_code == 400
