"""The HTTP endpoints of the studio, by Starlette; `session` does the work."""

import asyncio
from collections.abc import AsyncIterator
from collections.abc import Callable
import contextlib
import functools
import json
import pathlib
import shutil
import tempfile
from typing import Any

import cv2
import numpy as np
from starlette import applications
from starlette import concurrency
from starlette import requests
from starlette import responses
from starlette import routing
from starlette import staticfiles
from starlette import websockets

from savos_jax.datasets import masks
from savos_jax.foundation import errors
from savos_jax.foundation import files
from savos_jax.foundation import typed
from savos_jax.studio import exports
from savos_jax.studio import frames as frames_lib
from savos_jax.studio import jobs
from savos_jax.studio import session as session_lib
from savos_jax.video import prompts

PAGE = pathlib.Path(__file__).parent / 'page'
_CHUNK = 1 << 20  # Bytes that are sent or written at once.
_SPARE = 1 << 28  # Bytes that a video which is sent leaves free on the disk.
_NEVER_KEPT = {'cache-control': 'no-store'}
_GONE = 499  # Nobody waits for the answer any more.

Answer = Callable[..., Any]


class _TooLarge(errors.SavosError):
  """More bytes than are taken."""


def _status(error: errors.SavosError) -> int:
  if isinstance(error, jobs.Busy):
    return 409
  if isinstance(error, session_lib.Missing):
    return 404
  return 413 if isinstance(error, _TooLarge) else 400


def _error(request: requests.Request, error: Exception) -> responses.Response:
  text, status = errors.explained(error), 500
  if isinstance(error, errors.SavosError):
    status = _status(error)
  if text is None:
    raise error
  return responses.JSONResponse({'error': text}, status)


def _left(request: requests.Request, error: Exception) -> responses.Response:
  """Who was sending something has gone."""
  return responses.Response(status_code=_GONE)


def _not_found(request: requests.Request, error: Exception):
  return responses.JSONResponse(
    {'error': 'no such address.\n  Expected one of the studio.'},
    getattr(error, 'status_code', 404),
  )


async def _body(request: requests.Request, most: int) -> bytes:
  """Returns what is sent, if it is not too large."""
  taken = bytearray()
  async for part in request.stream():
    taken += part
    if len(taken) > most:
      raise _TooLarge(f'more than {most} bytes.\n  Expected no more than that.')
  return bytes(taken)


async def _json(request: requests.Request, form: Any) -> dict[str, Any]:
  """Returns the object that is sent, of a form (`typed.mismatch`)."""
  data = await _body(request, session_lib.MOST_JSON)
  try:
    told = typed.from_json(data.decode() or '{}')
    wrong = typed.mismatch(told, form)
  except ValueError as error:
    wrong = str(error)
  if wrong:
    raise errors.SavosError(
      f'{wrong}.\n  Expected JSON as docs/how-to/studio.md tells.'
    )
  return told


def _png(image: np.ndarray) -> responses.Response:
  fast = [cv2.IMWRITE_PNG_COMPRESSION, 1]
  data = cv2.imencode('.png', image, fast)[1].tobytes()
  return responses.Response(data, media_type='image/png', headers=_NEVER_KEPT)


def _labels(data: bytes, height: int, width: int) -> np.ndarray:
  """Reads a mark that is sent, uint8 [H, W]; its size comes first."""

  def check(image) -> np.ndarray:
    if (image.width, image.height) != (width, height):
      raise errors.SavosError(
        f'a mark of {image.width}x{image.height} pixels.\n'
        f'  Expected {width}x{height}, as the video has.'
      )
    if image.format != 'PNG' or image.mode not in ('L', 'P'):
      raise errors.SavosError(
        f'a mark as {image.format}, {image.mode}.\n'
        '  Expected an 8-bit grey PNG of object numbers.'
      )
    return np.asarray(image)

  return masks.use_image_data(data, 'the mark', check)


class _Addresses:
  """What is answered."""

  def __init__(self, session: session_lib.Session):
    self._session = session
    # Who waits for a frame waits here: whoever has gone meanwhile, as in a drag
    # of the slider, costs nothing.
    self._looking, self._aside = asyncio.Lock(), asyncio.Lock()

  async def _do(self, function: Answer, *arguments: Any) -> Any:
    return await concurrency.run_in_threadpool(function, *arguments)

  async def project(self, request: requests.Request) -> responses.Response:
    """GET /api/project."""
    return responses.JSONResponse(
      await self._do(self._session.view), headers=_NEVER_KEPT
    )

  async def video(self, request: requests.Request) -> responses.Response:
    """POST /api/video?name=clip.mp4."""
    session = self._session
    path = session.video_path(request.query_params.get('name', ''))
    claimed = request.headers.get('content-length', '')
    total = int(claimed) if claimed.isdecimal() and len(claimed) < 20 else 0
    self._check_room(total)
    job = session.begin_upload(total)
    try:
      await self._receive(request, path, job)
      await self._do(session.take_video, path)
    except BaseException as error:
      text = errors.explained(error) if isinstance(error, Exception) else None
      job.end(
        'failed', error=text or 'the upload of the video was interrupted.'
      )
      raise
    job.end('done')
    return await self.project(request)

  def _check_room(self, total: int) -> None:
    session = self._session
    if total > session.most_video:
      raise _TooLarge(
        f'a video of {total} bytes.\n  Expected at most {session.most_video}.'
      )
    free = shutil.disk_usage(session.project.folder).free
    if total + _SPARE > free:
      raise _TooLarge(
        f'a video of {total} bytes, where {free} are free.\n  Expected more '
        'space: start the studio with the path of the video, then it is not '
        'copied.'
      )

  async def _receive(
    self, request: requests.Request, path: pathlib.Path, job: jobs.Job
  ) -> None:
    """Writes what is sent into a file, which is there when it is whole."""
    most, taken = self._session.most_video, 0
    replacing = files.replacing(path)
    partial = await self._do(replacing.__enter__)
    try:
      with partial.open('wb') as file:
        async for part in request.stream():
          taken += len(part)
          if taken > most:
            raise _TooLarge(
              f'a video of more than {most} bytes.\n'
              '  Expected no more than that.'
            )
          await self._do(file.write, part)
          job.advance(len(part))
    except BaseException as error:
      if replacing.__exit__(type(error), error, error.__traceback__):
        return
      raise
    await self._do(replacing.__exit__, None, None, None)

  async def frame(self, request: requests.Request) -> responses.Response:
    """GET /api/frames/{i}.jpg?width=W."""
    session = self._session
    index = request.path_params['index']
    asked = request.query_params.get('width', '0')
    width = int(asked) if asked.isdecimal() and len(asked) < 6 else 0
    session.project.check_frame(index)
    tag = f'"{session.project.fingerprint[:16]}-{index}-{width}"'
    # The same address may be another project's tomorrow.
    headers = {'etag': tag, 'cache-control': 'private, no-cache'}
    if request.headers.get('if-none-match') == tag:
      return responses.Response(status_code=304, headers=headers)
    frames = session.frames
    if frames.is_kept(index):
      data = await self._do(frames.jpeg, index, width)
    else:
      small = 0 < width <= frames_lib.SMALL
      async with self._aside if small else self._looking:
        if await request.is_disconnected():
          return responses.Response(status_code=_GONE)
        data = await self._do(frames.jpeg, index, width)
    return responses.Response(data, media_type='image/jpeg', headers=headers)

  async def mask(self, request: requests.Request) -> responses.Response:
    """GET /api/masks/{i}.png."""
    index = request.path_params['index']

    def find() -> responses.Response:
      labels = self._session.results.labels(index)
      if labels is None:
        return responses.Response(status_code=204, headers=_NEVER_KEPT)
      return _png(labels)

    return await self._do(find)

  async def mark(self, request: requests.Request) -> responses.Response:
    """PUT and DELETE /api/marks/{i}."""
    session, index = self._session, request.path_params['index']
    if request.method == 'DELETE':
      await self._do(session.unmark, index)
    else:
      video = session.project.opened
      ids = _ids(request.query_params.get('objects'))
      data = await _body(request, session_lib.MOST_PICTURE)

      def keep() -> None:
        labels = _labels(data, video.height, video.width)
        session.mark(index, labels, ids)

      await self._do(keep)
    told = await self._do(functools.partial(session.marked, sure=False))
    return responses.JSONResponse(told)

  async def objects(self, request: requests.Request) -> responses.Response:
    """POST /api/objects."""
    told = await _json(request, {'name?': (str, None), 'color?': (str, None)})
    made = await self._do(
      self._session.project.add_object, told.get('name'), told.get('color')
    )
    await self._do(self._session.tell_project)
    return responses.JSONResponse(vars(made))

  async def object(self, request: requests.Request) -> responses.Response:
    """PATCH and DELETE /api/objects/{id}."""
    session, object_id = self._session, request.path_params['id']
    if request.method == 'DELETE':
      await self._do(session.remove_object, object_id)
      return responses.JSONResponse(
        await self._do(functools.partial(session.marked, sure=False))
      )
    form = {'name?': str, 'color?': str, 'until?': (int, None)}
    changes = await _json(request, form)
    made = await self._do(session.project.change_object, object_id, changes)
    await self._do(session.tell_project)
    return responses.JSONResponse(vars(made))

  async def snap(self, request: requests.Request) -> responses.Response:
    """POST /api/snap."""
    points = [[float]]
    told = await _json(
      request,
      {
        'frame': int,
        'box?': ([float], None),
        'inside?': points,
        'outside?': points,
      },
    )
    prompt = _prompt(told)

    def find() -> responses.Response:
      mask = self._session.snap(told['frame'], prompt)
      return _png(np.where(mask, np.uint8(255), np.uint8(0)))

    return await self._do(find)

  async def propagate(self, request: requests.Request) -> responses.Response:
    """POST /api/propagate."""
    told = await _json(request, {'direction': str, 'from': int})
    end = told.get('to')
    if not (end is None or end == 'mark' or type(end) is int):
      raise errors.SavosError(
        "to is neither a frame, nor 'mark', nor null.\n  Expected one of these."
      )
    job = await self._do(
      self._session.propagate, told['direction'], told['from'], end
    )
    return responses.JSONResponse(job)

  async def stop(self, request: requests.Request) -> responses.Response:
    """POST /api/stop."""
    return responses.JSONResponse(self._session.stop())

  async def export(self, request: requests.Request) -> responses.Response:
    """POST /api/export."""
    form = {'formats': [str], 'from?': (int, None), 'to?': (int, None)}
    told = await _json(request, form)
    formats = list(dict.fromkeys(told['formats']))
    job = await self._do(
      self._session.export, formats, told.get('from'), told.get('to')
    )
    return responses.JSONResponse(job)

  async def exported(self, request: requests.Request) -> responses.Response:
    """GET /api/exports/{name}."""
    project = self._session.project
    name = request.path_params['name']
    found = exports.find(project, name)
    if found is None:
      raise session_lib.Missing(
        f'{name[:40]!r}: no such export.\n'
        '  Expected a name reported by the export.'
      )
    if found.path:
      return responses.FileResponse(
        found.path, filename=found.name, headers=_NEVER_KEPT
      )
    # It has no name: it is gone however the sending ends.
    file = tempfile.TemporaryFile(dir=project.folder / 'exports')  # noqa: SIM115
    await self._do(exports.pack, found.folder, file)
    size = file.tell()
    file.seek(0)
    return responses.StreamingResponse(
      _parts(file),
      media_type='application/zip',
      headers={
        'content-length': str(size),
        'content-disposition': f'attachment; filename="{found.name}"',
        **_NEVER_KEPT,
      },
    )

  async def events(self, socket: websockets.WebSocket) -> None:
    """WS /api/events."""
    await socket.accept()
    async with self._session.hub.listening() as queue:
      view = await self._do(self._session.view)
      await socket.send_text(json.dumps({'type': 'project', **view}))
      gone = asyncio.ensure_future(_gone(socket))
      try:
        while not gone.done():
          coming = asyncio.ensure_future(queue.get())
          await asyncio.wait(
            (gone, coming), return_when=asyncio.FIRST_COMPLETED
          )
          if not coming.done():
            coming.cancel()
            break
          text = coming.result()
          if text is None:
            await socket.close(1012)  # "Service restart": come again.
            break
          await socket.send_text(text)
      except (websockets.WebSocketDisconnect, RuntimeError):
        pass
      finally:
        gone.cancel()


async def _gone(socket: websockets.WebSocket) -> None:
  """Waits until the page has gone; what it says is not listened to."""
  with contextlib.suppress(websockets.WebSocketDisconnect, RuntimeError):
    while True:
      await socket.receive_text()


def _parts(file):
  with file:
    while part := file.read(_CHUNK):
      yield part


def _ids(text: str | None) -> tuple[int, ...] | None:
  """Reads '1,2'; None: nothing is said."""
  if text is None:
    return None
  parts = [part.strip() for part in text.split(',') if part.strip()]
  if not all(part.isdecimal() and len(part) < 4 for part in parts):
    raise errors.SavosError(
      f'objects={text[:40]!r}.\n  Expected their numbers, as objects=1,2.'
    )
  return tuple(map(int, parts))


def _prompt(told: dict[str, Any]) -> prompts.Prompt:
  """Reads box and points.

  Raises:
    SavosError: a box of other than four numbers, or a point of other than two.
  """
  box = told.get('box')
  inside, outside = told.get('inside', []), told.get('outside', [])
  if any(len(point) != 2 for point in (*inside, *outside)) or (
    box is not None and len(box) != 4
  ):
    raise errors.SavosError(
      'a box or a point with the wrong number of values.\n'
      '  Expected box: [left, top, right, bottom], a point: [x, y].'
    )
  return prompts.Prompt(
    box and tuple(box),
    tuple((x, y) for x, y in inside),
    tuple((x, y) for x, y in outside),
  )


def app(
  session: session_lib.Session,
  page: pathlib.Path = PAGE,
  started: Callable[[], None] = lambda: None,
) -> applications.Starlette:
  """Returns the studio's ASGI application; `access.Guard` goes around it.

  Args:
    session: does the work; closed when the application ends.
    page: the folder with index.html and its files.
    started: called when the server is ready.
  """
  does = _Addresses(session)

  async def index(request: requests.Request) -> responses.Response:
    return responses.FileResponse(
      page / 'index.html', headers={'cache-control': 'no-cache'}
    )

  @contextlib.asynccontextmanager
  async def lifespan(_) -> AsyncIterator[None]:
    started()
    yield
    await concurrency.run_in_threadpool(session.close)

  route = routing.Route
  return applications.Starlette(
    routes=[
      route('/', index),
      routing.Mount(
        '/page', staticfiles.StaticFiles(directory=page, check_dir=False)
      ),
      route('/api/project', does.project),
      route('/api/video', does.video, methods=['POST']),
      route('/api/frames/{index:int}.jpg', does.frame),
      route('/api/masks/{index:int}.png', does.mask),
      route('/api/marks/{index:int}', does.mark, methods=['PUT', 'DELETE']),
      route('/api/objects', does.objects, methods=['POST']),
      route('/api/objects/{id:int}', does.object, methods=['PATCH', 'DELETE']),
      route('/api/snap', does.snap, methods=['POST']),
      route('/api/propagate', does.propagate, methods=['POST']),
      route('/api/stop', does.stop, methods=['POST']),
      route('/api/export', does.export, methods=['POST']),
      route('/api/exports/{name}', does.exported),
      routing.WebSocketRoute('/api/events', does.events),
    ],
    exception_handlers={
      errors.SavosError: _error,
      requests.ClientDisconnect: _left,
      OSError: _error,
      MemoryError: _error,
      404: _not_found,
      405: _not_found,
    },
    lifespan=lifespan,
  )
