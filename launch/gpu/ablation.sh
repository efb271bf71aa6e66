#!/usr/bin/env bash
# Trains the rows of configs/rivals_ablation.py side by side on one GPU, and
# scores them on sets that none of them was trained on.
#
#   launch/gpu/ablation.sh OUT BACKBONE CHOICE NEW PACK...
#
# BACKBONE is launch/open_nsfw.sh's file, '' for random weights. CHOICE contains
# the data sets for model selection in DAVIS's layout, one folder each: `held_out`
# of 2016, all others of 2017. NEW is a pack of photos that the row 'plain' does
# without; PACK holds the training data of all rows. OUT receives NAME.log, and
# scores.txt with a line per network, data set and inference setting. The trained
# networks are in WORK (default: OUT.work), where SKIP_TRAINING=1 scores them
# again. ROWS selects rows of the configuration, by default all; PARALLEL is the
# number of networks scored at once (default: half the processors).
set -euo pipefail

out=${1:?the folder that gets the results}
backbone=${2?the file of launch/open_nsfw.sh}
choice=${3:?the folder of the data sets to choose by}
new=${4:?the pack that the row "plain" is left without}
shift 4
packs=("${@:?files of savos_jax.tools.pack}")
python=${PYTHON:-python3}
work=${WORK:-$out.work}
mkdir -p "$out" "$work"
# The networks share the memory, so each allocates only what it needs.
export XLA_PYTHON_CLIENT_PREALLOCATE=false
export JAX_COMPILATION_CACHE_DIR=${JAX_COMPILATION_CACHE_DIR:-$work/xla}

# Trains a row: ROW SEED.
train() {
  local with=("${packs[@]}")
  [[ $1 == plain ]] || with+=("$new")
  "$python" -m savos_jax.main --config="configs/rivals_ablation.py:$1" \
    --mode=train --workdir="$work/$1$2" --config.seed="$2" \
    --config.model.compute_dtype=bfloat16 \
    --config.model.pretrained="$backbone" --config.data.workers=2 \
    --config.data.packs="($(printf "'%s'," "${with[@]}"))" \
    ${FLAGS:-} >"$out/$1$2.log" 2>&1 || tail -n 3 "$out/$1$2.log"
}

# Scores a network: NAME SET ZOOM MEMORY.
score() {
  local folder=$work/$1-$2-$3-$4 year=2017
  [[ $2 == held_out ]] && year=2016
  "$python" -m savos_jax.main --config=configs/shipped.py --mode=evaluate \
    --workdir="$folder" --config.eval.checkpoint="$work/$1" \
    --config.data.root="$choice/$2" --config.data.year="$year" \
    --config.eval.zoom="$3" --config.eval.memory_frames="$4" \
    --config.eval.baselines='()' --config.eval.report=False \
    --config.eval.strips=False ${SCORE_FLAGS:-} >"$folder.log" 2>&1 ||
    { tail -n 3 "$folder.log"; return 0; }
  # The last line of the official table: J&F, J mean, ...; F mean, ....
  echo "$1 $2 zoom=$3 memory=$4 $(tail -n 1 \
    "$folder"/results/global_results-*.csv)" >>"$out/scores.txt"
}

names=()
for row in ${ROWS:-plain photos rivals joint look_back recurrence paper}; do
  seeds=0
  [[ $row == look_back || $row == recurrence ]] && seeds='0 1'
  for seed in $seeds; do
    names+=("$row$seed")
    [[ -n ${SKIP_TRAINING:-} ]] || train "$row" "$seed" &
  done
done
wait
export -f score
export python work choice out
for name in "${names[@]}"; do
  memories=0
  [[ $name == look_back* || $name == recurrence* ]] && memories='0 3'
  for memory in $memories; do
    for folder in "$choice"/*/; do
      zoom=0
      [[ $folder == */held_out/ ]] && zoom=2
      echo "$name $(basename "$folder") $zoom $memory"
    done
  done
done | xargs -P "${PARALLEL:-$((($(nproc) + 1) / 2))}" -L 1 \
  bash -c 'score "$@"' score
sort "$out/scores.txt"
