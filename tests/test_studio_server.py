"""What the studio's page asks, and what it is answered."""

import numpy as np
import pytest

from savos_jax.video import sources
from tests import studio_projects as projects

EVENTS = f'ws://127.0.0.1:{projects.PORT}/api/events'


@pytest.fixture
def browser(session):
  with projects.client(session) as browser:
    yield browser


def told(browser, method, path, **more):
  answer = browser.request(method, path, **more)
  assert answer.status_code == 200, answer.text
  return answer.json()


def put(browser, index, *ids, query=''):
  content = projects.png(projects.drawn(index, *ids))
  return told(browser, 'PUT', f'/api/marks/{index}{query}', content=content)


def mask(browser, index):
  return projects.labels_of(browser.get(f'/api/masks/{index}.png'))


def test_from_a_mark_to_masks(browser, session):
  view = told(browser, 'GET', '/api/project')
  assert view['video'] | {'kept': 0} == {
    'name': 'clip.mp4', 'frames': 10, 'width': 64, 'height': 48, 'fps': 25.0,
    'pixel_aspect': 1.0, 'kept': 0,
  }  # fmt: skip
  assert view['objects'] == []
  made = told(browser, 'POST', '/api/objects', json={'name': 'cat'})
  assert made == {'id': 1, 'name': 'cat', 'color': '#ee3377', 'until': None}
  assert mask(browser, 0) is None
  with browser.websocket_connect(EVENTS) as socket:
    assert socket.receive_json()['type'] == 'project'
    answer = put(browser, 0, 1)
    assert answer == {'marks': {'0': [1]}, 'computed': [], 'stale': []}
    assert socket.receive_json() == {'type': 'marks', **answer}
    asked = {'direction': 'forward', 'from': 0, 'to': None}
    job = told(browser, 'POST', '/api/propagate', json=asked)
    assert (job['kind'], job['state']) == ('propagate', 'running')
    heard = []
    while not heard or heard[-1].get('state') != 'done':
      heard.append(socket.receive_json())
  frames = [each['frame'] for each in heard if each['type'] == 'frame']
  assert frames == list(range(10))
  assert heard[-1]['done'] == heard[-1]['total'] == 10
  view = told(browser, 'GET', '/api/project')
  assert view['computed'] == [[0, 9]]
  assert view['confidence']['1'][0] == [0, 1.0]
  assert len(view['confidence']['1']) == 10
  np.testing.assert_array_equal(mask(browser, 0), projects.drawn(0, 1))
  answer = put(browser, 4, 1)
  assert answer['stale'] == [[5, 9]]
  np.testing.assert_array_equal(mask(browser, 4), projects.drawn(4, 1))
  answer = told(browser, 'DELETE', '/api/marks/4')
  assert answer == {'marks': {'0': [1]}, 'computed': [[0, 9]], 'stale': []}


def test_a_mark_tells_of_the_objects_that_are_named(browser, session):
  for _ in range(2):
    told(browser, 'POST', '/api/objects')
  assert put(browser, 0, 1, 2)['marks'] == {'0': [1, 2]}
  # What is drawn of others is what was found: it is no mark.
  assert put(browser, 1, 1, 2, query='?objects=2')['marks']['1'] == [2]
  np.testing.assert_array_equal(mask(browser, 1), projects.drawn(1, 2))
  assert put(browser, 2, 2, query='?objects=1,2')['marks']['2'] == [1, 2]
  assert session.project.told[2].absent == (1,)


def test_a_frame_is_sent_once(browser, clip):
  answer = browser.get('/api/frames/3.jpg')
  assert answer.headers['content-type'] == 'image/jpeg'
  found = projects.picture_of(answer)
  image = sources.open_video(clip).frame(3)
  assert np.abs(found.astype(int) - image).mean() < 6
  tag = {'if-none-match': answer.headers['etag']}
  assert browser.get('/api/frames/3.jpg', headers=tag).status_code == 304
  answer = browser.get('/api/frames/3.jpg?width=32', headers=tag)
  assert projects.picture_of(answer).shape == (24, 32, 3)


def test_a_box_snaps_to_the_object(browser):
  asked = {'frame': 0, 'box': [2, 7, 28, 33], 'inside': [[15, 20]]}
  answer = browser.post('/api/snap', json=asked)
  found = projects.labels_of(answer)
  assert set(np.unique(found)) == {0, 255}
  expected = projects.drawn(0, 1) > 0
  both = (found > 0) & expected
  assert both.sum() > 0.9 * ((found > 0) | expected).sum()


def test_objects_are_changed_and_removed(browser, session):
  for _ in range(2):
    told(browser, 'POST', '/api/objects')
  put(browser, 0, 1, 2)
  changes = {'name': ' dog ', 'color': '#ABCDEF', 'until': 5}
  made = told(browser, 'PATCH', '/api/objects/2', json=changes)
  assert made == {'id': 2, 'name': 'dog', 'color': '#abcdef', 'until': 5}
  made = told(browser, 'PATCH', '/api/objects/2', json={'until': None})
  assert made['until'] is None
  answer = told(browser, 'DELETE', '/api/objects/2')
  assert answer['marks'] == {'0': [1]}
  np.testing.assert_array_equal(mask(browser, 0), projects.drawn(0, 1))
  assert told(browser, 'POST', '/api/objects')['id'] == 3


def test_stop_is_answered_with_nothing_to_stop(browser):
  assert told(browser, 'POST', '/api/stop') is None


def test_a_failure_of_the_network_is_told(browser, session, monkeypatch):
  told(browser, 'POST', '/api/objects')
  put(browser, 0, 1)

  def fails():
    raise RuntimeError('no such luck')

  monkeypatch.setattr(session, '_load', fails)
  asked = {'direction': 'forward', 'from': 0}
  told(browser, 'POST', '/api/propagate', json=asked)
  found = projects.wait(session)
  assert found['state'] == 'failed'
  assert 'no such luck' in found['error']
  assert told(browser, 'GET', '/api/project')['job'] is None


def test_a_page_that_has_gone_waits_for_nothing(session):
  with projects.client(session) as browser:
    with browser.websocket_connect(EVENTS) as socket:
      socket.receive_json()
    session.hub.tell({'type': 'kept', 'done': 1, 'total': 2})
    with browser.websocket_connect(EVENTS) as socket:
      assert socket.receive_json()['type'] == 'project'
      session.hub.end()
      assert socket.receive()['code'] == 1012
