"""Nobody but the person drives the studio, and not to where it should not."""

import contextlib
import http.client
import json
import pathlib
import re
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
from starlette import testclient
from starlette import websockets

from savos_jax.studio import access
from savos_jax.studio import server
from tests import studio_projects as projects

HERE = f'ws://127.0.0.1:{projects.PORT}'


@pytest.fixture
def browser(session):
  with projects.client(session) as browser:
    yield browser


@pytest.fixture
def empty(tmp_path):
  """A browser at a project without a video, of small bounds."""
  with (
    projects.opened(tmp_path / 'empty', None, most_video=100_000) as session,
    projects.client(session) as browser,
  ):
    yield browser


PATHS = (
  '/', '/page/studio.css', '/api/project', '/api/frames/0.jpg',
  '/api/masks/0.png', '/api/exports/davis',
)  # fmt: skip


def test_nothing_is_shown_without_the_token(session):
  with projects.client(session, enters=False) as browser:
    for path in PATHS:
      assert browser.get(path).status_code == 403, path
    for token in ('', 'x', projects.TOKEN[:-1], projects.TOKEN + 'x', 'é'):
      assert browser.get('/', params={'token': token}).status_code == 403
    cookie = {'cookie': f'savos_studio_{projects.PORT}={projects.TOKEN[:-1]}'}
    assert browser.get('/api/project', headers=cookie).status_code == 403
    # Of the page alone: no other address takes it.
    answer = browser.get(f'/api/project?token={projects.TOKEN}')
    assert answer.status_code == 403
    assert 'the address that the program printed' in answer.json()['error']


def test_the_token_leaves_the_address_bar_for_a_cookie(session):
  with projects.client(session, enters=False) as browser:
    answer = browser.get(f'/?token={projects.TOKEN}')
    assert answer.status_code == 303
    assert answer.headers['location'] == '/'
    cookie = answer.headers['set-cookie']
    assert 'HttpOnly' in cookie
    assert 'SameSite=Strict' in cookie
    assert browser.get('/api/project').status_code == 200


def test_what_the_browser_is_started_with_lets_in_once(session):
  app = server.app(session)
  once = 'for-once'
  guard = access.Guard(app, projects.TOKEN, '127.0.0.1', projects.PORT, once)
  client = testclient.TestClient(guard, projects.HOME, follow_redirects=False)
  with client as browser:
    assert browser.get('/?token=').status_code == 403
    assert browser.get(f'/?token={once}').status_code == 303
    assert browser.get('/api/project').status_code == 200
    browser.cookies.clear()
    assert browser.get(f'/?token={once}').status_code == 403
    assert browser.get('/?token=').status_code == 403
    for _ in range(2):
      answer = browser.get(f'/?token={projects.TOKEN}')
      assert answer.status_code == 303


def test_cookies_of_other_servers_hide_nothing(session):
  with projects.client(session, enters=False) as browser:
    cookies = (
      f'a={{"b": [1, 2]}}; =; ;;x y; savos_studio_{projects.PORT}='
      f'{projects.TOKEN}'
    )
    answer = browser.get('/api/project', headers={'cookie': cookies})
    assert answer.status_code == 200


@pytest.mark.parametrize(
  'host',
  [
    'evil.example', f'evil.example:{projects.PORT}', '127.0.0.1',
    '127.0.0.1:1', f'127.0.0.1.evil.example:{projects.PORT}', '',
    f'192.168.1.2:{projects.PORT}', f'localhost.:{projects.PORT}',
  ],
)  # fmt: skip
def test_a_name_that_leads_here_is_refused(browser, host):
  for method, path in (('GET', '/api/project'), ('POST', '/api/stop')):
    headers = {'host': host, 'origin': f'http://{host}'}
    assert browser.request(method, path, headers=headers).status_code == 403
  answer = browser.get(f'/?token={projects.TOKEN}', headers={'host': host})
  assert answer.status_code == 403


@pytest.mark.parametrize('name', ['127.0.0.1', 'localhost', '[::1]'])
def test_the_names_of_this_machine_are_taken(browser, name):
  host = f'{name}:{projects.PORT}'
  headers = {
    'host': host, 'origin': f'http://{host}',
    'cookie': f'savos_studio_{projects.PORT}={projects.TOKEN}',
  }  # fmt: skip
  answer = browser.post('/api/objects', json={}, headers=headers)
  assert answer.status_code == 200


ORIGINS = (
  'https://evil.example', 'null', 'http://127.0.0.1:1', 'http://127.0.0.1',
  f'https://127.0.0.1:{projects.PORT}', f'http://localhost:{projects.PORT}',
  f'{projects.HOME}.evil.example',
)  # fmt: skip


@pytest.mark.parametrize('origin', ORIGINS)
def test_another_page_drives_nothing(session, browser, origin):
  headers = {'origin': origin}
  for method, path in (
    ('POST', '/api/objects'), ('PUT', '/api/marks/0'),
    ('DELETE', '/api/marks/0'), ('PATCH', '/api/objects/1'),
    ('POST', '/api/video?name=a.mp4'), ('POST', '/api/propagate'),
    ('POST', '/api/export'), ('POST', '/api/snap'), ('POST', '/api/stop'),
    ('GET', '/api/project'), ('GET', '/api/frames/0.jpg'), ('OPTIONS', '/'),
  ):  # fmt: skip
    answer = browser.request(method, path, headers=headers)
    assert answer.status_code == 403, path
    assert 'access-control-allow-origin' not in answer.headers
  assert session.project.objects == ()


def test_a_form_or_an_image_of_another_page_gets_nothing(browser):
  del browser.headers['origin']
  # As an old browser sends a form: without an Origin.
  assert browser.post('/api/objects', json={}).status_code == 403
  for site in ('cross-site', 'same-site'):
    headers = {'sec-fetch-site': site}
    answer = browser.get('/api/frames/0.jpg', headers=headers)
    assert answer.status_code == 403
  for site in ('same-origin', 'none'):
    headers = {'sec-fetch-site': site}
    assert browser.get('/api/project', headers=headers).status_code == 200


def refused(browser, headers=None, url=f'{HERE}/api/events'):
  try:
    with browser.websocket_connect(url, headers=headers or {}):
      return False
  except websockets.WebSocketDisconnect:
    return True


def test_another_page_hears_nothing(session, browser):
  assert not refused(browser)
  for origin in ORIGINS:
    assert refused(browser, {'origin': origin})
  assert refused(browser, url=f'ws://evil.example:{projects.PORT}/api/events')
  del browser.headers['origin']
  assert refused(browser)
  with projects.client(session, enters=False) as stranger:
    assert refused(stranger)


def test_headers_keep_the_page_to_itself(browser):
  for path in ('/api/project', '/api/frames/0.jpg', '/api/nothing'):
    headers = browser.get(path).headers
    assert "default-src 'self'" in headers['content-security-policy']
    assert "frame-ancestors 'none'" in headers['content-security-policy']
    assert 'http' not in headers['content-security-policy']
    assert headers['x-content-type-options'] == 'nosniff'
    assert headers['cross-origin-resource-policy'] == 'same-origin'
    assert headers['referrer-policy'] == 'no-referrer'


def test_a_machine_of_a_network_is_known_by_address_or_name():
  guard = access.Guard(None, projects.TOKEN, '0.0.0.0', 80)

  def passes(host):
    scope = {
      'type': 'http', 'method': 'GET', 'path': '/', 'scheme': 'http',
      'query_string': f'token={projects.TOKEN}'.encode(),
      'headers': [(b'host', host.encode())],
    }  # fmt: skip
    return not guard.refusal(scope)

  assert passes('192.168.1.7')
  assert passes('192.168.1.7:80')
  assert passes(f'{socket.gethostname()}:80')
  assert passes('[fd00::7]:80')
  assert not passes('192.168.1.7:81')
  assert not passes('evil.example')
  for host, local in (
    ('127.0.0.1', True), ('localhost', True), ('::1', True),
    ('0.0.0.0', False), ('192.168.1.7', False), ('lab', False),
  ):  # fmt: skip
    assert access.is_local(host) == local


# --- What is sent. -----------------------------------------------------------


def test_a_video_is_bounded(empty, tmp_path):
  folder = tmp_path / 'empty' / 'video'
  answer = empty.post('/api/video?name=a.mp4', content=b'x' * 100_001)
  assert answer.status_code == 413
  assert 'Expected at most 100000' in answer.json()['error']

  def parts():  # Its length is not told.
    for _ in range(20):
      yield b'x' * 10_000

  answer = empty.post('/api/video?name=a.mp4', content=parts())
  assert answer.status_code == 413
  assert not folder.exists() or list(folder.iterdir()) == []
  assert empty.get('/api/project').json()['video'] is None
  assert empty.get('/api/project').json()['job'] is None


def test_what_is_no_video_leaves_nothing(empty, tmp_path):
  for content in (b'', b'some text\n', b'\x00\x01\x02' * 99):
    answer = empty.post('/api/video?name=a.mp4', content=content)
    assert answer.status_code == 400
    assert 'Expected a video' in answer.json()['error']
  assert list((tmp_path / 'empty' / 'video').iterdir()) == []


@pytest.mark.parametrize(
  ('name', 'kept'),
  [
    ('../../evil.mp4', 'evil.mp4'),
    ('/etc/evil.mp4', 'evil.mp4'),
    ('..\\..\\evil.mp4', 'evil.mp4'),
    ('a clip é.mp4', 'a clip é.mp4'),
    ('..', None),
    ('.hidden.mp4', None),
    ('', None),
    ('a\x00.mp4', None),
    ('a/', None),
    ('x' * 300, None),
  ],
)
def test_a_video_stays_in_the_folder(empty, clip, tmp_path, name, kept):
  before = {path for path in tmp_path.parent.rglob('*') if path.is_file()}
  answer = empty.post(
    '/api/video', params={'name': name}, content=clip.read_bytes()
  )
  after = {path for path in tmp_path.parent.rglob('*') if path.is_file()}
  outside = {p for p in after - before if tmp_path / 'empty' not in p.parents}
  assert not outside
  if kept is None:
    assert answer.status_code == 400
    return
  assert answer.status_code == 200
  assert answer.json()['video']['name'] == kept
  assert (tmp_path / 'empty' / 'video' / kept).is_file()
  # One is enough, and it is not replaced.
  again = empty.post('/api/video?name=b.mp4', content=clip.read_bytes())
  assert again.status_code == 400
  assert 'another --out' in again.json()['error']


def test_marks_and_words_are_bounded(browser, session, monkeypatch):
  browser.post('/api/objects', json={})
  monkeypatch.setattr('savos_jax.studio.session.MOST_PICTURE', 1000)
  answer = browser.put('/api/marks/0', content=b'x' * 1001)
  assert answer.status_code == 413
  answer = browser.post('/api/objects', content=b'{"name": "' + b'x' * 99_999)
  assert answer.status_code == 413
  assert session.project.told == {}


@pytest.mark.parametrize(
  ('labels', 'said'),
  [
    (np.zeros((48, 65), np.uint8), '65x48 pixels'),
    (np.zeros((9000, 9000), np.uint8), '9000x9000 pixels'),
    (np.zeros((48, 64, 3), np.uint8), '8-bit grey'),
    (np.zeros((48, 64), np.uint16), '8-bit grey'),
    (None, 'not an image'),
  ],
)
def test_what_is_no_mark_is_refused(browser, labels, said):
  browser.post('/api/objects', json={})
  content = b'no picture' if labels is None else projects.png(labels)
  answer = browser.put('/api/marks/0?objects=1', content=content)
  assert answer.status_code == 400
  assert said in answer.json()['error']


@pytest.mark.parametrize(
  ('method', 'path', 'told'),
  [
    ('PUT', '/api/marks/99?objects=1', None),
    ('PUT', '/api/marks/0?objects=7', None),
    ('PUT', '/api/marks/0?objects=one', None),
    ('POST', '/api/objects', {'name': 'x' * 999}),
    ('POST', '/api/objects', {'color': 'red; x'}),
    ('POST', '/api/objects', {'name': 7}),
    ('POST', '/api/objects', [1]),
    ('PATCH', '/api/objects/7', {}),
    ('PATCH', '/api/objects/1', {'until': 99}),
    ('PATCH', '/api/objects/1', {'until': 'x'}),
    ('DELETE', '/api/objects/7', None),
    ('DELETE', '/api/marks/99', None),
    ('POST', '/api/snap', {'frame': 0}),
    ('POST', '/api/snap', {'frame': 0, 'box': [0, 0, 999, 9]}),
    ('POST', '/api/snap', {'frame': 0, 'box': [0, 0, 9]}),
    ('POST', '/api/snap', {'frame': 99, 'box': [0, 0, 9, 9]}),
    ('POST', '/api/propagate', {'direction': 'up', 'from': 0}),
    ('POST', '/api/propagate', {'direction': 'forward', 'from': 99}),
    ('POST', '/api/propagate', {'direction': 'forward', 'from': 3, 'to': 1}),
    ('POST', '/api/propagate', {'direction': 'forward', 'from': 3, 'to': []}),
    ('POST', '/api/propagate', {'direction': 'forward', 'from': True}),
    ('POST', '/api/export', {'formats': ['davis']}),
    ('POST', '/api/export', {'formats': '../x'}),
    ('GET', '/api/frames/99.jpg', None),
    ('GET', '/api/masks/99.png', None),
  ],
)
def test_what_makes_no_sense_is_told(browser, method, path, told):
  browser.post('/api/objects', json={})
  content = projects.png(projects.drawn(0, 1))
  if method != 'PUT':
    content = b'' if told is None else json.dumps(told).encode()
  answer = browser.request(method, path, content=content)
  assert answer.status_code == 400
  assert '\n  Expected ' in answer.json()['error']


@pytest.mark.parametrize(
  'path',
  [
    '/page/../../pyproject.toml', '/page/%2e%2e/session.py',
    '/page/..%2fsession.py', '/api/exports/..%2fproject.json',
    '/api/exports/.savos_jax.jsonl', '/api/exports/project.json',
    '/api/frames/..%2f0.jpg', '/api/masks/-1.png', '/project.json',
  ],
)  # fmt: skip
def test_no_other_file_is_sent(browser, path):
  answer = browser.get(path)
  assert answer.status_code == 404
  assert b'import' not in answer.content


# --- The program. ------------------------------------------------------------


def started(*flags):
  """Starts the program; returns it with the address that it prints."""
  command = [sys.executable, '-m', 'savos_jax.tools.studio', *map(str, flags)]
  program = subprocess.Popen(
    [*command, '--no-browser'],
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    cwd=pathlib.Path(__file__).parents[1],
  )
  said = ''
  for line in program.stdout:
    said += line
    if found := re.search(r'http://\S+:(\d+)/\?token=(\S+)', line):
      return program, said, int(found[1]), found[2]
  raise AssertionError(said)


def ended(program) -> str:
  program.send_signal(signal.SIGINT)
  said, _ = program.communicate(timeout=60)
  assert program.returncode == 0, said
  return said


def test_it_listens_on_this_machine_alone(clip, tmp_path):
  program, said, port, token = started(clip, f'--out={tmp_path / "p"}')
  try:
    assert len(token) >= 32
    assert 'in the clear' not in said
    listening = pathlib.Path('/proc/net/tcp').read_text().splitlines()[1:]
    fields = [line.split() for line in listening]
    found = {f[1] for f in fields if f[1].endswith(f':{port:04X}')}
    assert found == {f'0100007F:{port:04X}'}
    other = subprocess.run(
      [sys.executable, '-m', 'savos_jax.tools.studio', '--no-browser',
       f'--out={tmp_path / "p"}'],
      capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert other.returncode == 2
    assert 'another process is using it' in other.stderr
  finally:
    text = ended(program)
  assert 'Traceback' not in text
  assert 'opens it again' in text


def test_a_lab_machine_is_told_what_it_means(clip, tmp_path):
  program, said, port, token = started(
    clip, f'--out={tmp_path / "p"}', '--host=0.0.0.0'
  )
  try:
    assert 'every machine that reaches this one can' in said
    assert 'in the clear' in said
    for path, status in (('/', 403), (f'/?token={token}', 303)):
      connection = http.client.HTTPConnection('127.0.0.1', port)
      with contextlib.closing(connection):
        connection.request('GET', path)
        assert connection.getresponse().status == status
  finally:
    ended(program)
