"""Pictures of the README and of pages of the site, to be looked at.

  make docs && python -m website.screenshots OUT [PAGE...]

on a desktop (1280x800) and on a phone (390x844), each as OUT/PAGE_WIDTH.png.
Tells of what is wider than the phone. Needs Chromium, at /usr/bin/chromium.
"""

import argparse
import pathlib

import markdown

from tests import studio_browser

ROOT = pathlib.Path(__file__).parents[1]
_SITE = ROOT / 'build' / 'docs'
_PAGES = (
  'index',
  'tutorials/own-video',
  'how-to/fix-a-bad-mask',
  'reference/configuration',
  'explanation/network',
  'benchmarks',
)
_SIZES = ((1280, 800), (390, 844))
# Much as a forge shows it.
_README = """<!doctype html><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><base href="{root}/">
<style>body {{ font: 16px/1.5 sans-serif; max-width: 900px; margin: 2em auto;
padding: 0 1em }} img {{ max-width: 100% }} pre {{ background: #f4f4f4;
padding: 1em; overflow: auto }} table {{ border-collapse: collapse;
display: block; overflow: auto }} td, th {{ border: 1px solid #ccc;
padding: 4px 10px }}</style>{body}"""


def _readme(out: pathlib.Path) -> pathlib.Path:
  """Writes the README as a page."""
  body = markdown.markdown(
    (ROOT / 'README.md').read_text('utf-8'),
    extensions=['tables', 'fenced_code', 'sane_lists'],
  )
  path = out / 'readme.html'
  path.write_text(_README.format(root=ROOT.as_uri(), body=body), 'utf-8')
  return path


def main() -> None:
  """Takes the pictures."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('out', type=pathlib.Path)
  parser.add_argument('pages', nargs='*', default=_PAGES)
  told = parser.parse_args()
  told.out.mkdir(parents=True, exist_ok=True)
  paths = {page: _SITE / f'{page}.html' for page in told.pages}
  paths['README'] = _readme(told.out)
  with studio_browser.launched() as browser:
    for width, height in _SIZES:
      page = browser.new_page(viewport={'width': width, 'height': height})
      for name, path in paths.items():
        page.goto(path.resolve().as_uri())
        page.wait_for_timeout(300)
        wide = page.evaluate('document.documentElement.scrollWidth')
        if wide > width:
          print(f'{name}: {wide} pixels wide, on a screen of {width}')
        picture = told.out / f'{name.replace("/", "_")}_{width}.png'
        page.screenshot(path=picture)
        print(picture)
      page.close()


if __name__ == '__main__':
  main()
