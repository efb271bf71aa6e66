"""What a training step minimises."""

import dataclasses

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
  """

  loss_reduction: str = 'mean'
  soft_iou_weight: float = 0.0
  recurrence: str = 'detached'
  rematerialise: bool = False
  teacher_forcing_iou: float = 0.0
  joint: bool = True
  encoder: bool = True
