#!/bin/bash
# The tiny preset on one GPU, from nothing to results:  tests/gpu/smoke.sh FOLDER
set -o pipefail
. "$(dirname "$0")/common.sh"
fresh_copy "$1"
watch_gpus gpus.csv
began=$(date +%s)
recipe results/eval_test.json results/summary.csv --config preset=gpu-smoke
status=$?
echo "status $status after $(($(date +%s) - began)) s"
python3 tests/gpu/report.py . | tee report.txt
exit $status
