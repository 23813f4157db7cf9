#!/bin/bash
# The Qwen3-4B architecture with random weights under a preset's flags, full prompt and lengths:
# conversion, SFT steps, GRPO rollouts. With "batches" as the last word, SFT and GRPO also as in the
# published recipe (a sample a micro batch, four updates a rollout), and SFT with twice the tokens in one.
#   tests/gpu/qwen3_4b.sh FOLDER TOKENIZER PRESET ROLLOUTS [batches]
# SAVE_OPTIMIZER=1 also saves Adam's states, 48 GB a checkpoint. SFT_STEPS=N (6).
. "$(dirname "$0")/common.sh"
tokenizer=$(realpath "$2")
preset=$3 rollouts=$4 batches=${5:-}
fresh_copy "$1"
watch_gpus gpus.csv
mark() { echo "$(date +%s) $1" >>times.txt; }
mark model
python3 tests/gpu/random_qwen3.py --size 4B --tokenizer "$tokenizer" --output random || exit 1
python3 - "$TAU2_CONFIGFILE" >overlay.yaml <<'P'
import os, sys, yaml
config = yaml.safe_load(open(sys.argv[1])) if sys.argv[1] else {}
if not os.environ.get("SAVE_OPTIMIZER"):
    slime = config.setdefault("slime", {})
    slime["extra_args"] = slime.get("extra_args", "") + " --no-save-optim"
print(yaml.safe_dump(config))
P
TAU2_CONFIGFILE=overlay.yaml
settings=('model={"name":"random-4b","source":"random","revision":null}'
    "sft={steps: ${SFT_STEPS:-6}, save_steps: 100}"
    "grpo={rollouts: $rollouts, save_rollouts: 100, validation_every: 0, dynamic_sampling: false}")
status=0
failed() {
    echo "$1: failed"
    status=1
}
build() {
    mark "$1"
    recipe "$1" --config "preset=$preset" "${settings[@]}" || failed "$1"
}
# A stage by hand: its name, its program and flags. The overlay's flags are the stack's.
by_hand() {
    mark "$1"
    local words
    words=$(python3 -c 'import shlex, yaml; s = yaml.safe_load(open("overlay.yaml"))["slime"]
print(shlex.join(["--attention-backend", s.get("attention_backend", "flash"),
                  "--extra-args=" + s["extra_args"]]))')
    eval "python3 scripts/${*:2} --model models/random-4b --gpus 2 --tensor-parallel 2 \
        --output checkpoints/$1 $words" >"$1.log" 2>&1 || failed "$1"
    # Only its numbers are of interest; its weights are 16 GB.
    rm -rf checkpoints/.store/"$1"-*/{iter_*,hf,*.safetensors}
}
sft="train_sft_slime.py --base models/random-4b_torch_dist --traces data/teacher_traces.jsonl \
    --max-length 16384 --weight-decay 0.01 --batch-size 8 --steps 6 --save-steps 100"
grpo="train_grpo_slime.py --sft checkpoints/random-4b_sft_telecom --tasks data/telecom_train_tasks.jsonl \
    --rollouts $rollouts --save-rollouts 100 --no-dynamic-sampling"
build models/random-4b_torch_dist
build checkpoints/random-4b_sft_telecom
if [ "$batches" ]; then
    by_hand published_sft $sft --no-dynamic-batches
    by_hand wide_sft $sft --max-tokens-per-gpu 24576
fi
build checkpoints/random-4b_rl_telecom
if [ "$batches" ]; then
    by_hand published_rl $grpo --no-dynamic-batches --updates-per-rollout 4
fi
mark end
cat times.txt
python3 tests/gpu/report.py . | tee report.txt
exit $status
