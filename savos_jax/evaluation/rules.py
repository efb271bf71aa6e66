"""Which frames of a video count: the rules of DAVIS 2016, 2017, SegTrack v2."""

from collections.abc import Sized
import dataclasses


@dataclasses.dataclass(frozen=True)
class Protocol:
  """Which frames of a sequence count, and which means are reported.

  Attributes:
    name: as in `sequences.Sequence.protocol`.
    leave_out_first: frames at the start that are not scored.
    leave_out_last: frames at the end that are not scored.
    sequence_mean: whether tables show the mean over sequences beside the mean
      over objects.
  """

  name: str
  leave_out_first: int = 1
  leave_out_last: int = 1
  sequence_mean: bool = False

  def frames(self, sequence: Sized) -> range:
    """Returns the indices of the scored frames."""
    return range(self.leave_out_first, len(sequence) - self.leave_out_last)


PROTOCOLS = {
  protocol.name: protocol
  for protocol in (
    Protocol('davis2016'),
    Protocol('davis2017'),
    Protocol('segtrack', leave_out_last=0, sequence_mean=True),
  )
}
