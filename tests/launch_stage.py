"""A folder in which a launcher is played through.

`tests/stand_ins/` has a process of a run, srun, scontrol, gcloud and kubectl,
which end, signal and requeue as the real ones do.
"""

import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parents[1]
STAND_INS = ROOT / 'tests' / 'stand_ins'
FLAGS = ('--config=streets/mic', '--workdir=/shared/a run')
# Environment of the launchers of TPUs.
TPU = {
  'NAME': 'pod',
  'ZONE': 'zone',
  'TYPE': 'v5litepod-16',
  'RUNTIME': 'v2-tpuv5-litepod',
}


class Stage:
  """A folder with the plans of the processes, and what they did."""

  def __init__(self, folder, *plans):
    self.folder = folder
    for number, plan in enumerate(plans):
      self.write(f'plan.{number}', plan.replace(', ', '\n') + '\n')

  def write(self, name, text):
    (self.folder / name).write_text(text)

  def read(self, name):
    path = self.folder / name
    return path.read_text() if path.exists() else ''

  def starts(self, number=0):
    return len(self.read(f'started.{number}').splitlines())

  def start(self, script, *arguments, cwd=ROOT, **environment):
    """Starts a launcher with the stand-ins first on its path."""
    path = [str(STAND_INS), str(pathlib.Path(sys.executable).parent)]
    own = {
      'PATH': os.pathsep.join((*path, os.environ['PATH'])),
      'PYTHON': str(STAND_INS / 'python'),
      'PLAYS': str(self.folder),
      'PAUSE': '0',
      'POLL': '0.05',
    }
    return subprocess.Popen(
      [str(ROOT / 'launch' / script), *arguments],
      cwd=cwd,
      env=os.environ | own | environment,
      text=True,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
    )

  def run(self, *args, **kwargs):
    """Returns exit code and output."""
    process = self.start(*args, **kwargs)
    try:
      output, _ = process.communicate(timeout=30)
    finally:
      process.kill()
    return process.returncode, output

  def wait(self, name):
    """Waits for a file and returns its content."""
    for _ in range(1000):
      if text := self.read(name):
        return text
      time.sleep(0.02)
    raise AssertionError(f'{name} does not appear')
