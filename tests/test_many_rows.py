"""What a list of videos asks for, and what is said of a wrong one."""

import pytest

from savos_jax.foundation import errors
from savos_jax.tools import segment
from savos_jax.tools.many import rows


@pytest.fixture
def folder(tmp_path):
  for name in ('a.mp4', 'b.mp4', 'e.mp4', 'a.png', 'b_mask.png', 'x;y.png'):
    (tmp_path / name).write_bytes(b'')
  (tmp_path / 'c').mkdir()
  return tmp_path


def read(folder, text, *flags):
  if '*' not in text:
    (folder / 'videos.csv').write_bytes(text.encode('utf-8-sig'))
    text = str(folder / 'videos.csv')
  asked = segment._parse([f'--list={text}', f'--out={folder}/out', *flags])
  return rows.read(segment._parser(), asked, segment._check)


def test_a_line_is_a_command_line(folder, monkeypatch):
  monkeypatch.chdir('/')
  text = (
    ' video ,mask,direction,from,scales,flip,overlay,out,,\r\n'
    'a.mp4,"a.png; 3=b_mask.png",both,2,0.5;1,yes,no,first one,,\r\n'
    '\r\n'
    f'{folder}/c,x;y.png\r\n'
  )
  first, second = read(folder, text, '--every=2', '--zoom=3')
  found = first.arguments
  assert first.name == 'first one'
  assert found.video == f'{folder}/a.mp4'
  assert found.mask == [[f'{folder}/a.png', f'3={folder}/b_mask.png']]
  assert found.out == folder / 'out' / 'first one'
  assert (found.direction, found.first, found.every) == ('both', '2', 2)
  assert (found.scales, found.flip, found.overlay) == ([0.5, 1.0], True, False)
  assert (second.place, second.name) == ('line 4', 'c')
  found = second.arguments
  assert found.mask == [[f'{folder}/x;y.png']]
  assert (found.direction, found.zoom, found.flip) == ('forward', 3.0, False)


def test_a_box_is_as_good_as_a_mask(folder):
  text = 'video,box,points\na.mp4,"0,0,9,9;3:0,0,5,5@2","4,4-5,5"\n'
  [row] = read(folder, text)
  given = row.arguments.prompts
  assert [(each.object_id, each.frame) for each in given] == [
    (None, ''), (3, '2'), (None, ''),
  ]  # fmt: skip
  assert given[2].prompt.outside == ((5, 5),)


def test_what_has_a_url_stays_one(folder):
  text = 'video,mask\nfile://host/v/one.mp4,4=file://host/a=1/m.png;a.png\n'
  [row] = read(folder, text)
  assert row.name == 'one'
  assert row.arguments.video == 'file://host/v/one.mp4'
  found = [rows.mask_path(text) for text in row.arguments.mask[0]]
  assert found == [('4', 'file://host/a=1/m.png'), ('', f'{folder}/a.png')]
  asked = segment._parse(
    [f'--list={folder}/videos.csv', '--out=file:///results']
  )
  [row] = rows.read(segment._parser(), asked, segment._check)
  assert row.arguments.out == 'file:///results/one'


def test_a_pattern_finds_the_masks_beside(folder):
  (folder / 'd.mp4').write_bytes(b'')
  (folder / 'd').mkdir()
  (folder / 'c_mask.png').write_bytes(b'')
  found = read(folder, f'{folder}/[abcd]*')
  assert [
    (row.name, row.arguments.mask[0][0].removeprefix(f'{folder}/'))
    for row in found
  ] == [
    ('a', 'a.png'),
    ('b', 'b_mask.png'),
    ('c', 'c_mask.png'),
    ('d', 'd'),
  ]  # fmt: skip


@pytest.mark.parametrize(
  ('text', 'expected'),
  [
    ('', ['empty']),
    ('video,mask\n', ['no video']),
    ('mask\na.png\n', ['line 1', 'no column video']),
    ('video,mask,mask\na.mp4,a.png,a.png\n', ["two columns 'mask'"]),
    ('video,dirction\na.mp4,both\n', ['Did you mean direction?']),
    ('video,resume\na.mp4,yes\n', ["'resume' is not a column", 'whole list']),
    ('video,mask\n"a.mp4,a.png\n', ['CSV']),
    ('video,mask\na.mp4,a.png,more\n', ['line 2', '3 cells; expected 2']),
    (
      'video,mask,every\na.mp4,a.png,0\nno.mp4,a.png\nb.mp4,no.png\n,a.png\n',
      ['line 2', '--every', 'line 3', 'no.mp4: no such', 'line 4',
       'no.png: no such', 'line 5: no video', 'Nothing was started'],
    ),
    ('video,mask\na.mp4,a.png\n\na.mp4,a.png\n', ['line 2, line 4', "'a'"]),
    ('video,mask,out\na.mp4,a.png,b\nb.mp4,a.png,B\n', ['line 2, line 3']),
    ('video,mask,out\na.mp4,a.png,../b\n', ['line 2', 'not a valid name']),
    ('video,mask,out\na.mp4,a.png,Summary.csv\n', ['line 2', 'is taken']),
    ('video,mask,flip\na.mp4,a.png,maybe\n', ['line 2', 'flip', 'yes or']),
    ('video\na.mp4\n', ['line 2', '--mask']),
    ('video,mask\nmemory://a.mp4,a.png\n', ['line 2', 'single process']),
    ('*.avi', ['no video matches']),
    ('*e.mp4', ['e.mp4', '--mask']),
  ],
)  # fmt: skip
def test_mistakes_are_told_before_anything_begins(folder, text, expected):
  text = f'{folder}/{text}' if '*' in text else text
  with pytest.raises(errors.SavosError) as caught:
    read(folder, text)
  for part in expected:
    assert part in str(caught.value)


def test_a_list_that_is_no_text(folder):
  (folder / 'videos.csv').write_bytes(b'video\n\xff\xfe\n')
  for name, expected in (('videos.csv', 'not UTF-8'), ('no.csv', 'no such')):
    asked = segment._parse([f'--list={folder}/{name}', f'--out={folder}'])
    with pytest.raises(errors.SavosError, match=expected):
      rows.read(segment._parser(), asked, segment._check)


@pytest.mark.parametrize(
  ('flags', 'expected'),
  [
    (['--list=a.csv'], '--out is missing'),
    (['--list=a.csv', '--out=b', '--mask=c'], 'leave --video, --mask out'),
    (['--video=a', '--mask=b'], '--out is missing'),
    (['--video=a', '--out=b'], '--mask'),
    (['--video=a', '--mask=b', '--out=c', '--ray'], 'need --list'),
    (['--video=a', '--mask=b', '--out=s3://c'], 'need --list'),
  ],
)
def test_flags_that_do_not_go_together(capsys, flags, expected):
  with pytest.raises(SystemExit, match='2'):
    segment.main(flags)
  assert expected in capsys.readouterr().err
