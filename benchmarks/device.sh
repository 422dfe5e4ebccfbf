#!/usr/bin/env bash
# What is worth knowing of an accelerator, most important first, each step written at
# once: that its bytes are the golden ones, how fast the functions are, and training.
#
# Usage: benchmarks/device.sh DIR [WHEELS]
#
# Needs Python 3.12 with JAX for the device, flax, optax, chex, lazy-loader, numpy and
# tqdm; and, in WHEELS where there is no network, what else training imports:
#
#   pip download --no-deps --only-binary=:all: --python-version 3.12 --dest WHEELS \
#     msgspec dm-pix
set -euo pipefail
cd "$(dirname "$0")/.."
out=$1
mkdir -p "$out"
export PYTHONPATH="$PWD:$PWD/tests" PYTHONUNBUFFERED=1
if [ $# -gt 1 ]; then
  python3 -m pip install --quiet --no-index --no-deps --target "$out/.wheels" "$2"/*.whl
  export PYTHONPATH="$PYTHONPATH:$out/.wheels"
fi

python3 tests/golden.py > "$out/golden.json"
if cmp "$out/golden.json" tests/golden.json; then
  echo "golden: the same bytes as on CPU"
else
  echo "golden: OTHER BYTES than tests/golden.json"
fi
python3 -m benchmarks.accelerators --here --out "$out/device.json"
