"""ONNX files of functions, by jax2onnx; an extra that is loaded on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import importlib.util
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax.models import depthwise

INSTALL = "needs: pip install 'uda_jax[onnx]'"
_PACKAGES = ('jax2onnx', 'onnx', 'onnxruntime')


def require() -> None:
  """Raises ImportError with the install command if packages are missing."""
  missing = [name for name in _PACKAGES if not importlib.util.find_spec(name)]
  if missing:
    raise ImportError(
      f'--onnx: the package {missing[0]} is not installed; {INSTALL}'
    )


def write(
  function: Callable[[jax.Array], dict[str, jax.Array]],
  shape: tuple[int, ...],
  path: pathlib.Path,
  metadata: Mapping[str, str],
  outputs: Sequence[str] = ('ids', 'logits'),
) -> None:
  """Writes a function of one uint8 array as a single ONNX file.

  Args:
    function: returns `outputs` by name.
    shape: of the array; fixed, as the shapes inside the network are.
    path: the file.
    metadata: texts that the file states about itself, by name.
    outputs: their names.
  """
  import jax2onnx
  import onnx

  def in_order(images: jax.Array) -> tuple[jax.Array, ...]:
    found = function(images)
    return tuple(found[name] for name in outputs)

  try:
    # The mode 'web' stores the weights in the file.
    with depthwise.traced_as('conv'):
      jax2onnx.to_onnx(
        in_order,
        [jax.ShapeDtypeStruct(shape, jnp.uint8)],
        return_mode='file',
        output_path=str(path),
        export_mode='web',
        input_names=['images'],
        output_names=list(outputs),
      )
  except Exception as error:  # jax2onnx has no exception class of its own.
    raise ValueError(
      '--onnx: jax2onnx cannot convert this network '
      f'({type(error).__name__}: {error!s:.300})'
    ) from error
  model = onnx.load(path)
  onnx.helper.set_model_props(model, dict(metadata))
  onnx.save(model, path)


def run(path: pathlib.Path, images: np.ndarray) -> dict[str, np.ndarray]:
  """Runs a file of `write` with ONNX Runtime, on the CPU."""
  import onnxruntime

  options = onnxruntime.SessionOptions()
  options.log_severity_level = 3  # Errors only, no warnings of unused names.
  session = onnxruntime.InferenceSession(
    path, options, providers=['CPUExecutionProvider']
  )
  names = [output.name for output in session.get_outputs()]
  return dict(zip(names, session.run(None, {'images': images})))
