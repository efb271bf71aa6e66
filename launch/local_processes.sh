#!/usr/bin/env bash
# Several processes on this machine, as on as many hosts:
#
#   launch/local_processes.sh 2 --config=configs/smoke.py --workdir=runs/two
#
# The first argument is their number, all others go to savos_jax.main. When one
# process ends with an error, or is killed, the others are ended too, and the
# exit status is not 0; the same command goes on from the last checkpoint.
# Ctrl-C or SIGTERM lets all of them save and stop.
set -euo pipefail

count=${1:?how many processes?}
shift
python=${PYTHON:-python}
# A free port: two launches at once do not meet.
port=${PORT:-$("$python" -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')}
export JAX_COORDINATOR_ADDRESS=127.0.0.1:$port
export JAX_NUM_PROCESSES=$count

children=()
stopping=
interrupted=
# JAX takes SIGTERM for the notice of a pre-emption, and tells all processes.
trap 'stopping=1; interrupted=1; kill -TERM "${children[@]}" || true' TERM INT
for ((index = 0; index < count; index++)); do
  JAX_PROCESS_ID=$index "$python" -m savos_jax.main --distributed "$@" &
  children+=($!)
done

status=0
running=$count
while ((running)); do
  code=0
  wait -n || code=$?
  if [[ $interrupted ]]; then
    interrupted=
    continue  # A signal ended `wait`, not a process.
  fi
  running=$((running - 1))
  ((code == 0)) || status=$code
  # 143: it has saved and stopped, as the others are about to.
  if ((code != 0 && code != 143)) && [[ ! $stopping ]]; then
    kill -KILL "${children[@]}" 2>/dev/null || true
    break
  fi
done
exit "$status"
