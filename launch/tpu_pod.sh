#!/usr/bin/env bash
# A training on all workers of a Cloud TPU slice:
#
#   TPU_NAME=my-tpu ZONE=us-west4-a launch/tpu_pod.sh \
#       --config=configs/davis17.py --config.data.root=/mnt/davis/DAVIS \
#       --workdir=/mnt/runs/davis17
#
# Each worker needs the repository in ~/savos_jax (REPOSITORY says from where it
# is cloned when it is not there) and sees data and working directory under the
# same paths, as with a mounted Filestore or Cloud Storage FUSE. The same command
# again goes on from the last checkpoint, after a pre-emption too.
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
# One run a worker: an earlier one that lost its connection is ended first.
pkill --full 'savos_jax[.]main' || true
exec .venv/bin/python -m savos_jax.main --distributed$arguments
"
exec gcloud compute tpus tpu-vm ssh "$tpu" --zone="$zone" --worker=all \
  --command="bash -c $(printf '%q' "$remote")"
