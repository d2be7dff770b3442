"""Mistakes in configs: their fields, and files that are none."""

from __future__ import annotations

import os

from tests.bad_inputs import case
from uda_jax import main

STREETS = 'streets/self_training'
TOWN = 'streets_to_camvid/self_training'
CELLS = 'cells/self_training'
CUSTOM = 'custom/self_training'
PIPA = 'streets/pipa'
LSE = 'streets/lse'
PIXMATCH = 'streets/pixmatch'
DAFORMER = 'gta5_to_cityscapes/daformer'

# Config, option, what the line says.
_OPTIONS = (
  (
    'streets/cluda',
    '--config.method.pseudo_weight=images',
    "config.method.pseudo_weight: .*did you mean 'image'",
  ),
  # Would run as 'batch' without a word.
  (
    'streets/cluda',
    '--config.method.teacher_bn=emas',
    "config.method.teacher_bn: .*did you mean 'ema'",
  ),
  (
    'streets/cluda',
    '--config.method.cluda_contrast.pixel_order=x',
    "config.method.cluda_contrast.pixel_order: .*got 'x'",
  ),
  (STREETS, '--config.batch.grups=2', r'did you mean config\.batch\.groups'),
  (STREETS, '--config.rounds=7', r'config\.rounds: expected no value here'),
  (STREETS, '--config.stpes=3', r'did you mean config\.steps\?'),
  (STREETS, '--config.method.thresold=1', r'mean config\.method\.threshold\?'),
  (STREETS, '--config.threshold=1', r'config\.method\.threshold'),
  (STREETS, '--config.steps.x=1', r'config\.steps\.x: .* config\.steps is'),
  (STREETS, '--config.data.crop_size=64', r'such as \(64, 64\), got 64'),
  (
    DAFORMER,
    '--config.data.source.ignore_ids=9',
    r'a tuple such as \(9,\), got 9',
  ),
  (STREETS, '--config.data.crop_size=(64,)', r'\(64, 64\), got \(64,\)'),
  (STREETS, '--config.data.crop_size=(64,0)', r'config\.data\.crop_size'),
  (STREETS, '--config.data.crop_size=(1.5,2)', r'whole numbers'),
  (STREETS, '--config.steps=1e3', r'such as 1000, got 1e3'),
  (STREETS, '--config.steps=many', r'a whole number, got many'),
  (STREETS, '--config.steps', r'config\.steps: .* got none'),
  (STREETS, '--config.steps=0', r'config\.steps: expected at least 1'),
  (STREETS, '--config.eval.patience=3', r'eval\.patience: .*every 0'),
  (STREETS, '--config.eval.flip=maybe', r'true or false, got maybe'),
  (STREETS, '--config.eval=3', r'config\.eval: .*one of its fields'),
  (STREETS, '--config.batch.groups=0', r'batch\.groups: .* 1 or more, got 0'),
  (STREETS, '--config.schedule.learning_rate=nan', r'finite number, got nan'),
  (STREETS, '--config.schedule.learning_rate=inf', r'finite number, got inf'),
  (STREETS, '--config.schedule.learning_rate=-1', r'0 or more, got -1'),
  (STREETS, '--config.schedule.shape=cosin', r"expected one of .*'cosine'"),
  (STREETS, '--config.teacher.decay=2', r'0 to 1, got 2'),
  (STREETS, '--config.model.name=mit_b5', r"'encoder_decoder' with encoder="),
  (STREETS, '--config.model.name=hrda', r'config\.model\.encoder: expected a'),
  (STREETS, '--config.model.dtype=float23', r"did you mean 'float32'"),
  (STREETS, '--config.method.name=nope', r'config\.method\.name: expected one'),
  (STREETS, '--config.method.name=pixmatch', r'config\.method\.\w+: expected'),
  (STREETS, "--config.method.add=('masks',)", r'config\.method\.add: expected'),
  (STREETS, '--config.method.weight_distance=1', r'config\.model\.weights'),
  (STREETS, '--config.eval.network=best', r"'student' or 'teacher'"),
  (STREETS, '--config.eval.scales=0', r'config\.eval\.scales'),
  (STREETS, '--config.eval.window=(32,32)', r'config\.eval\.stride'),
  (STREETS, '--config.eval.label_size=(640,)', r'config\.eval\.label_size'),
  (STREETS, '--config.eval.enlarge=labels', r"'logits' or 'probabilities'"),
  (STREETS, '--config.eval.checkpoint=worst', r"'last' or 'best'"),
  (STREETS, '--config.checkpoint.best=best', r'config\.checkpoint\.best'),
  (STREETS, '--config.warm_start.workdir=/nowhere', r'found none at /nowhere'),
  (STREETS, '--config.data.margins=(1,2)', r'margins: expected 4 numbers'),
  (
    STREETS,
    '--config.data.scale_range=(2.,1.)',
    r'scale_range: .* low <= h',
  ),
  (STREETS, '--config.data.source.split=tset', r'source\.split: expected one'),
  (STREETS, '--config.data.source.image_size=(8,8)', r'at least 32'),
  (STREETS, '--config.data.source.kind=folder', r'config\.data\.source\.'),
  (PIPA, '--config.model.heads=()', r'config\.model\.heads: expected a row'),
  (CUSTOM, '--config.data.source.label_map=(0,1)', r'rows \(raw id, train id'),
  (CUSTOM, '--config.data.source.class_names=road', r'class_names: expected'),
  (CUSTOM, "--config.data.source.class_names=('road',)", r'2 to 254 names'),
  (CUSTOM, "--config.data.source.class_names=('a','b')", r'the classes of'),
  (
    CUSTOM,
    '--config.data.source.label_map=((7,0),(7,1))',
    r'each raw id once, got 7',
  ),
  (CUSTOM, '--config.data.evaluation.labels=', r'evaluation\.labels: expected'),
  (DAFORMER, '--config.model.weights=', r'config\.model\.weights: expected'),
  # Numbers that are none, too large or too small.
  (STREETS, '--config.seed=-1', r'config\.seed'),
  (STREETS, '--config.seed=99999999999999999999', r'config\.seed'),
  (STREETS, '--config.steps=99999999999999999999', r'config\.steps'),
  (STREETS, '--config.steps=nan', r'config\.steps'),
  (STREETS, '--config.steps=-5', r'config\.steps'),
  (STREETS, '--config.devices=-1', r'config\.devices'),
  (STREETS, '--config.batch.group_size=-1', r'config\.batch\.group_size'),
  (STREETS, '--config.batch.accumulate=0', r'config\.batch\.accumulate'),
  (STREETS, '--config.teacher.decay=nan', r'config\.teacher\.decay'),
  (STREETS, '--config.optim.weight_decay=nan', r'config\.optim\.weight_decay'),
  (STREETS, '--config.optim.clip_norm=nan', r'config\.optim\.clip_norm'),
  (STREETS, '--config.method.threshold=nan', r'config\.method\.threshold'),
  (STREETS, '--config.log.every=0', r'config\.log\.every'),
  (STREETS, '--config.log.seconds=nan', r'config\.log\.seconds'),
  (STREETS, '--config.checkpoint.every=0', r'config\.checkpoint\.every'),
  (STREETS, '--config.checkpoint.keep=0', r'config\.checkpoint\.keep'),
  (STREETS, '--config.checkpoint.keep_every=7', r'checkpoint\.keep_every'),
  (STREETS, '--config.eval.every=-1', r'config\.eval\.every'),
  (STREETS, '--config.eval.batch_size=0', r'config\.eval\.batch_size'),
  (STREETS, '--config.eval.scales=(nan,)', r'config\.eval\.scales'),
  (STREETS, '--config.eval.scales=(1e999,)', r'config\.eval\.scales'),
  (STREETS, '--config.eval.scales=()', r'config\.eval\.scales'),
  (STREETS, "--config.eval.scales=('a',)", r'config\.eval\.scales'),
  (STREETS, '--config.data.scale_range=(nan,1.0)', r'data\.scale_range'),
  (STREETS, '--config.data.scale_range=(0.0,1.0)', r'data\.scale_range'),
  (STREETS, '--config.data.scale_range=(1.0,1e999)', r'data\.scale_range'),
  (STREETS, '--config.data.max_class_share=nan', r'data\.max_class_share'),
  (STREETS, '--config.data.on_error=ignore', r'data\.on_error'),
  (STREETS, '--config.data.margins=(-1,0,0,0)', r'data\.margins'),
  (STREETS, '--config.data.resize=cubic', r'data\.resize'),
  (STREETS, '--config.data.cache_dir=', r'data\.cache_dir'),
  (STREETS, '--config.data.source.num_images=0', r'source\.num_images'),
  (STREETS, '--config.data.source.num_images=-3', r'source\.num_images'),
  (STREETS, '--config.data.source.gap=(nan,0.0)', r'data\.source\.gap'),
  (
    TOWN,
    "--config.data.source.without=('lights',)",
    r'source\.without.*lights',
  ),
  (CELLS, '--config.data.source.lab=green', r'data\.source\.lab.*green'),
  (STREETS, '--config.data.source.seed=-1', r'data\.source\.seed'),
  (STREETS, '--config.data.source.kind=', r'data\.source\.kind'),
  (STREETS, '--config.model.in_channels=0', r'model\.in_channels'),
  (STREETS, '--config.model.in_channels=4', r'data\.source'),
  (STREETS, '--config.parallel.heartbeat_seconds=nan', r'heartbeat_seconds'),
  (STREETS, '--config.parallel.heartbeat_seconds=0.0', r'heartbeat_seconds'),
  (STREETS, '--config.parallel.shard=most', r'parallel\.shard'),
  (STREETS, '--config.parallel.slow_step=nan', r'parallel\.slow_step'),
  (STREETS, '--config.model.weights=/nowhere.pth', r'model\.weights: .*/nowh'),
  (STREETS, '--config.model.weights=/', r'model\.weights'),
  # Would be without effect, or run into nothing.
  (
    STREETS,
    '--config.schedule.length=9',
    r'schedule\.length: .*config\.steps=',
  ),
  (DAFORMER, '--config.method.distance_classes=(6,25)', r'distance_.*got 25'),
  (STREETS, '--config.data.margins=(.5,.5,.0,.0)', r'data\.margins: .*leave'),
  (STREETS, '--config.data.pair.overlap=(.9,.1)', r'overlap: .*\(lowest, high'),
  (PIPA, '--config.data.pair.long_side=(0,0)', r'data\.pair\.long_side'),
  (PIXMATCH, '--config.method.crop_area=(.5,.2)', r'crop_area: .*\(lowest, hi'),
  (PIXMATCH, '--config.method.crop_area=(.5,2.)', r'crop_area: .*got 2'),
  (PIXMATCH, '--config.method.crop_aspect=(.0,1.)', r'crop_aspect: .*above 0'),
  (
    CUSTOM,
    '--config.model.dropout=10',
    r'model\.dropout: .* 0 to 0.99, got 10',
  ),
  (CUSTOM, '--config.model.width=0', r'model\.width: .* 1 or more, got 0'),
  (DAFORMER, '--config.model.drop_path=1', r'model\.drop_path: .* 0 to 0.99'),
  (LSE, '--config.rounds.skip_classes=(99,)', r'rounds\.skip_classes.*got 99'),
  (LSE, '--config.rounds.p_start=nan', r'rounds\.p_start'),
  (LSE, '--config.rounds.p_start=0.0', r'rounds\.p_start'),
  (LSE, '--config.rounds.p_step=-0.1', r'rounds\.p_step'),
  (LSE, '--config.rounds.divisor=0', r'rounds\.divisor'),
  (LSE, '--config.rounds.patches_per_image=0', r'rounds\.patches_per_image'),
  (LSE, '--config.rounds.window=(0,0)', r'rounds\.window'),
  (LSE, '--config.rounds.epochs=-1', r'rounds\.epochs'),
)

# Content of a config file, what the line says.
_FILES = (
  ('empty', '', 'get_config'),
  ('a syntax error', 'def get_config(:\n', r'config\.py.*line 1|SyntaxError'),
  ('an import that fails', 'import nothing_like_it\n', 'nothing_like_it'),
  ('an exception', 'def get_config():\n  return 1 / 0\n', 'division by zero'),
  ('no config', 'def get_config():\n  return None\n', 'ConfigDict|expected'),
  ('a name for it', 'get_config = 3\n', 'get_config'),
  ('an argument', 'def get_config(a):\n  return a\n', 'get_config|argument'),
  ('zeros', 'x = 1\0\n', r'config\.py'),
  (
    'an empty config',
    """
import ml_collections
def get_config():
  return ml_collections.ConfigDict()
""",
    r'config',
  ),
)

# What a file sets that no command line could, what the line says.
_SET = (
  ('stpes = 3', r'config\.stpes: there is no such .* config\.steps\?'),
  ('eval.evry = 50', r'config\.eval\.evry: .* mean config\.eval\.every\?'),
  ('eval.label_free.num = 3', r'config\.eval\.label_free\.num: there is no'),
  ('optim.weigth_decay = 0.1', r'config\.optim\.weigth_decay: there is no'),
  ('optim.low_rank.rnk = 4', r'config\.optim\.low_rank\.rnk: there is no'),
  ('schedule.warmup = 9', r'mean config\.schedule\.warmup_steps or'),
  ('teacher.decy = 0.9', r'config\.teacher\.decy: there is no such field'),
  ('data.crop_sise = (8, 8)', r'config\.data\.crop_sise: there is no such'),
  ('data.pair.overlaps = (0, 1)', r'config\.data\.pair\.overlaps: there is'),
  ('model.in_chanels = 4', r'mean config\.model\.in_channels\?'),
  ('eval.subsets.update(dict(few=(1, 1)))', r"subsets\['few'\]: .*each once"),
  (
    'eval.update(dict(window=(32, 32), stride=(32, 33)))',
    r'config\.eval\.stride .* \(32, 32\), .* got \(32, 33\)',
  ),
  (
    "optim.update(dict(frozen=('head')))",
    r"optim\.frozen: expected a tuple, got 'head'; .* \('head',\)",
  ),
  ("optim.groups = (('head', '10', 1.0),)", r'optim\.groups: .* of numbers'),
  ("optim.groups = (('head', -10.0, 1.0),)", r'optim\.groups: .* 0 or more'),
  ('data.update(dict(flip=2))', r'data\.flip: expected True or False, got 2'),
  ('data.update(dict(root=None))', r'data\.root: expected a text, got None'),
  ('teacher.update(dict(ramp=None))', r'teacher\.ramp: expected True or False'),
  ("model.update(dict(new_classifier='no'))", r'model\.new_classifier: .*True'),
  ("eval.update(dict(flip='False'))", r'flip: expected False without quotes'),
)


def _set(change):
  content = f"""
from uda_jax import configs
def get_config():
  config = configs.load({STREETS!r}).unlock()
  with config.ignore_type():
    config.{change}
  return config
"""
  return _file(content)


def _train(folder, config, *options):
  main.main([f'--config={config}', f'--workdir={folder / "out"}', *options])


def _option(config, option):
  return lambda folder: _train(folder, config, option)


def _file(content):
  def run(folder):
    (folder / 'config.py').write_text(content)
    _train(folder, folder / 'config.py')

  return run


def _path(make):
  def run(folder):
    make(folder / 'config.py')
    _train(folder, folder / 'config.py')

  return run


CASES = (
  *(
    case.Case(option[2:], _option(config, option), line)
    for config, option, line in _OPTIONS
  ),
  *(case.Case(name, _file(content), line) for name, content, line in _FILES),
  *(case.Case(change, _set(change), line) for change, line in _SET),
  case.Case('a folder', _path(os.mkdir), r'config.*config\.py'),
  case.Case('a link to itself', _path(case.loop), r'config.*config\.py'),
  case.Case(
    'a picture', _path(lambda p: p.write_bytes(b'\x89PNG\r\n')), r'config\.py'
  ),
  case.Case('no name', lambda folder: _train(folder, ''), 'config'),
)
