"""Writes the ONNX graphs of the shipped weights, beside them.

  python tests/golden/shipped_graphs.py

After each change of the network or of `exporting`; a test compares them.
"""

from savos_jax import checkpoints
from savos_jax import network
from savos_jax.exporting import onnx_folder

if __name__ == '__main__':
  path = checkpoints.find(checkpoints.DEFAULT)
  onnx_folder.write_beside(path, network.load(path))
