"""Serves the studio with uvicorn until it is stopped."""

from collections.abc import Callable
import errno
import secrets
import socket

from savos_jax.foundation import errors
from savos_jax.foundation import extras
from savos_jax.studio import access

_WAIT = 3  # Seconds that open connections have in the end.
_PURPOSE = 'the studio'


def require() -> None:
  """Raises SavosError if a library is not installed."""
  for module in ('starlette', 'uvicorn', 'wsproto'):
    extras.require(module, 'studio', _PURPOSE)


def listen(host: str, port: int) -> socket.socket:
  """Returns a listening socket.

  Args:
    host: an address or name of this machine.
    port: the port; 0: any free one.

  Raises:
    SavosError: the address cannot be used.
  """
  try:
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    return socket.create_server((host, port), family=family)
  except OSError as error:
    taken = error.errno == errno.EADDRINUSE
    raise errors.SavosError(
      f'{host}, port {port}: {error.strerror or error}.\n  Expected '
      + ('another --port: this one is taken.' if taken else
         'an address of this machine, and a port that may be used.')
    ) from None  # fmt: skip


def address(host: str, port: int, token: str) -> str:
  """Returns the address to open in a browser."""
  name = f'[{host}]' if ':' in host else host
  if host in ('0.0.0.0', '::'):
    name = socket.gethostname()
  return f'http://{name}:{port}/?token={token}'


def new_token() -> str:
  """Returns an unguessable token."""
  return secrets.token_urlsafe(32)


def serve(
  session, listener: socket.socket, host: str, token: str, once: str = '',
  started: Callable[[], None] = lambda: None,
) -> None:  # fmt: skip
  """Serves until Ctrl-C or SIGTERM.

  Args:
    session: does the work; closed at the end.
    listener: from `listen`.
    host: as given to `listen`.
    token: the secret that users need.
    once: see `access.Guard`.
    started: called when the server is ready.
  """
  import uvicorn

  from savos_jax.studio import server

  port = listener.getsockname()[1]
  app = server.app(session, started=started)
  config = uvicorn.Config(
    access.Guard(app, token, host, port, once),
    ws='wsproto',
    ws_max_size=1 << 10,  # The page says nothing there.
    log_level='warning',
    lifespan='on',
    timeout_graceful_shutdown=_WAIT,
    server_header=False,
  )
  uvicorn.Server(config).run(sockets=[listener])
