#!/usr/bin/env bash
# What is worth knowing of an accelerator, most important first, each step written at
# once: that its bytes are the golden ones, how fast the functions are, and training.
# Needs JAX for the device, flax, optax, chex, lazy-loader, msgspec, dm-pix, scikit-learn,
# tqdm. Usage: benchmarks/device.sh DIR
set -euo pipefail
cd "$(dirname "$0")/.."
out=$1
mkdir -p "$out"
export PYTHONPATH="$PWD:$PWD/tests" PYTHONUNBUFFERED=1

python3 tests/golden.py > "$out/golden.json"
if cmp "$out/golden.json" tests/golden.json; then
  echo "golden: the same bytes as on CPU"
else
  echo "golden: OTHER BYTES than tests/golden.json"
fi
python3 -m benchmarks.device --out "$out/device.json"
