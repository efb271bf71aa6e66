#!/usr/bin/env bash
# Trains configs/pairs.py, the start of launch/gpu/train.sh; from a fresh clone:
#
#   make install
#   SAVOS_DATA=/path/to/data launch/train_pairs.sh runs/pairs
#
# SAVOS_DATA holds DAVIS/ (2016, train and val) and stills/ (folders of photos
# with images/ and masks/). Three hours on 2 quiet cores. After an interruption,
# the same command continues.
set -euo pipefail

data=${SAVOS_DATA:?the folder with DAVIS/ and stills/}
out=${1:?the folder that gets the results}
python=${PYTHON:-.venv/bin/python}
mkdir -p "$out"

backbone=$out/open_nsfw.safetensors
[[ -f $backbone ]] || launch/open_nsfw.sh "$backbone"

# Trains a stage from a file: STAGE FROM. Writes its curves as table and picture.
train() {
  "$python" -m savos_jax.main --config="configs/pairs.py:$1" \
    --workdir="$out/$1" --config.model.pretrained="$2" \
    --config.data.root="$data/DAVIS" \
    --config.data.stills="($(printf "'%s'," "$data"/stills/*/))" \
    --config.data.background_cache="$out/backgrounds"
  "$python" -m savos_jax.tools.curves "$out/$1" \
    --csv="$out/$1.csv" --png="$out/$1.png" --overwrite
}

first=$out/held_out.safetensors
if [[ ! -f $first ]]; then
  train held_out "$backbone"
  "$python" -m savos_jax.tools.export_checkpoint "$out/held_out" --out="$first"
fi
train all "$first"
"$python" -m savos_jax.tools.export_checkpoint "$out/all" \
  --dtype=float16 --out="$out/pairs.safetensors" --overwrite
