"""The input normalisations of pretrained networks; cheap to import."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Preprocessing:
  """The normalisation a network was trained with: (image - mean) / std.

  Attributes:
    mean: of red, green and blue, for images in [0, 1].
    std: of red, green and blue, for images in [0, 1].
    channel_order: of the first convolution's input, 'RGB' or 'BGR'.
  """

  mean: tuple[float, float, float]
  std: tuple[float, float, float]
  channel_order: str = 'RGB'

  def __str__(self) -> str:
    """Tells it to people."""
    mean, std = (
      ', '.join(f'{value:.4g}' for value in values)
      for values in (self.mean, self.std)
    )
    return (
      f'{self.channel_order}, images in 0..1, RGB mean ({mean}), std ({std})'
    )


def caffe(mean: tuple[float, float, float]) -> Preprocessing:
  """Returns Caffe's normalisation: BGR in 0..255 minus a mean (B, G, R)."""
  blue, green, red = (value / 255.0 for value in mean)
  return Preprocessing(
    (red, green, blue), (1.0 / 255.0,) * 3, channel_order='BGR'
  )


# The three that published networks use, by the names that Keras gave them.
PUBLISHED = {
  'torch': Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
  'caffe': caffe((103.939, 116.779, 123.68)),
  'tf': Preprocessing((0.5,) * 3, (0.5,) * 3),
}
