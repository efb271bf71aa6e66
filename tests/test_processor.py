"""What the processor tells of itself."""

import pytest

from savos_jax.foundation import processor


@pytest.mark.parametrize(
  ('text', 'has'),
  [
    ('model name\t: avx512f\nflags\t\t: fpu sse2 avx2\n', False),
    ('flags\t\t: fpu avx2 avx512f avx512dq\n', True),
    ('Features\t: fp asimd\n', False),
    (None, False),
  ],
)
def test_avx512(tmp_path, monkeypatch, text, has):
  path = tmp_path / 'cpuinfo'
  if text is not None:
    path.write_text(text)
  monkeypatch.setattr(processor, '_TOLD', path)
  assert processor.has_avx512.__wrapped__() == has
