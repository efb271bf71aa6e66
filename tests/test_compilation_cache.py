"""Where compiled functions are kept."""

import jax
import pytest

from savos_jax.foundation import compilation_cache

FOLDER = 'jax_compilation_cache_dir'


@pytest.fixture
def config(monkeypatch):
  """JAX's configuration, put back afterwards."""
  kept = {
    name: getattr(jax.config, name)
    for name in (FOLDER, 'jax_persistent_cache_min_compile_time_secs')
  }
  monkeypatch.setattr(compilation_cache, '_folder', None)
  yield jax.config
  for name, value in kept.items():
    jax.config.update(name, value)


def test_kept_in_the_users_cache(config, tmp_path, monkeypatch):
  config.update(FOLDER, None)
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  compilation_cache.enable()
  assert getattr(config, FOLDER) == str(compilation_cache.folder())
  assert compilation_cache.folder() == tmp_path / 'savos_jax' / 'compiled'


def test_the_users_own_choice_stays(config, tmp_path, monkeypatch):
  config.update(FOLDER, 'chosen')
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  compilation_cache.enable()
  assert getattr(config, FOLDER) == 'chosen'
  assert not list(tmp_path.iterdir())
  assert compilation_cache.folder() is None  # It could be a URL.
  config.update(FOLDER, str(tmp_path))
  compilation_cache.enable()
  assert compilation_cache.folder() == tmp_path


def test_no_place_to_write_is_no_error(config, tmp_path, monkeypatch):
  config.update(FOLDER, None)
  (tmp_path / 'file').write_text('in the way')
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
  compilation_cache.enable()
  assert getattr(config, FOLDER) is compilation_cache.folder() is None
