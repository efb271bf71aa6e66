"""Every field of the configuration: its default, and what is refused of it."""

import dataclasses
import functools
import importlib
import inspect
import math
import operator
import pathlib

from ml_collections import config_dict
import pytest

from savos_jax import configs
from savos_jax import network
from savos_jax import objective
from savos_jax import online
from savos_jax import rules
from savos_jax import settings
from savos_jax.configs import default
from savos_jax.configs.rivals_ablation import ROWS
from savos_jax.data import lucid
from savos_jax.data import mask_noise
from savos_jax.data import pipeline
from savos_jax.data import sampling
from savos_jax.data.scenes import config as scenes_config
from savos_jax.datasets import davis
from savos_jax.foundation import errors
from savos_jax.foundation import ranges
from savos_jax.inference import aggregation
from savos_jax.inference import options
from savos_jax.models import attention
from savos_jax.models import decoder
from savos_jax.models import global_convolution
from savos_jax.models import resnet
from savos_jax.models import savos_config
from savos_jax.synthetic import embedded_clips
from savos_jax.video import video_writer


def leaves(tree, prefix='config'):
  for name, value in tree.items():
    if isinstance(value, dict):
      yield from leaves(value, f'{prefix}.{name}')
    else:
      yield f'{prefix}.{name}', value


DEFAULTS = dict(leaves(default.get_config().to_dict()))


def configured(fields, root='/data'):
  """The default, changed as a user's own file may: any type in any field."""
  tree = default.get_config().to_dict()
  for name, value in {'config.data.root': root, **fields}.items():
    *sections, field = name.split('.')[1:]
    section = functools.reduce(operator.getitem, sections, tree)
    section[field] = value
  return config_dict.ConfigDict(tree)


# --- Defaults. ----------------------------------------------------------------

# What is stated in the code as well: the first part of the names of its fields.
_DATACLASSES = (
  ('config.model.', savos_config.SavosConfig),
  ('config.sampling.', sampling.SamplingConfig),
  ('config.sampling.mask_', mask_noise.MaskNoise),
  ('config.scenes.', scenes_config.SceneConfig),
  ('config.lucid.', lucid.LucidConfig),
  ('config.online.', online.OnlineConfig),
  ('config.train.', objective.Objective),
  ('config.eval.', options.InferenceConfig),
)
# Parameters of functions, and fields of parts of the network.
_PARAMETERS = (
  (davis.load, {'year': 'data.year', 'resolution': 'data.resolution'}),
  (
    embedded_clips.generate,
    {
      'seed': 'seed',
      'size': 'data.embedded_size',
      'train_clips': 'data.embedded_train_clips',
      'val_clips': 'data.embedded_val_clips',
      'frames': 'data.embedded_frames',
    },
  ),
  (pipeline.batches, {'loader': 'data.loader'}),
  (network.load, {'use_ema': 'eval.use_ema', 'use_best': 'eval.use_best'}),
  (aggregation.aggregate, {'background_kind': 'eval.background'}),
  (
    resnet.ResNet,
    {
      name: f'model.{name}'
      for name in (
        'block_counts',
        'width_multiplier',
        'stride_variant',
        'stem_features',
        'stem_pool_padding',
      )
    },
  ),
  (
    decoder.Decoder,
    {
      'features': 'model.decoder_features',
      'attention': 'model.attention',
      'attention_residual': 'model.attention_residual',
      'attention_reduction': 'model.attention_reduction',
      'spatial_kernel_size': 'model.spatial_kernel_size',
    },
  ),
  (
    attention.AttentionModule,
    {
      'features': 'model.decoder_features',
      'attention': 'model.attention',
      'residual': 'model.attention_residual',
      'reduction': 'model.attention_reduction',
      'spatial_kernel_size': 'model.spatial_kernel_size',
    },
  ),
  (attention.ChannelGate, {'reduction': 'model.attention_reduction'}),
  (attention.SpatialGate, {'kernel_size': 'model.spatial_kernel_size'}),
  (
    global_convolution.GlobalConvolutionBlock,
    {
      'features': 'model.decoder_features',
      'kernel_size': 'model.gcb_kernel_size',
    },
  ),
)


def stated_twice():
  for prefix, options_class in _DATACLASSES:
    for field in dataclasses.fields(options_class):
      if f'{prefix}{field.name}' in DEFAULTS:
        yield f'{prefix}{field.name}', options_class, field.default
  for function, names in _PARAMETERS:
    parameters = inspect.signature(function).parameters
    for name, field in names.items():
      yield f'config.{field}', function, parameters[name].default


@pytest.mark.parametrize(
  ('name', 'where', 'stated'),
  [
    pytest.param(*case, id=f'{case[0]}, {case[1].__name__}')
    for case in stated_twice()
  ],
)
def test_the_code_s_default_is_that_of_the_file(name, where, stated):
  assert repr(stated) == repr(DEFAULTS[name]), f'{name}, in {where.__name__}'


def test_every_field_of_a_dataclass_is_in_the_file():
  """But for those that other fields decide."""
  missing = {
    f'{options_class.__name__}.{field.name}'
    for prefix, options_class in _DATACLASSES
    for field in dataclasses.fields(options_class)
    if f'{prefix}{field.name}' not in DEFAULTS
  }
  assert missing == {
    'SamplingConfig.noise',
    'SamplingConfig.lucid',
    'SceneConfig.size',
    'SceneConfig.frames',
    'OnlineConfig.lucid',
    'OnlineConfig.noise',
    'Objective.encoder',
  }


# --- Ranges. ------------------------------------------------------------------

_NO_NUMBERS = ('1', None, True, math.nan, math.inf, -math.inf, (1,), b'1')


def beyond(rule):
  """Yields values at the bounds of a rule and beyond: value, is it allowed."""
  if isinstance(rule, ranges.Number):
    step = 2 if rule.odd else 1
    below = rule.low - step if rule.whole else math.nextafter(rule.low, -9e9)
    over = rule.high + step if rule.whole else math.nextafter(rule.high, 9e19)
    yield from ((rule.low, not rule.above), (rule.high, not rule.below))
    yield below, bool(rule.zero) and below == 0
    yield from ((over, False), (-1 - abs(rule.low), False), (10**400, False))
    if rule.low > 0:
      yield 0, bool(rule.zero)
    yield from ((value, False) for value in _NO_NUMBERS)
    if rule.whole:
      yield float(rule.high), False
    else:
      yield (rule.low + rule.high) / 2, True
    if rule.odd:
      yield 2, False
  elif isinstance(rule, ranges.Choice):
    yield from ((value, True) for value in rule.values)
    yield from ((value, False) for value in ('nonsense', '', None, 1, True))
  elif isinstance(rule, ranges.Switch):
    yield from ((True, True), (False, True))
    yield from ((value, False) for value in (0, 1, 'False', None, math.nan))
  elif isinstance(rule, ranges.Text):
    yield from (('a b', True), ('', bool(rule.empty)), (None, rule.none))
    yield from (('../a', not rule.name), ('..', not rule.name), (' ', False))
    yield from ((value, False) for value in (1, math.nan, b'a', ('a',), True))
  elif isinstance(rule, ranges.Items):
    count = rule.most or max(rule.least, 1)
    for value, allowed in beyond(rule.each):
      yield (value,) * count, allowed
    good = next(value for value, allowed in beyond(rule.each) if allowed)
    yield (good,) * (count + 1), rule.most is None
    yield (good,) * (count - 1), count - 1 >= rule.least
    yield from ((value, False) for value in ([good] * count, good, None, 'a'))
    if rule.rising:
      low, high = rule.each.high / 2, rule.each.high
      yield from (((low, high), True), ((high, low), False))
  else:
    raise TypeError(rule)


def test_every_field_has_a_rule_that_allows_its_default():
  assert set(rules.RULES) == set(DEFAULTS)
  refused = [n for n, r in rules.RULES.items() if not r.allows(DEFAULTS[n])]
  assert not refused


@pytest.mark.parametrize('name', sorted(DEFAULTS))
def test_what_a_field_may_not_be_is_refused_by_its_name(name):
  rule, tried = rules.RULES[name], set()
  for value, allowed in beyond(rule):
    assert rule.allows(value) == allowed, f'{name} = {value!r}'
    tried.add(allowed)
    if allowed:
      continue
    with pytest.raises(errors.SavosError) as caught:
      settings.check(configured({name: value}))
    assert str(caught.value) == (
      f'{name} is {value!r}.\n  Expected {rule.expected}.'
    )
  assert tried == {True, False}


@pytest.mark.parametrize(
  ('name', 'value'),
  [
    ('seed', -1),
    ('model.block_counts', (3, 4, 6)),
    ('model.gcb_kernel_size', 6),
    ('model.rgb_std', (0.0, 1.0, 1.0)),
    ('model.stride_variant', 'v2'),
    ('data.source', 'youtube'),
    ('data.workers', 0),
    ('data.packs', 'a.pack'),
    ('data.val_split', 'a/b'),
    ('sampling.crop_size', (64,)),
    ('sampling.crop_size', (0, 10)),
    ('sampling.crop_size', ('a', 'b')),
    ('sampling.zoom_range', (0.5, 1.0)),
    ('sampling.zoom_range', (2.0, 1.0)),
    ('sampling.max_skip', 0),
    ('sampling.min_object_fraction', -0.1),
    ('sampling.curriculum_steps', -1),
    ('sampling.dream_fraction', 1.1),
    ('sampling.dream_fraction', math.nan),
    ('sampling.mask_scale', (0.0, 1.0)),
    ('sampling.mask_blur', -1.0),
    ('scenes.objects', 17),
    ('scenes.min_area', 0.0),
    ('scenes.close_range', (0.5, 1.5)),
    ('scenes.rotation', 181),
    ('lucid.merge', 'paste'),
    ('lucid.scale', (1.2, 0.8)),
    ('lucid.scale', ('big', 'bigger')),
    ('lucid.spline_points', 2),
    ('lucid.band', 0),
    ('train.steps', 0),
    ('train.log_every', 0),
    ('train.checkpoint_every', 0),
    ('train.keep_checkpoints', 0),
    ('train.keep_checkpoints', -1),
    ('train.accumulation', 0),
    ('train.optimizer', 'lion'),
    ('train.schedule', 'steps'),
    ('train.loss_reduction', 'max'),
    ('train.recurrence', 'none'),
    ('train.seconds', -1.0),
    ('train.momentum', 1.0),
    ('train.ema_decay', 1.0),
    ('train.teacher_forcing_iou', 1.5),
    ('eval.aggregation', 'vote'),
    ('eval.scales', ()),
    ('eval.zoom', 0.5),
    ('eval.stray', 0.3),
    ('eval.memory_frames', 65),
    ('eval.videos', 0),
    ('eval.baselines', ('optical_flow',)),
    ('eval.video_fps', 0.0),
    ('eval.checkpoint_step', -2),
    ('eval.every_steps', -1),
    ('eval.every_frames', 2),
  ],
)
def test_bounds_are_these(name, value):
  assert not rules.RULES[f'config.{name}'].allows(value)


def test_a_video_s_rate_is_what_can_be_written():
  assert rules.RULES['config.eval.video_fps'].high == video_writer._MAX_FPS


# --- Fields that are missing, unknown, or at odds. ----------------------------


def test_fields_are_those_of_the_default():
  config = configured({})
  config.train.stepz = 3
  with pytest.raises(errors.SavosError, match=r'config\.train\.stepz: .*no su'):
    settings.check(config)
  del config.train.stepz
  del config.eval.zoom
  with pytest.raises(errors.SavosError, match=r'config\.eval\.zoom is missing'):
    settings.check(config)
  del config['eval']
  with pytest.raises(errors.SavosError, match=r'config\.eval\.\w+ is missing'):
    settings.check(config)


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    (
      {'train.steps': 10, 'train.warmup_steps': 10},
      r'config\.train\.warmup_steps is 10\.\n.*less than config\.train\.steps',
    ),
    (
      {'train.schedule': 'cosine_seconds'},
      r"config\.train\.seconds is 0, with .*'cosine_seconds'",
    ),
    (
      {'train.batch_size': 6, 'train.accumulation': 4},
      r'config\.train\.batch_size is 6, with .*=4\.\n.*multiple of 4',
    ),
    (
      {'scenes.enabled': True, 'train.steps': 10**9, 'train.batch_size': 8},
      r'config\.train\.steps times batch_size is 8000000000',
    ),
    (
      {'data.val_split': 'held_out'},
      r"config\.data\.val_split is 'held_out', but .* names no sequence",
    ),
    (
      {'eval.every_split': 'held_out'},
      r"config\.eval\.every_split is 'held_out', but .* names no sequence",
    ),
    (
      {'data.train_split': 'held_out', 'data.held_out': ('bear',)},
      r"config\.data\.train_split is 'held_out'",
    ),
    (
      {'data.source': 'tfds', 'data.year': '2016'},
      r"config\.data\.year is '2016'.*\n.*tensorflow_datasets",
    ),
    (
      {'data.source': 'tfds', 'data.resolution': '240p'},
      r"config\.data\.resolution '240p'\.\n.*tensorflow_datasets",
    ),
  ],
)
@pytest.mark.parametrize('mode', ['train_and_evaluate', 'train', 'evaluate'])
def test_fields_at_odds_are_named(fields, message, mode):
  config = configured({f'config.{n}': v for n, v in fields.items()})
  with pytest.raises(errors.SavosError, match=message):
    settings.check(config, mode)


PACKS = {'data.packs': ('a.pack',)}
VALIDATED = {'eval.every_steps': 3}
ALONE = {'data.train_split': ''}


@pytest.mark.parametrize(
  ('fields', 'mode', 'message'),
  [
    ({}, 'evaluate', r'config\.data\.root is not set(.|\n)*davischallenge'),
    ({'data.source': 'segtrack'}, 'evaluate', 'SegTrackv2'),
    ({'data.source': 'embedded'}, 'evaluate', None),
    ({}, 'train', r'config\.data\.root is not set'),
    (PACKS, 'train', None),
    (PACKS | {'data.val_split': 'held_out'}, 'train', None),
    (PACKS, 'train_and_evaluate', r'config\.data\.root is not set'),
    (PACKS | VALIDATED, 'train', r'config\.data\.root is not set'),
    (ALONE, 'train', 'nothing to train on'),
    (ALONE | {'data.stills': ('photos',)}, 'train', None),
    (ALONE | {'data.source': 'segtrack'}, 'train', '--mode=evaluate'),
    (ALONE | {'data.root': '/data'}, 'evaluate', None),
  ],
)
def test_what_must_be_given_depends_on_the_mode(fields, mode, message):
  config = configured({f'config.{n}': v for n, v in fields.items()}, None)
  if message is None:
    settings.check(config, mode)
    return
  with pytest.raises(errors.SavosError, match=message):
    settings.check(config, mode)


# --- The configurations that come with it. ------------------------------------

_STAGES = {
  'pairs': ('held_out', 'all'),
  'shipped': ('held_out', 'all'),
  'rivals_ablation': ROWS,
}


def test_every_configuration_is_allowed():
  folder = pathlib.Path(configs.__file__).parent
  for path in folder.glob('[a-z]*.py'):
    module = importlib.import_module(f'savos_jax.configs.{path.stem}')
    for stage in _STAGES.get(path.stem, (None,)):
      config = module.get_config(*([stage] if stage else []))
      mode = 'evaluate' if path.stem == 'segtrack' else 'train_and_evaluate'
      config.data.root = '/data'
      settings.check(config, mode)
