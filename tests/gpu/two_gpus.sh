#!/bin/bash
# The default recipe's own flags (tensor parallel 2, sequence parallel, full prompt and lengths) with
# a tiny model on two GPUs:  tests/gpu/two_gpus.sh FOLDER TOKENIZER
. "$(dirname "$0")/common.sh"
tokenizer=$(realpath "$2")
fresh_copy "$1"
watch_gpus gpus.csv
python3 tests/gpu/random_qwen3.py --size tiny --tokenizer "$tokenizer" --output random || exit 1
began=$(date +%s)
recipe checkpoints/random-tiny_rl_telecom --config preset=qwen3-4b \
    'model={"name":"random-tiny","source":"random","revision":null}' \
    'sft={"steps":12,"save_steps":6}' \
    'grpo={"rollouts":2,"save_rollouts":1,"dynamic_sampling":false}' 'slime={"sglang_mem_fraction":0.3}'
status=$?
echo "status $status after $(($(date +%s) - began)) s"
python3 tests/gpu/report.py . | tee report.txt
exit $status
