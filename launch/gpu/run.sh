#!/usr/bin/env bash
# Runs the jobs in this folder one after another, each with a time limit.
#
#   launch/gpu/run.sh OUT [PACK...]
#
# Packs are files of savos_jax.tools.pack; without one nothing is trained. A job
# that fails or exceeds its limit is reported, and the next one runs. JOBS="2 3"
# runs only some; FLAGS=--quick tries all but the training in a minute or two.
set -uo pipefail

out=${1:?the folder that gets the results}
shift
python=${PYTHON:-python3}
here=$(dirname "$0")
mkdir -p "$out"
# Jobs share compiled functions.
export JAX_COMPILATION_CACHE_DIR=${JAX_COMPILATION_CACHE_DIR:-${TMPDIR:-/tmp}/savos_xla}
failed=()

# Runs a job: NUMBER SECONDS COMMAND...
job() {
  local number=$1 seconds=$2
  shift 2
  [[ " ${JOBS:-1 2 3 4 5} " == *" $number "* ]] || return 0
  echo "== job $number: $*"
  timeout --kill-after=10 "$seconds" "$@" || failed+=("$number (status $?)")
}

pack=${1:+--pack=$1}
job 1 180 "$python" "$here/correctness.py" --out="$out/correctness.json" \
  $pack ${FLAGS:-}
job 2 300 "$python" "$here/inference.py" --json="$out/inference.json" ${FLAGS:-}
job 3 300 "$python" "$here/training.py" --json="$out/training.json" \
  $pack ${FLAGS:-}
if (($#)) && [[ -z ${FLAGS:-} ]]; then
  job 4 600 env SECONDS_A_STAGE="${SECONDS_A_STAGE:-180}" PYTHON="$python" \
    "$here/train.sh" "$out" "$@"
fi
job 5 180 "$python" "$here/profiling.py" --out="$out/profiles" \
  --json="$out/profiles.json" ${FLAGS:-}
if ((${#failed[@]})); then
  echo "failed: ${failed[*]}"
  exit 1
fi
