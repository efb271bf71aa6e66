"""Serves this folder with the headers of _headers: python serve.py [PORT].

On this machine alone; with them WebAssembly has threads.
"""

import functools
import http.server
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent


class Handler(http.server.SimpleHTTPRequestHandler):
  """Sends files, and the headers."""

  extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {
    '.js': 'text/javascript',
    '.mjs': 'text/javascript',
    '.wasm': 'application/wasm',
  }

  def end_headers(self):
    """Adds those of _headers."""
    lines = (FOLDER / '_headers').read_text('utf-8').splitlines()
    for line in lines[1:]:
      name, _, value = line.strip().partition(': ')
      self.send_header(name, value)
    super().end_headers()


def server(port: int) -> http.server.ThreadingHTTPServer:
  """Returns what serves at a port of this machine; 0: any that is free."""
  handler = functools.partial(Handler, directory=FOLDER)
  return http.server.ThreadingHTTPServer(('127.0.0.1', port), handler)


if __name__ == '__main__':
  with server(int(sys.argv[1]) if len(sys.argv) > 1 else 8000) as serves:
    print(f'http://127.0.0.1:{serves.server_port}/  (Ctrl-C ends it)')
    try:
      serves.serve_forever()
    except KeyboardInterrupt:
      print()
