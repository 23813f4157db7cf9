#!/bin/bash
# SFT of the tiny preset with its metrics also in W&B, offline:  tests/gpu/wandb_offline.sh FOLDER
. "$(dirname "$0")/common.sh"
fresh_copy "$1"
recipe checkpoints/gpu-smoke_sft_telecom --config preset=gpu-smoke \
    'sft={"steps":20,"save_steps":20}' 'tracking={"tool":"wandb","offline":true}'
status=$?
echo "status $status"
for file in $(find . -name 'run-*.wandb'); do
    echo "$file: $(stat -c %s "$file") bytes, $(grep -aoE 'train/(loss|grad_norm)' "$file" | sort | uniq -c | xargs)"
done | tee report.txt
grep -q train/loss report.txt || { echo "no loss in any W&B file"; exit 1; }
exit $status
