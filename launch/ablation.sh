#!/usr/bin/env bash
# The paper's Table 3 at a budget for a laptop: three networks, two seeds each.
#
#   make install
#   SAVOS_DATA=/path/to/data launch/ablation.sh runs/ablation
#
# SAVOS_DATA holds DAVIS/ (2016, train and val). An hour on 2 quiet cores.
# After an interruption, the same command continues.
set -euo pipefail

data=${SAVOS_DATA:?the folder with DAVIS/}
out=${1:?the folder that gets the results}
python=${PYTHON:-.venv/bin/python}
mkdir -p "$out"

backbone=$out/open_nsfw.safetensors
[[ -f $backbone ]] || launch/open_nsfw.sh "$backbone"

run() { # NAME FLAGS...
  local name=$1
  shift
  for seed in 0 1; do
    "$python" -m savos_jax.main --config=configs/ablation.py \
      --workdir="$out/$name$seed" --config.seed="$seed" \
      --config.model.pretrained="$backbone" --config.data.root="$data/DAVIS" \
      --config.data.background_cache="$out/backgrounds" "$@"
  done
}

run basic --config.model.attention=False --config.sampling.dream_fraction=0
run dream --config.model.attention=False
run attention
tail -n +1 "$out"/*/results/global_results-val.csv
