#!/bin/sh
# Rebuild the starter model from nothing: environment, tokenizer, training, export, measurement.
# A training run that was stopped goes on from its last checkpoint; `build.sh --fresh` begins anew.
set -eu
cd "$(dirname "$0")"

model=../../src/localai/starter/starter.gguf
page=../../docs/reference/starter_model.md
export OMP_WAIT_POLICY=passive GOMP_SPINCOUNT=0 # spinning threads would starve the machine
export TOKENIZERS_PARALLELISM=false

if [ "${1:-}" = "--fresh" ]; then
    rm -rf work
fi
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --requirement requirements.txt
[ -f work/pool.json ] || .venv/bin/python tokenizer.py work
.venv/bin/python train.py work
mkdir -p "$(dirname "$model")"
.venv/bin/python export.py work "$model"
.venv/bin/python evaluate.py "$model" --write "$page"
