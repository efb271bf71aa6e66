r"""Opens a page to mark, propagate, correct and export objects in a video.

  python -m savos_jax.tools.studio clip.mp4

prints an address on this machine, and opens it in the browser. The project is a
folder of plain files, --out: marks/ (what was drawn) and masks/ (the
predictions), as indexed PNGs. The same command opens it again. Without a video,
drop one on the page. Ctrl-C ends the program; nothing is lost.

The marks can also be propagated without the page:

  python -m savos_jax.tools.segment --video=clip.mp4 \
      --mask clip_studio/marks --direction=both --out=result
"""

import argparse
from collections.abc import Sequence
import contextlib
import dataclasses
import functools
import pathlib
import threading
import webbrowser

from savos_jax.foundation import ranges
from savos_jax.tools import command
from savos_jax.tools import flags

_LOCAL = '127.0.0.1'


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  parser = command.parser('studio', __doc__)
  add = parser.add_argument
  add(
    'video', nargs='?', type=command.path,
    help='a video file, or a folder of images; it is not copied',
  )  # fmt: skip
  add(
    '--out', type=command.path,
    help="the project's folder; default: the video's name and _studio, in the "
    'current folder',
  )  # fmt: skip
  flags.add_network(parser)
  flags.add_seeing(parser)
  flags.add_flag(
    parser, 'port', ranges.whole(1, 65535, zero='any that is free'), default=0,
    help='port to listen on; 0: any free port',
  )  # fmt: skip
  add(
    '--host', default=_LOCAL, metavar='ADDRESS',
    help='address to listen on instead of this machine only: anybody who can '
    'reach it and has the printed address can see the video and change the '
    'project; the connection is not encrypted',
  )  # fmt: skip
  add(
    '--browser', action=argparse.BooleanOptionalAction, default=True,
    help='open the page in the browser',
  )  # fmt: skip
  arguments = parser.parse_args(argv)
  if arguments.out is None:
    stem = arguments.video.resolve().stem if arguments.video else ''
    arguments.out = pathlib.Path(f'{stem}_studio' if stem else 'studio')
  return arguments


def _network(arguments: argparse.Namespace):
  """Loads the network."""
  from savos_jax.inference import tracker
  from savos_jax.studio import session
  from savos_jax.tools import networks
  from savos_jax.tools import segmenting

  network = networks.load(arguments)
  config = segmenting.inference_config(arguments, network.evaluated)
  chosen = dataclasses.asdict(config)
  says = {
    'checkpoint': network.checksum[:16],
    'runtime': network.runtime,
    **{k: str(v) for k, v in chosen.items()},
  }
  return session.Network(
    functools.partial(
      tracker.Tracker, network.model, network.params, config
    ),
    ' '.join(f'{name}={value}' for name, value in says.items()),
    says,
  )  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
  """Serves the page until it is ended.

  Raises:
    SavosError: something that the user can put right.
  """
  from savos_jax.foundation import files
  from savos_jax.studio import access
  from savos_jax.studio import project
  from savos_jax.studio import serving

  serving.require()
  from savos_jax.studio import session
  from savos_jax.video import sources

  if arguments.video:
    sources.open_video(arguments.video)  # Before anything is made of it.
  inputs = [arguments.checkpoint]
  inputs += [arguments.video] if arguments.video else []
  with contextlib.ExitStack() as stack:
    manifest = stack.enter_context(files.claimed(arguments.out, inputs))
    opened = project.Project(arguments.out, manifest)
    opened.open(arguments.video)
    listener = stack.enter_context(
      serving.listen(arguments.host, arguments.port)
    )
    # Others of this machine may see what a browser is started with: that token
    # is of use once.
    token, once = serving.new_token(), serving.new_token()
    where = arguments.host, listener.getsockname()[1]
    url = serving.address(*where, token)
    if not access.is_local(arguments.host):
      print(
        f'--host={arguments.host}: every machine that reaches this one can '
        'connect. The token in\nthe address is all that keeps others out, and '
        'it is sent in the clear: give the address\nto those alone who may see '
        'the video and change the project, in a network that you\ntrust.'
      )
    print(
      f'the project is {arguments.out}; the page is at\n  {url}\nCtrl-C ends it'
    )

    def started() -> None:
      if arguments.browser:
        opened_once = serving.address(*where, once)
        # One in a terminal comes back when it is left.
        threading.Thread(
          target=webbrowser.open, args=(opened_once,), daemon=True
        ).start()

    working = session.Session(opened, functools.partial(_network, arguments))
    stack.callback(working.close)
    working.warm()
    # It ends by a signal, which is as it should be.
    with contextlib.suppress(KeyboardInterrupt):
      serving.serve(working, listener, arguments.host, token, once, started)
  print(f'\nthe project is in {arguments.out}; the same command opens it again')


main = command.main(_parse, run)

if __name__ == '__main__':
  main()
