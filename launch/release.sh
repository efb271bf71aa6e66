#!/usr/bin/env bash
# Builds a release, and checks it as a user would get it:
#
#   launch/release.sh dist
#
# writes the sdist, the wheel and the release notes there. The wheel is built from
# the sdist and installed in an empty environment, from which the demo is run.
set -euo pipefail

out=$(realpath -m "${1:?the folder that gets the wheel, the sdist and the notes}")
cd "$(dirname "$0")/.."
python=${PYTHON:-python3.11}
most_bytes=40000000
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"$python" -m venv "$scratch/tools"
"$scratch/tools/bin/python" -m pip install --quiet \
  build==1.6.1 check-wheel-contents==0.6.3 keepachangelog==2.0.0 twine==7.0.0

# The same commit gives files with the same timestamps.
if commit_time=$(git log -1 --format=%ct 2>/dev/null); then
  export SOURCE_DATE_EPOCH=$commit_time
fi
"$scratch/tools/bin/python" -m build --outdir="$scratch/built" . \
  >"$scratch/build.log" 2>&1 || { cat "$scratch/build.log"; exit 1; }
wheel=$(echo "$scratch"/built/savos_jax-*.whl)
version=$(basename "$wheel" | cut -d- -f2)
"$scratch/tools/bin/twine" check --strict "$scratch"/built/*
"$scratch/tools/bin/check-wheel-contents" --toplevel=savos_jax "$wheel"
bytes=$(wc -c <"$wheel")
if ((bytes > most_bytes)); then
  echo "$wheel: $bytes bytes, more than $most_bytes" >&2
  exit 1
fi

# What changed in this version; fails where the changelog has no such version.
"$scratch/tools/bin/keepachangelog" show "$version" CHANGELOG.md \
  >"$scratch/built/notes.md"

"$python" -m venv "$scratch/empty"
mkdir "$scratch/elsewhere"
# What segments alone: without JAX.
"$scratch/empty/bin/python" -m pip install --quiet "$wheel[onnx]"
(
  cd "$scratch/elsewhere"
  if "$scratch/empty/bin/python" -c 'import jax' 2>/dev/null; then
    echo 'JAX was installed with [onnx]: a dependency asks for it' >&2
    exit 1
  fi
  "$scratch/empty/bin/python" - <<'PYTHON'
import pathlib
import cv2
import numpy as np
pathlib.Path('clip').mkdir()
for i in range(3):
  frame = np.full((96, 160, 3), 60, np.uint8)
  cv2.circle(frame, (50 + 9 * i, 48), 24, (40, 90, 220), -1)
  cv2.imwrite(f'clip/{i}.png', frame)
mask = cv2.circle(np.zeros((96, 160), np.uint8), (50, 48), 24, 255, -1)
cv2.imwrite('mask.png', mask)
PYTHON
  "$scratch/empty/bin/savos-jax" segment --video=clip --mask=mask.png --out=out
  test -f out/masks/2.png
)
"$scratch/empty/bin/python" -m pip install --quiet "$wheel[jax]"
(
  cd "$scratch/elsewhere"
  if "$scratch/empty/bin/python" -c 'import tensorflow' 2>/dev/null; then
    echo 'TensorFlow was installed: a dependency asks for it' >&2
    exit 1
  fi
  "$scratch/empty/bin/savos-jax" evaluate --config=demo --workdir=demo \
    --config.eval.checkpoint=default
  test -s demo/results/scores.json
  ls demo/logs/events.out.tfevents.* >/dev/null
  "$scratch/empty/bin/savos-jax" score --help >/dev/null
)
mkdir -p "$out"
cp "$scratch"/built/* "$out/"
echo "$out: version $version, a wheel of $((bytes / 1000000)) MB," \
  "$(grep -c '^- ' "$out/notes.md") entries in the notes"
