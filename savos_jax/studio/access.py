"""Access control: only requests with the token, from the studio's own page.

Any web page open in the same browser can send requests to this machine.
Therefore each request must name this server as its host (against DNS
rebinding), and a request that changes something must come from this server's
own page.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import hmac
import ipaddress
import json
import socket
import urllib.parse

# What a page may load: its own. `blob:` and `data:` are made by it.
POLICY = (
  "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; "
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
  b'content-security-policy': POLICY.encode(),
  b'x-content-type-options': b'nosniff',
  b'referrer-policy': b'no-referrer',
  b'cross-origin-resource-policy': b'same-origin',
  b'cross-origin-opener-policy': b'same-origin',
  b'x-frame-options': b'DENY',
}
_SAFE = ('GET', 'HEAD', 'OPTIONS')
_LOCAL = ('127.0.0.1', 'localhost', '[::1]')
_AGAIN = (
  '\n  Expected the address that the program printed, with its token: open it '
  'again.'
)


def is_local(host: str) -> bool:
  """Whether an address is reachable only from this machine."""
  if host == 'localhost':
    return True
  try:
    return ipaddress.ip_address(host).is_loopback
  except ValueError:
    return False


def _is_address(host: str) -> bool:
  try:
    ipaddress.ip_address(host.strip('[]'))
  except ValueError:
    return False
  return True


def _first(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
  """Returns a header's value; '' where it is there twice, which is a trick."""
  found = [value.decode('latin-1') for key, value in headers if key == name]
  if not found:
    return None
  return found[0] if len(found) == 1 else ''


def _same(text: str, token: str) -> bool:
  return hmac.compare_digest(text.encode(), token.encode())


class Guard:
  """ASGI middleware that blocks all other requests."""

  def __init__(self, app, token: str, host: str, port: int, once: str = ''):
    """Sets what is accepted.

    Args:
      app: the guarded application.
      token: the secret known to the user's browser.
      host: the address it listens on.
      port: the port it listens on.
      once: another token, valid for one request; '': none.
    """
    self._app, self._token, self._once = app, token, once
    self._port = port
    self.cookie = f'savos_studio_{port}'
    names = {*_LOCAL}
    if not is_local(host):
      names |= {host, socket.gethostname(), socket.getfqdn()}
    self._hosts = {name.lower() for name in names}
    # An address can't be made to lead elsewhere, as a name can.
    self._any_address = not is_local(host)

  async def __call__(self, scope, receive, send):
    """Answers 403 itself, or lets the request pass."""
    if scope['type'] == 'lifespan':
      await self._app(scope, receive, send)
      return
    refused = self.refusal(scope)
    if scope['type'] == 'websocket':
      if refused:
        await receive()
        await send({'type': 'websocket.close', 'code': 4403})
        return
      await self._app(scope, receive, send)
      return

    async def send_guarded(message):
      if message['type'] == 'http.response.start':
        known = {name for name, _ in message['headers']}
        more = [(k, v) for k, v in _HEADERS.items() if k not in known]
        message = {**message, 'headers': [*message['headers'], *more]}
      await send(message)

    if refused:
      await self._refuse(scope, send_guarded, refused)
    elif token := self._brought(scope):
      if token == self._once:
        self._once = ''
      await self._welcome(send_guarded)
    else:
      await self._app(scope, receive, send_guarded)

  def refusal(self, scope: Mapping) -> str:
    """Returns why a request is refused; '' if it is allowed."""
    headers = scope['headers']
    host = _first(headers, b'host')
    if host is None or not self._is_here(host):
      return f'a request to the host {host or "none"!r}.{_AGAIN}'
    origin = _first(headers, b'origin')
    scheme = 'https' if scope.get('scheme') in ('https', 'wss') else 'http'
    if origin is not None and origin.lower() != f'{scheme}://{host.lower()}':
      return f'a request from the page {origin!r}.{_AGAIN}'
    changes = scope['type'] == 'websocket' or scope['method'] not in _SAFE
    if changes and origin is None:
      return f'a request without a page (it has no Origin).{_AGAIN}'
    if self._brought(scope):
      return ''
    site = _first(headers, b'sec-fetch-site')
    if site not in (None, 'same-origin', 'none'):
      return f'a request from another page ({site}).{_AGAIN}'
    if not self._has_cookie(headers):
      return f'a request without the token.{_AGAIN}'
    return ''

  def _is_here(self, host: str) -> bool:
    name, _, port = host.lower().rpartition(':')
    if not port.isdecimal() or name.endswith(':'):
      name, port = host.lower(), '80'
    if int(port) != self._port:
      return False
    return name in self._hosts or (self._any_address and _is_address(name))

  def _brought(self, scope) -> str:
    """Returns the right token that an address has in it; '': it has none."""
    if scope['type'] != 'http' or scope['path'] != '/':
      return ''
    query = urllib.parse.parse_qs(scope['query_string'].decode('latin-1'))
    token = query.get('token', [''])[0]
    once = bool(self._once) and _same(token, self._once)
    return token if once or _same(token, self._token) else ''

  def _has_cookie(self, headers) -> bool:
    # Not by http.cookies: one that another server of this machine has set, and
    # that it does not like, would hide all others.
    for part in (_first(headers, b'cookie') or '').split(';'):
      name, _, value = part.strip().partition('=')
      if name == self.cookie and _same(value, self._token):
        return True
    return False

  async def _welcome(self, send) -> None:
    """Puts the token into a cookie, and out of the address bar."""
    cookie = f'{self.cookie}={self._token}; HttpOnly; SameSite=Strict; Path=/'
    headers = [
      (b'location', b'/'),
      (b'set-cookie', cookie.encode()),
      (b'cache-control', b'no-store'),
      (b'content-length', b'0'),
    ]
    await send(
      {'type': 'http.response.start', 'status': 303, 'headers': headers}
    )
    await send({'type': 'http.response.body', 'body': b''})

  async def _refuse(self, scope, send, why: str) -> None:
    if scope['path'] == '/':
      body, kind = f'{why}\n'.encode(), b'text/plain; charset=utf-8'
    else:
      body, kind = json.dumps({'error': why}).encode(), b'application/json'
    headers = [
      (b'content-type', kind),
      (b'cache-control', b'no-store'),
      (b'content-length', str(len(body)).encode()),
    ]
    await send(
      {'type': 'http.response.start', 'status': 403, 'headers': headers}
    )
    await send({'type': 'http.response.body', 'body': body})
