#!/usr/bin/env bash
# Trains on all workers of a Cloud TPU slice:
#
#   TPU_NAME=my-tpu ZONE=us-west4-a launch/tpu_pod.sh \
#       --config=configs/davis17.py --config.data.root=/mnt/davis/DAVIS \
#       --workdir=/mnt/runs/davis17
#
# Each worker needs the repository in ~/savos_jax (cloned from REPOSITORY if it is
# missing), and the data and working directory under the same paths, for example
# on a mounted Filestore or Cloud Storage FUSE. The same command resumes from the
# last checkpoint, also after a pre-emption.
set -euo pipefail

tpu=${TPU_NAME:?name of the TPU}
zone=${ZONE:?its zone}
repository=${REPOSITORY:?where git clones savos_jax from}
revision=${REVISION:-main}

# Arguments keep their spaces and quotes through two shells.
printf -v arguments ' %q' "$@"
printf -v from '%q' "$repository"
printf -v at '%q' "$revision"

remote="
set -euo pipefail
test -d ~/savos_jax || git clone --quiet $from ~/savos_jax
cd ~/savos_jax
git fetch --quiet origin
git checkout --quiet $at
make --quiet install
.venv/bin/python -m pip install --quiet 'jax[tpu]'
# One run per worker: an earlier one that lost its connection is ended first.
pkill --full 'savos_jax[.]main' || true
exec .venv/bin/python -m savos_jax.main --distributed$arguments
"
exec gcloud compute tpus tpu-vm ssh "$tpu" --zone="$zone" --worker=all \
  --command="bash -c $(printf '%q' "$remote")"
