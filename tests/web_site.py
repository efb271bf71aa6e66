"""The page of an exported network, served as anybody would, for tests."""

import contextlib
import functools
import http.server
import importlib.util
import io
import json
import pathlib
import re
import shutil
import tarfile
import threading

import pytest

from savos_jax import checkpoints
from savos_jax.exporting import npm
from savos_jax.exporting import web
from savos_jax.foundation import errors

_SHIPPED = pathlib.Path(checkpoints.__file__).parent
NETWORK = [_SHIPPED / f'{name}.onnx' for name in ('reference', 'step')]
BELOW = 'some/where'  # A site need not be at a server's root.


def libraries() -> None:
  """Skips the test where the libraries can't be had."""
  try:
    npm.load()
  except errors.SavosError as error:
    pytest.skip(f'offline: {str(error).splitlines()[0]}')


def write(folder: pathlib.Path) -> pathlib.Path:
  """Writes the site of the network that is shipped; returns where."""
  libraries()
  out = folder / BELOW
  web.write_page(out)
  (out / web.NETWORK).mkdir()
  told = json.loads((_SHIPPED / 'savos.json').read_text('utf-8'))
  for path in (*NETWORK, _SHIPPED / 'savos.json', _SHIPPED / told['weights']):
    shutil.copy(path, out / web.NETWORK)
  return out


def webgpu_operators() -> set[str]:
  """Returns the operators that onnxruntime-web says it has for WebGPU."""
  libraries()
  package = npm.PACKAGES[0]
  with tarfile.open(fileobj=io.BytesIO(npm.archive(package))) as archive:
    file = archive.extractfile('package/docs/webgpu-operators.md')
    assert file is not None
    text = file.read().decode()
  return set(re.findall(r'^\| (\w+) \| ai\.onnx', text, re.MULTILINE))


@contextlib.contextmanager
def served(site: pathlib.Path, headers: bool = True):
  """Lends the address of a site, by its own serve.py; or without headers."""
  spec = importlib.util.spec_from_file_location('serve', site / 'serve.py')
  assert spec
  assert spec.loader
  serve = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(serve)

  plain = http.server.SimpleHTTPRequestHandler

  class Quiet(serve.Handler if headers else plain):
    def log_message(self, *arguments):
      pass

  with serve.server(0) as server:
    root = site.parents[len(pathlib.Path(BELOW).parts) - 1]
    server.RequestHandlerClass = functools.partial(Quiet, directory=root)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f'http://127.0.0.1:{server.server_port}/{BELOW}'
    server.shutdown()
    thread.join()
