#!/bin/sh
# Rebuild the command recogniser from nothing: environment, speech, training, export, measurement.
# A training run that was stopped goes on from its last checkpoint; `build.sh --fresh` begins anew.
set -eu
cd "$(dirname "$0")"

model=../../tests/commands.npz
page=../../docs/reference/command_model.md
export OMP_WAIT_POLICY=passive GOMP_SPINCOUNT=0 # spinning threads would starve the machine

if [ "${1:-}" = "--fresh" ]; then
    rm -rf work
fi
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --requirement requirements.txt
[ -f work/held.json ] || .venv/bin/python corpus.py work
.venv/bin/python train.py work
.venv/bin/python export.py work "$model"
.venv/bin/python evaluate.py "$model" --write "$page"
