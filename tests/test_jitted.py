"""What a user waits for is compiled in less time on a CPU."""

import os
import subprocess
import sys

import jax.numpy as jnp
import pytest

from savos_jax.inference import jitted


def test_each_platform_has_its_own():
  function = jitted.Jitted(lambda x, times: times * x, static_argnames='times')
  assert function.on('tpu') is function.on('gpu') is not function.on('cpu')
  assert function(jnp.ones(2), times=3).tolist() == [3.0, 3.0]
  assert function.eval_shape(jnp.ones(4), times=2).shape == (4,)


@pytest.mark.parametrize('level', ['', '2'])
def test_what_xla_flags_say_holds(level):
  flags = f'--xla_backend_optimization_level={level}' if level else ''
  found = subprocess.run(
    [
      sys.executable,
      '-c',
      'from savos_jax.inference import jitted; print(sorted(jitted._ON_CPU))',
    ],
    env=os.environ | {'XLA_FLAGS': flags},
    capture_output=True,
    text=True,
    check=True,
  )
  assert ('xla_backend_optimization_level' in found.stdout) == (not level)
