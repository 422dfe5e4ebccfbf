#!/usr/bin/env bash
# What is worth knowing of an accelerator, most important first, each step written at
# once: that its bytes are the golden ones, how fast the functions are, and training.
# Takes some ten minutes.
#
# Usage: benchmarks/device.sh DIR [WHEELS]
#
# Needs JAX for the device, flax, optax, chex, lazy-loader and numpy. Training needs two
# packages more; where there is no network, a folder WHEELS brings them:
#
#   pip download --no-deps --only-binary=:all: --python-version 3.12 --dest WHEELS \
#     msgspec dm-pix
set -euo pipefail
out=$(realpath -m "$1")
mkdir -p "$out"
more=""
if [ $# -gt 1 ]; then
  more=$(mktemp -d)
  python3 -m pip install --quiet --no-index --no-deps --target "$more" "$2"/*.whl ||
    echo "cannot install $2: training steps will fail, and nothing else"
fi
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD:$PWD/tests:$more" PYTHONUNBUFFERED=1

if ! python3 tests/golden.py > "$out/golden.json"; then
  echo "golden: could not be computed"
elif cmp "$out/golden.json" tests/golden.json; then
  echo "golden: the same bytes as on CPU"
else
  echo "golden: OTHER BYTES than tests/golden.json"
fi
python3 -m benchmarks.accelerators --here --out "$out/device.json"
