#!/usr/bin/env bash
# Runs several processes on this machine, as on several hosts:
#
#   launch/local_processes.sh 2 --config=configs/smoke.py --workdir=runs/two
#
# The first argument is their number; all others are passed to savos_jax.main.
# When one process fails or is killed, the others are ended too, and the exit
# status is not 0; the same command resumes from the last checkpoint. Ctrl-C or
# SIGTERM makes all of them save and stop.
set -euo pipefail

count=${1:?how many processes?}
shift
python=${PYTHON:-python}
# A free port, so that two launches do not collide.
port=${PORT:-$("$python" -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')}
export JAX_COORDINATOR_ADDRESS=127.0.0.1:$port
export JAX_NUM_PROCESSES=$count

children=()
stopping=
interrupted=
# JAX treats SIGTERM as notice of a pre-emption, and informs all processes.
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
  # 143: it saved and stopped, and the others are about to.
  if ((code != 0 && code != 143)) && [[ ! $stopping ]]; then
    kill -KILL "${children[@]}" 2>/dev/null || true
    break
  fi
done
exit "$status"
