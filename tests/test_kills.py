"""A video that is killed and gone on with is that of a run in peace."""

import pytest

from tests import kills


@pytest.mark.slow
def test_a_chain_of_kills_changes_no_byte(tmp_path):
  kills.make_inputs(tmp_path)
  flags = kills.FLAGS[0]
  whole, out = tmp_path / 'whole', tmp_path / 'out'
  seconds = kills.undisturbed(tmp_path, whole, flags)
  chain = kills.run_chain(tmp_path, whole, out, flags, seconds, 4, 0)
  assert not chain.problems
  assert len(chain.kills) > 1
  assert len(kills.files_in(out)) > 2 * 130
  # What is whole ends well, whatever was begun to be compiled for it.
  for _ in range(3):
    kills.undisturbed(tmp_path, out, (*flags, '--resume'))
  # What differs is told.
  (out / 'overlay.mp4').write_bytes(b'')
  assert kills.compare(whole, out) == [
    'overlay.mp4 differs',
    'overlay.mp4 is not in the manifest',
  ]
