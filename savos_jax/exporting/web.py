"""A network as a folder that any web server serves: a page that segments.

  index.html    the studio's page, which is its own server here
  page/         what it loads: the studio's modules, and those of exporting/page
  network/      what `onnx_folder` writes, weights in float16
  onnxruntime-web/, mediabunny/    others' libraries (`npm`)
  _headers      what a server is to send, as hosts of static files read it
  serve.py      a server that does

Nothing is asked of another origin: the page's policy forbids it.
"""

import pathlib

from savos_jax import network
from savos_jax.exporting import choices as choices_lib
from savos_jax.exporting import npm
from savos_jax.exporting import onnx_folder
from savos_jax.exporting import parity
from savos_jax.foundation import errors
from savos_jax.foundation import files

_PACKAGE = pathlib.Path(__file__).parents[1]
_STUDIO = _PACKAGE / 'studio/page'
_OWN = _PACKAGE / 'exporting/page'
NETWORK = 'network'

# What the page may load: its own. `blob:` and `data:` are made by it, and
# WebAssembly is compiled.
POLICY = (
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
  "worker-src 'self' blob:; connect-src 'self'; img-src 'self' blob: data:; "
  "media-src blob:; base-uri 'none'; form-action 'none'"
)
# The first two are for threads: a page with them is alone in its process.
_HEADERS = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Content-Security-Policy': f"{POLICY}; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
}
# What the page says otherwise where there is no studio behind it.
_SAYS = {
  '<meta charset="utf-8">': '<meta charset="utf-8">\n  <meta http-equiv='
  f'"Content-Security-Policy" content="{POLICY}">',
  '<title>Studio</title>': '<title>Segment a video</title>',
  '<span id="name">Studio</span>': '<span id="name">Segment a video</span>',
  'It is copied into the project on this machine, and goes nowhere else.': (
    'It stays on this machine: the network runs in this page, and nothing is '
    'sent anywhere.'
  ),
  'Choose a video…': 'Choose a video, or images…',
  'aria-label="A video" accept="video/*,': (
    'aria-label="A video, or images" multiple accept="video/*,image/*,'
  ),
  'Opening the project': 'Opening the page',
}


def _page() -> dict[str, bytes]:
  """Returns the page's files by their names: the studio's, and others over."""
  found = {}
  for root, below in ((_STUDIO, 'page'), (_OWN, '')):
    for path in sorted(root.rglob('*')):
      name = path.relative_to(root).as_posix()
      if not path.is_file() or '__pycache__' in name:
        continue
      found[f'{below}/{name}' if below else name] = path.read_bytes()
  text = found.pop('page/index.html').decode()
  for old, other in _SAYS.items():
    assert text.count(old) == 1, old
    text = text.replace(old, other)
  lines = [f'  {name}: {value}\n' for name, value in _HEADERS.items()]
  return {
    **found,
    'index.html': text.encode(),
    '_headers': f'/*\n{"".join(lines)}'.encode(),
  }


FILES = (
  *sorted(_page()),
  *(f'{NETWORK}/{name}' for name in onnx_folder.FILES),
  *(name for package in npm.PACKAGES for name in package.names),
)


def check(trained: network.Trained, choices: choices_lib.Choices) -> None:
  """Refuses what the page can't do.

  Raises:
    SavosError: it is evaluated in a way that the page does not know, or the
      size or the number of objects is a fixed one; or the libraries are not
      there.
  """
  onnx_folder.check(trained, choices)
  if choices.size or choices.objects:
    raise errors.SavosError(
      'a page for one size, or one number of objects.\n  Expected any: leave '
      '--size and --objects out.'
    )
  evaluated = trained.config.get('eval', {})
  for name, plain in (('scales', (1.0,)), ('flip', False), ('crf', False)):
    found = evaluated.get(name, plain)
    found = tuple(found) if isinstance(found, list) else found
    if found != plain:
      raise errors.SavosError(
        f'this network was evaluated with {name}={found}.\n  Expected {plain}: '
        'the page has each frame seen once.'
      )
  if evaluated.get('background') == 'merged':
    raise errors.SavosError(
      "this network was evaluated with background='merged'.\n  Expected "
      "'product' or 'max': the page does not know the union of all objects."
    )
  npm.load(choices.npm)


def write(
  out: pathlib.Path, trained: network.Trained, choices: choices_lib.Choices
) -> None:
  """Writes the folder.

  Args:
    out: the folder; it is made if it is not there.
    trained: the network.
    choices: of the weights' dtype nothing is asked: it is float16.

  Raises:
    SavosError: a value is beyond float16, the libraries are not there, or the
      disk is full.
  """
  half = choices_lib.Choices('float16')
  onnx_folder.write(out / NETWORK, trained, half)
  write_page(out, choices.npm)


def write_page(
  out: pathlib.Path, libraries: pathlib.Path | None = None
) -> None:
  """Writes all but the network, whose folder is `NETWORK`.

  Args:
    out: the folder; it is made if it is not there.
    libraries: the folder of npm's archives; None: they are fetched.

  Raises:
    SavosError: the libraries are not there, or the disk is full.
  """
  for name, data in {**_page(), **npm.load(libraries)}.items():
    with files.replacing(out / name) as partial:
      partial.write_bytes(data)


def measure(
  out: pathlib.Path, trained: network.Trained, choices: choices_lib.Choices
) -> parity.Parity:
  """Runs the network that was written, beside the one that was given.

  Raises:
    SavosError: ONNX Runtime is not installed.
  """
  return onnx_folder.measure(out / NETWORK, trained, choices)
