"""What the documentation has people copy and follow, for its tests."""

import dataclasses
import pathlib
import re
import shlex

ROOT = pathlib.Path(__file__).parents[1]
# Pages of the site, and what is read beside the code.
PAGES = sorted(
  [
    *ROOT.glob('*.md'),
    *(ROOT / 'docs').rglob('*.md'),
    ROOT / 'savos_jax/checkpoints/README.md',
    ROOT / 'launch/gpu/README.md',
  ]
)
_BLOCK = re.compile(
  r'(?P<run><!-- run -->\n)?^(?P<indent> *)```(?P<language>\w*)\n'
  r'(?P<text>.*?)^ *```$',
  re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r'\[[^\]]*\]\(([^)\s]+)\)')
_HEADING = re.compile(r'^#{1,6} +(.*)$', re.MULTILINE)


def name_of(page: pathlib.Path) -> str:
  """Returns a page's name: where it is in the repository."""
  return page.relative_to(ROOT).as_posix()


@dataclasses.dataclass(frozen=True)
class Block:
  """A piece of code.

  Attributes:
    language: 'sh', 'python', 'text', ...
    text: the code.
    runs: `<!-- run -->` stands before it: it can be run on embedded data.
  """

  language: str
  text: str
  runs: bool

  def commands(self) -> list[list[str]]:
    """Returns the commands of a shell's block, each as words."""
    lines = self.text.replace('\\\n', ' ').splitlines()
    found = []
    for line in lines:
      words = shlex.split(line, comments=True)
      while '&&' in words:
        at = words.index('&&')
        found.append(words[:at])
        words = words[at + 1 :]
      if words:
        found.append(words)
    return found


def blocks(page: pathlib.Path) -> list[Block]:
  """Returns the code of a page, in order."""
  return [
    Block(each['language'], each['text'], bool(each['run']))
    for each in _BLOCK.finditer(page.read_text('utf-8'))
  ]


def prose(page: pathlib.Path) -> str:
  """Returns a page's text without its blocks of code."""
  return _without_code(page.read_text('utf-8'))


def _without_code(text: str) -> str:
  return _BLOCK.sub('', text)


def spans(page: pathlib.Path) -> list[str]:
  """Returns what is marked as code within the text, without line breaks."""
  found = re.findall(r'`([^`]+)`', prose(page))
  return [' '.join(span.split()) for span in found]


def links(page: pathlib.Path) -> list[str]:
  """Returns where a page's links and pictures lead."""
  return _LINK.findall(re.sub(r'`[^`]*`', '', prose(page)))


def pictures(page: pathlib.Path) -> list[str]:
  """Returns what a page's pictures are said to show."""
  return re.findall(r'!\[([^\]]*)\]\(', prose(page))


def levels(page: pathlib.Path) -> list[int]:
  """Returns the levels of a page's headings, in order."""
  return [
    len(each) for each in re.findall(r'^(#+) ', prose(page), re.MULTILINE)
  ]


def anchors(markdown: str) -> set[str]:
  """Returns the anchors of headings, as GitHub makes them, and of modules."""
  made = set(re.findall(r'^::: (\S+)$', markdown, re.MULTILINE))
  for heading in _HEADING.findall(_without_code(markdown)):
    text = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', heading)
    slug = re.sub(r'[^\w\- ]', '', text.lower()).replace(' ', '-')
    while slug in made:
      slug += '-1'
    made.add(slug)
  return made
