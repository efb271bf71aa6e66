"""The protocols of the data sets: which frames are scored."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Protocol:
  """Which frames of a sequence are scored, and which means are reported.

  Attributes:
    name: as in `sequences.Sequence.protocol`.
    title: its display name.
    leave_out_last: number of annotated frames at the end that are not scored.
    sequence_mean: whether tables show the mean over sequences beside the mean
      over objects.
  """

  name: str
  title: str
  leave_out_last: int = 1
  sequence_mean: bool = False

  def frames(self, sequence: Any) -> tuple[int, ...]:
    """Returns the indices of the scored frames of a `sequences.Sequence`.

    Empty if the only annotations are the given masks.

    Raises:
      SavosError: a first mask is unreadable.
    """
    if sequence.only_given:
      return ()
    first = min(sequence.appearances)
    later = [index for index in sequence.annotated if index > first]
    return tuple(later[: max(0, len(later) - self.leave_out_last)])


PROTOCOLS = {
  protocol.name: protocol
  for protocol in (
    Protocol('davis2016', 'DAVIS 2016'),
    Protocol('davis2017', 'DAVIS 2017'),
    Protocol('segtrack', 'SegTrack v2', leave_out_last=0, sequence_mean=True),
    Protocol('youtube_vos', 'YouTube-VOS', leave_out_last=0),
  )
}
