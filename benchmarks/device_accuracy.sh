#!/usr/bin/env bash
# What mixing costs a ResNet-18 on an accelerator, in at most 13 minutes: clean, from
# releases with 16, 8 and 4 regions across, and 14 across an enlarged image.
#
# Usage: benchmarks/device_accuracy.sh DIR WHEELS OUT
#
# DIR holds what `python -m benchmarks.device_accuracy pack DIR` wrote where TFDS is.
# Needs JAX for the device, flax, optax, chex, lazy-loader and numpy. WHEELS brings what
# else it takes, for the Python of that machine:
#
#   pip download --no-deps --only-binary=:all: --python-version 3.12 --dest WHEELS \
#     msgspec dm-pix pillow
set -euo pipefail
data=$(realpath "$1") out=$(realpath -m "$3")
more=$(mktemp -d)
python3 -m pip install --quiet --no-index --no-deps --target "$more" "$2"/*.whl
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD:$more" PYTHONUNBUFFERED=1
mkdir -p "$out"
timeout 780 python3 -m benchmarks.device_accuracy run "$data" \
  --out "$out/device_accuracy.json" --minutes 11
