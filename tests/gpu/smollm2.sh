#!/bin/bash
# A pretrained model from base to GRPO. With two GPUs, one trains and the other evaluates meanwhile.
#   tests/gpu/smollm2.sh FOLDER GPUS [MODEL]
# Base, SFT and GRPO on the test tasks and on 200 unseen tasks, the last two also with the user's held-out
# wording; with two GPUs beside it SFT of one wording a task, and 20 steps with slime's own rollout function.
# MODEL: its folder, where no hub can be reached. TAU2_KILL_AT=N: the training and all its processes are
# killed with -9 once GRPO has a checkpoint of rollout N, and the same command is given again.
# TAU2_STOP_AFTER=SECONDS: GRPO is stopped (SIGTERM) then, and what it has is evaluated.
. "$(dirname "$0")/common.sh"
model=${3:+$(realpath "$3")} gpus=$2
[ -d "$1/scripts" ] || fresh_copy "$1"
cd "$1" || exit 1
watch_gpus gpus.csv
began=$(date +%s)
say() { echo "[$(($(date +%s) - began)) s] $*" | tee -a run.log; }
cat >overlay.py <<'P'
import json, os, sys, yaml
stack, model = sys.argv[1:]
config = yaml.safe_load(open(stack)) if stack else {}
slime = config.setdefault("slime", {})
own = (
    "--rollout-function-path slime.rollout.sft_rollout.generate_rollout --loss-mask-type qwen"
    f" --prompt-data {os.getcwd()}/data/teacher_traces.jsonl --input-key messages --tool-key tools"
)
config["runs"] = {
    "held_out": {"evaluation": {"phrasing": "held_out", "compare_with": []}},
    "one_wording": {"traces": {"wordings": 1}},
    "slimes_own": {
        "sft": {"steps": 20, "save_steps": 20},
        "slime": {"extra_args": f"{slime.get('extra_args', '')} {own}".strip()},
    },
}
config["resources"] = {"gpus": 1, "threads": 4}
config["evaluation"] = {"num_tasks": 200, "compare_with": []}
if model:
    config["model"] = {"source": model, "revision": None}
print(yaml.safe_dump(config))
P
python3 overlay.py "$TAU2_CONFIGFILE" "$model" >overlay.yaml || exit 1
TAU2_CONFIGFILE=overlay.yaml
preset=(--rerun-incomplete --config preset=smollm2-135m)
rl=checkpoints/smollm2-135m_rl_telecom sft=checkpoints/smollm2-135m_sft_telecom
of_sft=(results/sft/eval_test.json results/sft/eval_extra_unseen.json results/held_out/sft/eval_test.json)
of_one_wording=(results/one_wording/sft/eval_test.json results/one_wording/sft/eval_extra_unseen.json)
of_base=(results/base/eval_test.json results/base/eval_extra_unseen.json)
of_rl=(results/eval_test.json results/eval_extra_unseen.json results/held_out/eval_test.json)

# Runs in the background, in a session of its own: in_session LOG GPU COMMAND...
in_session() {
    CUDA_VISIBLE_DEVICES=$2 setsid bash -c '. tests/gpu/common.sh; "$@"' run "${@:3}" >>"$1" 2>&1 &
}

# evaluate CHECKPOINT GPU PORT TARGET...: all of them at once, by one server (its start takes as long as
# an evaluation does, and several that start together on one GPU take each other's memory).
evaluate() {
    local checkpoint=$1 gpu=$2 port=$3 arguments server
    arguments=$(python3 -c 'import sys, yaml; print(yaml.safe_load(open(sys.argv[1]))["slime"].get("server_args", ""))' overlay.yaml)
    # shellcheck disable=SC2086
    CUDA_VISIBLE_DEVICES=$gpu setsid python3 -m sglang.launch_server --model-path "$checkpoint" --port "$port" \
        --context-length 16384 --mem-fraction-static 0.3 $arguments >"server-$port.log" 2>&1 &
    server=$!
    until curl -sf "localhost:$port/health_generate" >/dev/null; do
        kill -0 $server || return 1
        sleep 1
    done
    say "$checkpoint is served on GPU $gpu"
    recipe "${@:4}" --resources gpu=9 "${preset[@]}" "evaluation={sglang_port: $port}" >"evaluate-$port.log" 2>&1
    say "$checkpoint evaluated: status $?"
    kill -- -$server
}

whole() { # GRPO's whole checkpoint of rollout $1 or a later one
    local last
    last=$(cat checkpoints/.store/smollm2-135m_rl_telecom-*/latest_checkpointed_iteration.txt 2>/dev/null)
    [ "${last:-0}" -ge "$1" ]
}

beside() { # the other GPU's work, while the first one trains
    until [ -e models/smollm2-135m_torch_dist/latest_checkpointed_iteration.txt ] && [ -s data/teacher_traces.jsonl ]; do
        kill -0 "$1" 2>/dev/null || return
        sleep 1
    done
    sleep 5
    recipe checkpoints/smollm2-135m+one_wording_sft_telecom "${preset[@]}" >one_wording.log 2>&1
    until [ -e "$sft" ]; do
        [ -e training_ended ] && return
        sleep 1
    done
    evaluate "$sft" 1 31001 "${of_sft[@]}"
    evaluate checkpoints/smollm2-135m+one_wording_sft_telecom 1 31004 "${of_one_wording[@]}"
    evaluate models/smollm2-135m 1 31002 "${of_base[@]}"
    recipe checkpoints/smollm2-135m+slimes_own_sft_telecom "${preset[@]}" >slimes_own.log 2>&1
}

rm -f training_ended
in_session run.log 0 recipe "$rl" "${preset[@]}"
training=$!
if [ "$gpus" -gt 1 ]; then
    CUDA_VISIBLE_DEVICES=1 beside $training &
    beside=$!
fi
while kill -0 $training 2>/dev/null; do
    if [ "$TAU2_KILL_AT" ] && whole "$TAU2_KILL_AT"; then
        kill -9 -- -$training
        wait $training
        say "killed with -9, GRPO has a checkpoint of rollout $TAU2_KILL_AT"
        : >killed
        sleep 3
        say "processes of the training left: $(grep -lsa "TAU2_JOB=$PWD/.*_rl_" /proc/[0-9]*/environ | wc -l)"
        TAU2_KILL_AT=
        in_session run.log 0 recipe "$rl" "${preset[@]}"
        training=$!
    fi
    if [ "$TAU2_STOP_AFTER" ] && [ $(($(date +%s) - began)) -gt "$TAU2_STOP_AFTER" ]; then
        say "stopped: no time for further rollouts"
        kill -TERM $training
        break
    fi
    sleep 1
done
wait $training
status=$?
: >training_ended
say "training ended with $status"
if [ ! -e "$rl" ]; then # learning rate and all are constant: fewer rollouts are a finished training
    last=$(cat checkpoints/.store/smollm2-135m_rl_telecom-*/latest_checkpointed_iteration.txt) || exit 1
    preset+=("grpo={rollouts: $((last + 1))}")
    in_session run.log 0 recipe "$rl" "${preset[@]}"
    wait $!
fi
[ -e "$rl" ] || exit 1
evaluate "$rl" 0 31003 "${of_rl[@]}"
if [ "$beside" ]; then
    wait "$beside"
else
    evaluate "$sft" 0 31001 "${of_sft[@]}"
    evaluate models/smollm2-135m 0 31002 "${of_base[@]}"
fi
recipe results/report.html results/summary.csv "${of_base[@]}" "${of_sft[@]}" "${of_rl[@]}" \
    --rerun-triggers mtime "${preset[@]}" >page.log 2>&1
status=$?
python3 tests/gpu/report.py . >report.txt 2>&1
tail -60 report.txt
exit "$status"
