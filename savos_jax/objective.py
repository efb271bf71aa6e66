"""The objective that a training step minimises."""

import dataclasses

from savos_jax.foundation import ranges

RECURRENCES = ('detached', 'through_time')


@dataclasses.dataclass(frozen=True)
class Objective:
  """The loss of a step, and how the gradient of a clip is computed.

  Attributes:
    loss_reduction: see `losses.cross_entropy`.
    soft_iou_weight: weight of `losses.soft_iou_loss`; 0 leaves it out.
    recurrence: 'detached': no gradient flows into the guidance, so a frame's
      activations are freed before the next frame; 'through_time': the gradient
      flows through all frames, whose activations are kept.
    rematerialise: whether to recompute the reference's activations, and with
      'through_time' those of all frames but the last, instead of keeping them.
    teacher_forcing_iou: an object whose IoU in a frame is lower gets the true
      mask as guidance for the next frame; 0 turns this off.
    joint: whether the loss of several objects is on their joint probabilities
      (Eq. 5), as in inference, rather than on each object separately.
    encoder: whether the encoder is trained; otherwise its gradient is 0 and is
      not computed.

  Raises:
    ValueError: a field is out of range.
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
    """Checks every field against its range."""
    ranges.check_fields(self)
