"""Pages of the site that are made, not written, and links that leave docs/.

mkdocs calls these functions (`hooks` in mkdocs.yml).
"""

import pathlib
import posixpath
import re

from mkdocs.structure import files as files_lib

from website import reference_api
from website import reference_commands
from website import reference_configuration

ROOT = pathlib.Path(__file__).parents[1]

# Pages that stand elsewhere in the repository: page -> file.
ELSEWHERE = {
  'model-card.md': 'savos_jax/checkpoints/README.md',
  'contributing.md': 'CONTRIBUTING.md',
  'changelog.md': 'CHANGELOG.md',
  'how-to/gpu.md': 'launch/gpu/README.md',
}
_PAGES = {file: page for page, file in ELSEWHERE.items()}
_LINK = re.compile(r'(?<!\!)\[([^\]]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)')
_FENCE = re.compile(r'(^```.*?^```\s*?$)', re.MULTILINE | re.DOTALL)
_FRONT_MATTER = re.compile(r'\A---\n.*?\n---\n', re.DOTALL)


def on_config(config):
  """Puts the pages of the API into the navigation, below their list."""
  (reference,) = [each for each in config['nav'] if 'Reference' in each]
  index, *pages = reversed(list(reference_api.pages()))
  for entry in reference['Reference']:
    if 'Python API' in entry:
      names = {page: pathlib.PurePath(page).stem for page in reversed(pages)}
      entry['Python API'] = [
        index,
        *({name: page} for page, name in names.items()),
      ]
  return config


def on_files(files, config):
  """Adds the pages that are made."""
  made = {
    'reference/commands.md': reference_commands.page(),
    'reference/configuration.md': reference_configuration.page(),
    **reference_api.pages(),
  }
  for page, file in ELSEWHERE.items():
    text = _FRONT_MATTER.sub('', (ROOT / file).read_text('utf-8'))
    made[page] = text
  for page, text in made.items():
    files.append(files_lib.File.generated(config, page, content=text))
  return files


def on_page_markdown(markdown, page, config, files):
  """Points links at the pages of the site."""
  uri = page.file.src_uri
  source = ELSEWHERE.get(uri, f'docs/{uri}')
  return relinked(markdown, source, uri)


def relinked(markdown: str, source: str, page: str) -> str:
  """Returns a page's text with its relative links as the site has them.

  Args:
    markdown: of the page.
    source: the file that it is written in, from the repository's root.
    page: where it is in the site, as 'how-to/gpu.md'.

  Returns:
    The text; a link to a file of the repository that is no page is its text
    alone.
  """

  def target(match: re.Match) -> str:
    text, path, anchor = match[1], match[2], match[3] or ''
    file = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    inside = _PAGES.get(file, file.removeprefix('docs/'))
    # Neither a page nor beside one.
    if inside == file or not pathlib.PurePath(inside).suffix:
      return text
    start = posixpath.dirname(page) or '.'
    return f'[{text}]({posixpath.relpath(inside, start)}{anchor})'

  parts = _FENCE.split(markdown)
  # Every second part is code.
  parts[::2] = [_LINK.sub(target, part) for part in parts[::2]]
  return ''.join(parts)
