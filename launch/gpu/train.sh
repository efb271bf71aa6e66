#!/usr/bin/env bash
# Job 4: trains configs/shipped.py on one GPU, from packs.
#
#   SECONDS_A_STAGE=240 launch/gpu/train.sh OUT one.pack two.pack
#
# OUT receives the networks as float16, in parts of 15 MB (joined again by
# `cat all.safetensors.* > all.safetensors`), and the curves, in STAGE/logs (for
# TensorBoard, and for savos_jax.tools.curves OUT/STAGE): every minute the state
# of the last checkpoint, and the final one at the end (FLAGS=
# '--config.train.checkpoint_every=400' saves one every half minute). FROM=FILE
# starts from another network than the shipped one; FLAGS are added to those of
# the training. STAGES='held_out' leaves out the five held-out sequences, starting
# from a network that has not seen them either: launch/train_pairs.sh makes one.
set -euo pipefail

out=${1:?the folder that gets the results}
shift
packs=("${@:?files of savos_jax.tools.pack}")
python=${PYTHON:-python3}
work=${WORK:-${TMPDIR:-/tmp}/savos_rivals}
seconds=${SECONDS_A_STAGE:?seconds of each stage}
mkdir -p "$out" "$work"
export XLA_PYTHON_CLIENT_MEM_FRACTION=${XLA_PYTHON_CLIENT_MEM_FRACTION:-0.9}

# Writes the current state of a stage to OUT. The CPU is enough for that.
save() {
  mkdir -p "$out/$1/logs"
  cp "$work/$1"/logs/events.out.tfevents.* "$out/$1/logs"
  cp "$work/$1/logs/log.txt" "$out/$1.log"
  JAX_PLATFORMS=cpu "$python" -m savos_jax.tools.export_checkpoint \
    "$work/$1" --dtype=float16 --compute_dtype=float32 \
    --out="$work/$1.safetensors" --overwrite
  split -b 15000000 "$work/$1.safetensors" "$out/$1.safetensors."
}

# Trains a stage from a network: STAGE FROM.
train() {
  while sleep 60; do save "$1" >/dev/null 2>&1 || true; done &
  local watcher=$!
  "$python" -m savos_jax.main --config="configs/shipped.py:$1" --mode=train \
    --workdir="$work/$1" --config.model.pretrained="$2" \
    --config.model.compute_dtype=bfloat16 \
    --config.data.packs="($(printf "'%s'," "${packs[@]}"))" \
    --config.data.workers="$(nproc)" \
    --config.train.seconds="$seconds" ${FLAGS:-} || { kill $watcher; return 1; }
  kill $watcher
  wait $watcher 2>/dev/null || true
  save "$1"
}

from=${FROM-default}
for stage in ${STAGES:-all}; do
  train "$stage" "$from"
  from=$work/$stage.safetensors
done
