"""What a training step minimises."""

import dataclasses

from savos_jax.foundation import ranges

RECURRENCES = ('detached', 'through_time')


@dataclasses.dataclass(frozen=True)
class Objective:
  """What a step minimises, and how the gradient of a clip is taken.

  Attributes:
    loss_reduction: see `losses.cross_entropy`.
    soft_iou_weight: of `losses.soft_iou_loss`, 0 leaves it out.
    recurrence: 'detached': no gradient flows into the guidance, so that a
      frame's activations are free before the next frame; 'through_time': the
      gradient passes all frames, whose activations are kept.
    rematerialise: the reference's activations, and in 'through_time' those of
      all frames but the last, are computed a second time instead of kept.
    teacher_forcing_iou: an object whose IoU in a frame is below it gets the
      true mask as the guidance of the next frame; 0 turns it off.
    joint: of several objects in an example, the loss is on the probabilities
      that Eq. 5 makes of them, as when a video is segmented; False: each
      object's is on its own.
    encoder: the encoder is trained; otherwise its gradient is 0, and is not
      computed.

  Raises:
    ValueError: a field is out of its range.
  """

  loss_reduction: str = ranges.field('sum', ranges.choice('sum', 'mean'))
  soft_iou_weight: float = ranges.field(0.0, ranges.number(0, 1e9))
  recurrence: str = ranges.field(
    'detached',
    ranges.choice(*RECURRENCES),
    'whether gradients pass from frame to frame',
  )
  rematerialise: bool = ranges.field(False, ranges.Switch())
  teacher_forcing_iou: float = ranges.field(0.0, ranges.SHARE)
  joint: bool = ranges.field(True, ranges.Switch())
  encoder: bool = True

  def __post_init__(self):
    """Refuses what no step can minimise."""
    ranges.check_fields(self)
