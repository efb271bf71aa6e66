#!/usr/bin/env bash
# Job 4: trains configs/rivals.py on one GPU, both stages, from packs.
#
#   SECONDS_A_STAGE=240 launch/gpu/train.sh OUT one.pack two.pack
#
# OUT gets the networks as float16, in parts of 15 MB (put together again by
# `cat held_out.safetensors.* > held_out.safetensors`), and the curves. What is
# done is written when it is done: a stage that is cut short leaves its last.
set -euo pipefail

out=${1:?the folder that gets the results}
shift
packs=("${@:?files of savos_jax.tools.pack}")
python=${PYTHON:-python3}
work=${WORK:-/tmp/savos_rivals}
seconds=${SECONDS_A_STAGE:?seconds of each stage}
mkdir -p "$out" "$work"
export XLA_PYTHON_CLIENT_MEM_FRACTION=${XLA_PYTHON_CLIENT_MEM_FRACTION:-0.9}

# Trains a stage from a network: STAGE FROM.
train() {
  "$python" -m savos_jax.main --config="configs/rivals.py:$1" --mode=train \
    --workdir="$work/$1" --config.model.pretrained="$2" \
    --config.data.packs="($(printf "'%s'," "${packs[@]}"))" \
    --config.data.workers="$(nproc)" \
    --config.train.seconds="$seconds" ${FLAGS:-}
  cp "$work/$1/logs/log.txt" "$out/$1.log"
  cp "$work/$1/logs/metrics.jsonl" "$out/$1.jsonl" 2>/dev/null || true
  "$python" -m savos_jax.tools.export_checkpoint "$work/$1" \
    --dtype=float16 --out="$work/$1.safetensors"
  split -b 15000000 "$work/$1.safetensors" "$out/$1.safetensors."
}

train held_out "${FROM:-default}"
train all "$work/held_out.safetensors"
