"""The score program: what it writes, and mistakes that it explains."""

import csv
import json
import shutil
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest

from savos_jax.datasets import davis
from savos_jax.datasets import masks
from savos_jax.datasets import segtrack
from savos_jax.evaluation import protocol
from savos_jax.evaluation import tables
from savos_jax.tools import score
from tests import segtrack_folders


@pytest.fixture
def data(davis_folder, tmp_path):
  """DAVIS 2017 with a list of two val sequences, and perfect results."""
  root = davis_folder(splits={'train': 1, 'val': 2}, objects=[1, 2, 1])
  results = tmp_path / 'results'
  shutil.copytree(root / 'Annotations' / '480p', results)
  shutil.rmtree(results / 'train0')
  shutil.rmtree(root / 'JPEGImages')  # Not needed.
  return root, results


def run(results, annotations, rules='davis2017', *flags):
  score.main(
    [
      f'--results={results}',
      f'--annotations={annotations}',
      f'--protocol={rules}',
      *map(str, flags),
    ]
  )


@pytest.fixture
def refused(capsys):
  """A function: runs the program, which must fail, and returns its message."""

  def call(*arguments):
    with pytest.raises(SystemExit) as caught:
      run(*arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err

  return call


def test_files_are_those_of_the_main_program(data, tmp_path, capsys):
  root, results = data
  for index in (0, 3):  # The first and the last frame are not scored.
    (results / 'val0' / f'{index:05d}.png').unlink()
  masks.write_mask(results / 'val0' / '00001.png', np.zeros((36, 48), np.uint8))
  (results / 'notes.txt').write_text('no mask')
  shutil.copytree(results / 'val0', results / 'extra')
  run(results, root, 'davis2017', f'--json={tmp_path / "s.json"}',
      f'--csv={tmp_path / "csv"}')  # fmt: skip
  printed = capsys.readouterr().out
  assert str(root / 'ImageSets' / '2017' / 'val.txt') in printed
  assert '2 sequences, 3 objects' in printed
  assert '1 more sequences in the results are not scored: extra' in printed
  found = json.loads((tmp_path / 's.json').read_text())
  videos = davis.load_annotations(
    root / 'Annotations' / '480p', ['val0', 'val1'], False
  )
  scores = protocol.score_results(results, videos)
  assert found == tables.to_json_dict(scores)
  assert found['sequences']['val0_1']['frames']['J'] == [0, 1]
  assert tables.format_table(scores) in printed
  with (tmp_path / 'csv' / 'per-sequence_results-val.csv').open() as file:
    assert [row[0] for row in csv.reader(file)] == [
      'Sequence', 'val0_1', 'val0_2', 'val1_1',
    ]  # fmt: skip
  assert (tmp_path / 'csv' / 'global_results-val.csv').is_file()


def test_nothing_is_read_back_or_replaced(data, tmp_path, refused):
  """Neither the own files nor the official tool's."""
  root, results = data
  path = tmp_path / 's.json'
  for stale in (path, results / 'global_results-val.csv'):
    stale.write_text('stale')
  files = f'--json={path}', f'--csv={results}'
  for found in (path, results / 'global_results-val.csv'):
    message = refused(results, root, 'davis2017', *files)
    assert f'{found}: exists already' in message
    assert found.read_text() == 'stale'
    found.rename(found.with_name(f'{found.name}.old'))
  files = *files, '--overwrite'
  run(results, root, 'davis2017', *files)
  assert json.loads(path.read_text())['global']['J&F'] == 1
  masks.write_mask(results / 'val0' / '00001.png', np.zeros((36, 48), np.uint8))
  run(results, root, 'davis2017', *files)
  assert json.loads(path.read_text())['global']['J&F'] < 1


def test_which_sequences_are_scored(data, tmp_path, capsys):
  root, results = data
  folder = root / 'Annotations' / '480p'
  run(results, folder)  # The list is found from there, too.
  assert 'val.txt' in capsys.readouterr().out
  chosen = tmp_path / 'mine.txt'
  chosen.write_text('val1\n')
  run(results, root, 'davis2017', f'--sequences={chosen}',
      f'--csv={tmp_path}')  # fmt: skip
  assert f'1 sequences, 1 objects, by the list {chosen}' in (
    capsys.readouterr().out
  )
  assert (tmp_path / 'global_results-mine.csv').is_file()
  shutil.rmtree(root / 'ImageSets')
  shutil.rmtree(folder / 'train0')
  run(results, root)
  assert f'all sequences in {folder}' in capsys.readouterr().out


def test_attributes_reach_the_json(data, tmp_path, capsys):
  root, results = data
  (root / 'Annotations' / 'db_info.yml').write_text(
    'sequences: [{name: val1, attributes: [OCC]}]'
  )
  run(results, root, 'davis2017', f'--json={tmp_path / "s.json"}')
  found = json.loads((tmp_path / 's.json').read_text())
  assert found['attributes']['OCC']['sequences'] == ['val1']


def test_segtrack_takes_ids_and_a_folder_an_object(tmp_path, capsys):
  root = segtrack_folders.make(tmp_path / 'SegTrackv2')
  results = tmp_path / 'results'
  for video in segtrack.load(root):
    for index, path in enumerate(video.masks):
      labels = video.labels(index)
      if video.name == 'penguin':
        for k in (1, 2):
          file = results / 'penguin' / str(k) / f'{path.stem}.png'
          segtrack_folders.write_grey(file, 255 * (labels == k), 'L')
      else:
        masks.write_mask(results / video.name / f'{path.stem}.png', labels)
  for annotations in (root, root / 'GroundTruth'):
    path = tmp_path / f'{annotations.name}.json'
    run(results, annotations, 'segtrack', f'--json={path}')
    found = json.loads(path.read_text())
    assert found['global']['J&F'] == found['sequences_mean']['J&F'] == 1
    assert len(found['sequences']['penguin_2']['frames']['J']) == 3
    assert 'mean of 5 objects' in capsys.readouterr().out


def test_a_lone_object_of_any_id_may_be_0_and_255(tmp_path):
  """In SegTrack, where its folder's name is its id."""
  root = segtrack_folders.make(tmp_path / 'SegTrackv2')
  shutil.rmtree(root / 'GroundTruth' / 'penguin' / '1')
  video = segtrack.load(root)[1]
  assert video.scored_ids == (2,)
  for index, path in enumerate(video.masks):
    file = tmp_path / 'results' / 'penguin' / f'{path.stem}.png'
    segtrack_folders.write_grey(file, 255 * (video.labels(index) > 0), 'L')
  (result,) = protocol.score_sequence(video, tmp_path / 'results')
  assert result.j.tolist() == [1, 1, 1]


def test_wrong_folders_are_recognised(data, refused, tmp_path):
  root, results = data
  deep = tmp_path / 'runs' / 'a'
  shutil.copytree(results, deep / 'masks')
  for wrong in (tmp_path / 'runs', deep, deep / 'masks' / 'val0'):
    message = refused(wrong, root)
    assert 'no results for 2 of 2 sequences: val0, val1' in message
    assert f'{deep / "masks"} looks right: it holds 2 of 2' in message
  assert 'no such folder' in refused(tmp_path / 'nowhere', root)
  folder = root / 'Annotations' / '480p'
  for wrong in (folder.parent, folder / 'val0'):
    assert f'{folder} looks right' in refused(results, wrong)
  assert f'{root} looks right' in refused(results, root.parent)
  assert 'no such folder' in refused(results, root / 'nothing')
  assert 'like DAVIS' in refused(results, root, 'segtrack')
  other = segtrack_folders.make(tmp_path / 'SegTrackv2')
  assert 'like SegTrack v2' in refused(results, other)
  truth = other / 'GroundTruth'
  for wrong in (truth / 'penguin', truth / 'penguin' / '1'):
    assert f'{truth} looks right' in refused(results, wrong, 'segtrack')


def test_missing_and_extra_files(data, refused, tmp_path, capsys):
  root, results = data
  shutil.copy(results / 'val0' / '00001.png', results / 'val0' / '00004.png')
  run(results, root)
  assert (
    'note: 1 mask(s) of frames without an annotation are not scored: val0'
    in capsys.readouterr().out
  )
  # As if numbered from 1: the scored frames are there, but they are others.
  (results / 'val0' / '00000.png').unlink()
  message = refused(results, root)
  assert 'does not have: 00004.png' in message
  (results / 'val0' / '00001.png').unlink()
  message = refused(results, root)
  assert f'{results / "val0" / "00001.png"}: no such file' in message
  assert 'holds: 00002.png, 00003.png' in message
  shutil.rmtree(results / 'val0')
  json_path = tmp_path / 's.json'
  message = refused(results, root, 'davis2017', f'--json={json_path}')
  assert 'no results for 1 of 2 sequences: val0' in message
  assert not json_path.exists()
  shutil.rmtree(root / 'Annotations' / '480p' / 'val1')
  assert 'no annotations for 1 of 2 sequences' in refused(results, root)


def test_what_was_meant_to_be_scored_is_said_before_an_error(data, capsys):
  root, results = data
  with pytest.raises(SystemExit):
    run(results, root, 'davis2016')  # There is no list of 2016.
  printed = capsys.readouterr()
  assert f'by all sequences in {root}' in printed.out
  assert 'no results for 1 of 3 sequences: train0' in printed.err


def test_masks_that_cannot_be_scored(data, refused):
  root, results = data
  path = results / 'val0' / '00001.png'  # Two objects.
  labels = masks.read_mask(path)

  def with_image(image):
    Image.fromarray(image.astype(np.uint8)).save(path)
    message = refused(results, root)
    assert str(path) in message
    return message

  assert 'a mask of 0 and 255, but val0 has 2 objects' in with_image(
    255 * (labels > 0)
  )
  assert 'a RGB picture' in with_image(masks.pascal_palette()[labels])
  assert '24x18 pixels' in with_image(labels[::2, ::2])
  assert 'object id 9' in with_image(9 * (labels == 2))
  Image.fromarray(labels > 0).save(path)  # One bit a pixel.
  assert 'a mask of 0 and 255' in refused(results, root)
  path.write_bytes(b'')
  assert 'not an image' in refused(results, root)


def test_0_and_255_is_clear_where_there_is_one_object(data, capsys):
  root, results = data
  for path in (results / 'val1').iterdir():
    binary = 255 * masks.read_mask(path)
    Image.fromarray(binary).save(path)
  run(results, root)
  assert 'mean of 3  100.0   100.0' in capsys.readouterr().out
  for path in (results / 'val0').iterdir():
    Image.fromarray(255 * (masks.read_mask(path) > 0).astype(np.uint8)).save(
      path
    )
  # Merged, 0/255 is the usual form. The list of 2017 is not taken for 2016's.
  chosen = root / 'ImageSets' / '2017' / 'val.txt'
  run(results, root, 'davis2016', f'--sequences={chosen}')


def test_a_frame_with_the_first_object_alone_is_no_binary_mask(data):
  root, results = data
  path = results / 'val0' / '00001.png'
  masks.write_mask(path, (masks.read_mask(path) == 1).astype(np.uint8))
  run(results, root)


def _as_upper(folder):
  for path in list(folder.rglob('*.png')):
    path.rename(path.with_suffix('.PNG'))


def test_masks_may_be_named_in_any_case(data, capsys):
  root, results = data
  for folder in (root, results):
    _as_upper(folder)
    run(results, root)
    assert 'mean of 3  100.0   100.0' in capsys.readouterr().out


def test_numbers_in_names_count_by_value(data, capsys):
  root, results = data
  for path in list(results.rglob('*.png')):
    path.rename(path.with_stem(str(int(path.stem))))
  run(results, root)
  assert 'mean of 3  100.0   100.0' in capsys.readouterr().out


def _every(root, step, keep):
  """Renumbers the masks of all sequences, and leaves out some."""
  for path in sorted(root.rglob('*.png'), reverse=True):
    number = int(path.stem)
    if number in keep:
      path.rename(path.with_stem(f'{step * number:05d}'))
    else:
      path.unlink()


def test_what_is_annotated_is_scored(davis_folder, tmp_path, capsys, refused):
  """Masks of every fifth frame; results of all, or of too few."""
  root = davis_folder(splits={'val': 1}, frames=16)
  results = tmp_path / 'results'
  shutil.copytree(root / 'Annotations' / '480p', results)
  _every(root, 1, (0, 5, 10, 15))
  run(results, root, 'davis2017', f'--json={tmp_path / "s.json"}')
  printed = capsys.readouterr().out
  assert 'mean of 1  100.0' in printed
  assert (
    'note: 12 mask(s) of frames without an annotation are not scored: val0'
    in printed
  )
  found = json.loads((tmp_path / 's.json').read_text())
  assert found['videos']['val0']['frames'] == ['00005', '00010']
  assert found['notes'][0].startswith('12 mask(s)')
  (results / 'val0' / '00010.png').unlink()
  message = refused(results, root)
  assert f'{results / "val0" / "00010.png"}: no such file' in message
  assert 'one of 1 missing out of 2 scored frames' in message


def test_objects_that_appear_later(data, capsys):
  root, results = data
  for folder in (root / 'Annotations' / '480p', results):
    for index in (2, 3):
      path = folder / 'val1' / f'{index:05d}.png'
      labels = masks.read_mask(path).copy()
      labels[-3:] = 2
      masks.write_mask(path, labels)
  run(results, root)
  printed = capsys.readouterr().out
  assert 'note: val1: object 2 appears at 00002: not scored (DAVIS' in printed
  assert 'mean of 3  100.0' in printed
  run(results, root, 'youtube_vos')
  printed = capsys.readouterr().out
  assert '2 sequences, 4 objects' in printed
  assert 'note' not in printed
  assert 'mean of 4  100.0' in printed


def test_sequences_without_scored_frames_do_not_count(
  data, tmp_path, capsys, refused
):
  root, results = data
  for index in (1, 2, 3):
    (root / 'Annotations' / '480p' / 'val1' / f'{index:05d}.png').unlink()
  run(results, root, 'davis2017', f'--csv={tmp_path}')
  printed = capsys.readouterr().out
  assert 'note: val1 has 1 annotated frame, none is scored\n' in printed
  assert 'mean of 2  100.0' in printed
  with (tmp_path / 'per-sequence_results-val.csv').open() as file:
    assert [row[1] for row in csv.reader(file)] == [
      'J-Mean', '1.000', '1.000', '',
    ]  # fmt: skip
  shutil.rmtree(results / 'val1')  # Nothing is asked of it.
  run(results, root)
  (tmp_path / 'one.txt').write_text('val1')
  path = tmp_path / 's.json'
  message = refused(
    results, root, 'davis2017', f'--sequences={tmp_path / "one.txt"}',
    f'--json={path}',
  )  # fmt: skip
  assert 'nothing to score: val1 has 1 annotated frame' in message
  assert not path.exists()


def test_two_annotated_frames_are_too_few_for_davis_alone(data, refused):
  root, results = data
  _every(root, 5, (0, 1))
  _every(results, 5, (0, 1))
  message = refused(results, root)
  assert 'val0, val1 have 2 annotated frames, the first and the last' in message
  assert '--protocol=youtube_vos scores it' in message
  assert 'Unpack' not in message
  run(results, root, 'youtube_vos')


def test_categories_seen_in_training_stand_apart(data, tmp_path, capsys):
  root, results = data
  valid = tmp_path / 'YTVOS' / 'valid'
  valid.mkdir(parents=True)
  (root / 'Annotations' / '480p').rename(valid / 'Annotations')
  shutil.rmtree(valid / 'Annotations' / 'train0')
  for index in range(1, 4):  # val1 is the only one that is unseen.
    path = results / 'val1' / f'{index:05d}.png'
    masks.write_mask(path, np.zeros((36, 48), np.uint8))

  def describe(split, videos):
    content = {
      'videos': {
        name: {
          'objects': {i: {'category': kind} for i, kind in objects.items()}
        }
        for name, objects in videos.items()
      }
    }
    path = valid.parent / split / 'meta.json'
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))

  describe('valid', {'val0': {1: 'ape', 2: 'owl'}, 'val1': {1: 'yak'}})
  run(results, valid, 'youtube_vos')
  assert 'unseen' not in capsys.readouterr().out  # Training's file is missing.
  describe('train', {'a': {1: 'owl'}, 'b': {7: 'ape'}})
  path = tmp_path / 's.json'
  run(results, valid, 'youtube_vos', f'--json={path}')
  printed = capsys.readouterr().out.splitlines()
  rows = [line.split() for line in printed]
  assert ['mean', 'of', '2', 'seen', '100.0', '100.0'] in [r[:6] for r in rows]
  assert ['mean', 'of', '1', 'unseen', '0.0', '0.0'] in [r[:6] for r in rows]
  assert ['overall', '50.0'] in rows
  found = json.loads(path.read_text())['categories']
  assert (found['seen']['J&F'], found['unseen']['J&F']) == (1, 0)
  assert found['overall'] == 0.5
  run(results, valid)  # By the rules of DAVIS it is not read.
  (valid / 'meta.json').write_text('{"videos": []}')
  run(results, valid)
  with pytest.raises(SystemExit):
    run(results, valid, 'youtube_vos')
  assert f'{valid / "meta.json"}: videos is []' in capsys.readouterr().err


def test_parity_with_the_official_code(savos_data, tmp_path, capsys):
  """From the command line to every figure in the JSON; DAVIS 2016."""
  golden = savos_data / 'golden'
  text = (golden / 'official_davis16_on_osvos_masks.json').read_text()
  official = json.loads(text)
  names = ['car-shadow', 'scooter-black', 'blackswan']
  chosen, path = tmp_path / 'three.txt', tmp_path / 's.json'
  chosen.write_text('\n'.join(names))
  run(golden / 'osvos-masks', savos_data / 'DAVIS', 'davis2016',
      f'--sequences={chosen}', f'--json={path}')  # fmt: skip
  found = json.loads(path.read_text())
  assert list(found['sequences']) == names
  for name in names:
    entry, expected = found['sequences'][name], official[name]
    for measure in ('J', 'F'):
      for values, others in (
        (entry['frames'][measure], np.ravel(expected[f'raw{measure}'])),
        (list(entry[measure].values()), expected[measure]),
      ):
        np.testing.assert_allclose(values, others, rtol=0, atol=1e-6)
    stems = found['videos'][name]['frames']
    assert (stems[0], len(stems)) == ('00001', len(entry['frames']['J']))
  for measure in ('J', 'F'):
    np.testing.assert_allclose(
      list(found['global'][measure].values()),
      np.mean([official[name][measure] for name in names], axis=0),
      rtol=0,
      atol=1e-6,
    )


def test_as_a_program(data):
  root, _ = data
  program = [sys.executable, '-m', 'savos_jax.tools.score']
  shown = subprocess.run(
    [*program, '--help'], check=True, capture_output=True, text=True
  ).stdout
  for text in ('davis2016', 'segtrack', '--sequences', '255', 'exit status'):
    assert text in shown
  failed = subprocess.run(
    [*program, f'--results={root}', f'--annotations={root}',
     '--protocol=davis2017'],
    check=False, capture_output=True, text=True,
  )  # fmt: skip
  assert failed.returncode == 2
  assert 'Traceback' not in failed.stderr
