"""Programs compiled for chips: what is read from HLO, bounds, one config."""

import json
import subprocess
import sys

import pytest

from benchmarks import bounds
from benchmarks import chips
from benchmarks import compiled
from benchmarks import compiled_program
from benchmarks import compiled_tables
from benchmarks import hlo
from benchmarks import hlo_traffic

# As XLA prints a module after its passes: names with %, layouts, a loop of 5
# runs, memory on the chip as S(1).
MODULE = """\
HloModule jit_update, is_scheduled=true

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  %b = f32[] parameter(1)
  ROOT %sum = f32[] add(%a, %b)
}

%fused_slice (p.0: f32[5,8], p.1: s32[]) -> f32[8] {
  %p.0 = f32[5,8]{1,0} parameter(0)
  %p.1 = s32[] parameter(1)
  %z = s32[] constant(0)
  %row = f32[1,8]{1,0} dynamic-slice(%p.0, %p.1, %z)
  ROOT %flat = f32[8]{0} bitcast(%row)
}

%fused_move (p.2: f32[8]) -> f32[8] {
  %p.2 = f32[8]{0} parameter(0)
  ROOT %moved = f32[8]{0} copy(%p.2)
}

%body (arg: (s32[], f32[5,8], f32[8])) -> (s32[]) {
  %arg = (s32[], f32[5,8]{1,0}, f32[8]{0}) parameter(0)
  %i = s32[] get-tuple-element(%arg), index=0
  %rows = f32[5,8]{1,0} get-tuple-element(%arg), index=1
  %fusion.1 = f32[8]{0} fusion(%rows, %i), kind=kLoop, calls=%fused_slice
  %all-reduce.1 = f32[8]{0} all-reduce(%fusion.1), to_apply=%add
  ROOT %out = (s32[], f32[5,8]{1,0}, /*index=2*/f32[8]{0}) tuple(%i, %rows, \
%all-reduce.1)
}

%condition (arg.1: (s32[], f32[5,8], f32[8])) -> pred[] {
  %arg.1 = (s32[], f32[5,8]{1,0}, f32[8]{0}) parameter(0)
  ROOT %less = pred[] constant(true)
}

ENTRY %main (x: f32[8], y: (s32[], f32[5,8], f32[8])) -> f32[8] {
  %x = f32[8]{0:T(256)} parameter(0)
  %y = (s32[], f32[5,8]{1,0}, f32[8]{0}) parameter(1)
  %loop = (s32[], f32[5,8]{1,0}, f32[8]{0}) while(%y), \
condition=%condition, body=%body, backend_config={"known_trip_count":{"n":"5"}}
  %last = f32[8]{0} get-tuple-element(%loop), index=2
  %fusion.2 = f32[8]{0:T(256)S(1)} fusion(%last), kind=kLoop, calls=%fused_move
  %start = (f32[8]{0}, f32[16]{0}) all-gather-start(%fusion.2), dimensions={0}
  %done = f32[16]{0} all-gather-done(%start)
  %call = (f32[8]{0}, s8[1000]{0}) custom-call(%x, %last), \
custom_call_target="__cublas$gemm", metadata={op_name="jit(f)/dot"}
  ROOT %result = f32[8]{0} get-tuple-element(%call), index=0
}
"""


def test_collectives_in_loops_count_as_often_as_they_run():
  assert hlo.collectives(MODULE) == {
    'all-reduce': hlo.Collectives(5, 5 * 8 * 4),
    # The result alone, not the operand beside it.
    'all-gather': hlo.Collectives(1, 16 * 4),
  }
  assert hlo.loops_without_count(MODULE) == 0
  assert hlo.loops_without_count(MODULE.replace('known_trip', 'other')) == 1


def test_sizes_of_shapes():
  assert hlo.size('(bf16[2,3]{1,0}, s32[], pred[7]{0}, token[])') == 12 + 4 + 7
  assert hlo.size('(f32[8]{0:T(256)S(1)}, f32[1])', chip=False) == 4
  with pytest.raises(ValueError, match="'f99'"):
    hlo.size('f99[2]')


def test_traffic_counts_slices_loops_and_no_memory_on_the_chip():
  kinds, places, kernels = hlo_traffic.count(MODULE)
  assert kinds == {
    # Five times: a row of the five is read (and the index), a row written.
    'fusion': 5 * (32 + 4 + 32),
    'all-reduce': 5 * (32 + 32),
    # The result stays on the chip, and the collective reads it there.
    'fusion (copy)': 32,
    # Two operands, one result; no workspace.
    '__cublas$gemm': 3 * 32,
  }
  # Two in each run of the loop; a fusion, a collective and a call after it.
  assert kernels == 5 * 2 + 3
  assert places == {'jit(f)/dot': 3 * 32, '': sum(kinds.values()) - 3 * 32}


@pytest.mark.parametrize(('chip', 'gib'), [('', 3.0), ('gpu_', 4.0)])
def test_memory_inside_of_a_core_is_not_the_chips(tmp_path, chip, gib):
  name = f'module_0001.jit_update.{chip}after_optimizations'
  report = tmp_path / f'{name}-memory-usage-report.txt'
  (tmp_path / f'{name}.txt').write_text(MODULE)
  assert compiled_program.from_dump(tmp_path) is None
  report.write_text('')  # about to be written
  assert compiled_program.from_dump(tmp_path) is None
  report.write_text(
    f'Memory Space: default (color=0)\nTotal bytes: {3 * 2**30} (3.00GiB)\n\n'
    f'Memory Space: (color=1)\nTotal bytes: {2**30} (1.00GiB)\n'
  )
  assert compiled_program.from_dump(tmp_path)['peak_gib'] == gib


def test_bounds_have_their_units():
  chip = chips.Chip(
    16, bandwidth=2e12, rates={'float32': 1e13}, link=1e11, host=4, network=1e9
  )
  found = bounds.seconds(
    chip,
    flops=2e13,
    traffic=1e12,
    precision='float32',
    reduced=1e9,
    devices=4,
  )
  # A ring of four sends 2 * 3 / 4 of the bytes.
  assert found == dict(compute=2.0, memory=0.5, network=pytest.approx(0.015))
  assert bounds.limit(found) == 'compute'
  assert bounds.all_reduce(chip, 1e9, 1) == 0.0
  # Two hosts exchange a quarter of the bytes per chip over the slow network.
  assert bounds.all_reduce(chip, 1e9, 8) == pytest.approx(0.25)


def test_the_rate_is_that_of_the_networks_precision():
  rate = lambda dtype, precision: bounds.precision(
    dict(dtype=dtype, matmul_precision=precision)
  )
  assert rate('float32', 'highest') == 'float32'
  assert rate('float32', 'default') == 'default'
  assert rate('bfloat16', 'default') == 'bfloat16'
  for chip in chips.CHIPS.values():
    assert set(chip.rates) == {'float32', 'default', 'bfloat16'}


def test_published_configs_have_a_step_for_each_phase():
  parts = lambda name: compiled_program.parts(
    compiled_program.load(compiled_program.Program(name, '', ''))
  )
  assert parts('gta5_to_cityscapes/daformer') == ['step 0', 'evaluation']
  assert parts('gta5_to_cityscapes/pipa') == [
    'step 0',
    'step 1',
    'evaluation',
  ]
  remat = lambda name: compiled_program.changes(
    'remat', compiled_program.load(compiled_program.Program(name, '', ''))
  )
  # HRDA recomputes as published; FCN-8s has no blocks.
  assert [
    remat(f'gta5_to_cityscapes/{name}') for name in ('daformer', 'hrda', 'lse')
  ] == [True, False, False]


def test_stopped_programs_are_tried_again_with_more_time():
  stopped = {'stage': 'stopped', 'minutes': 15}
  assert compiled.is_done(stopped, 15) and not compiled.is_done(stopped, 16)
  assert compiled.is_done({'stage': 'failed'}, 16)
  assert not compiled.is_done(None, 1)


def test_time_of_the_authors_is_that_of_a_step():
  find = compiled_tables.authors_seconds
  # 16 hours for 40000 steps.
  name = 'gta5_to_cityscapes/daformer'
  assert find(name, 'step 0') == '1.4 (RTX 2080 Ti)'
  assert find(name, 'evaluation') == ''
  assert find('gta5_to_cityscapes/cluda', 'step 0') == ''


def test_a_config_compiles_and_its_records_make_a_table(tmp_path):
  program = compiled_program.Program(
    'tests/tiny_config.py', 'evaluation', 'cpu'
  )
  record = compiled_program.facts(program)
  assert record['stage'] == 'compiled' and record['loops_without_count'] == 0
  # The only products: the tiny network's convolutions.
  assert 0 < record['tflops'] * 1e12 < record['xla']['flops']
  # Nothing loops here, so that XLA's own count is about the same.
  assert record['traffic_gb'] * 1e9 == pytest.approx(
    record['xla']['bytes accessed'], rel=0.1
  )
  path = compiled.path_of(tmp_path, program.config)
  path.parent.mkdir()
  stopped = dict(record, part='step 0', stage='stopped', after='traced')
  stopped |= dict(wall_minutes=15.0, minutes=15)
  path.write_text(json.dumps({program.key: record, 'other': stopped}))
  page = compiled_tables.page(tmp_path)
  assert '| `tests/tiny_config.py` | evaluation | - | - |' in page
  assert 'step 0: stopped after 15 minutes of XLA' in page


def test_the_command_loads_no_tensorflow():
  subprocess.run(
    [
      sys.executable,
      '-c',
      'import sys; from benchmarks import compiled_tables;'
      'assert "tensorflow" not in sys.modules',
    ],
    check=True,
  )
