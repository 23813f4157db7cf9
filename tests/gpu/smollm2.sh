#!/bin/bash
# A pretrained model from base to GRPO: base, SFT and GRPO on the test tasks and on 200 unseen tasks, the
# last two also with the user's held-out wording.
#   tests/gpu/smollm2.sh FOLDER TRAINING_GPUS [OTHER_GPU] [MODEL]
# TRAINING_GPUS: 0, or 2,3. OTHER_GPU: evaluates base and SFT meanwhile, then makes 20 steps of SFT with
# slime's own rollout function; without one ("") base and SFT are evaluated at the end.
# MODEL: its folder, where no hub can be reached.
# TAU2_SETTINGS: more settings as YAML, such as '{seed: 1}'. TAU2_KILL_AT=N: the training and all its
# processes are killed with -9 once GRPO has a checkpoint of rollout N, and the same command is given again.
# TAU2_STOP_AFTER=SECONDS: GRPO is stopped (SIGTERM) then, and what it has is evaluated.
# TAU2_BESIDE: what is done beside the training and RL's evaluation, of "base sft own" (all).
# TAU2_WAIT_FOR=FILE: OTHER_GPU's work begins once it is there.
. "$(dirname "$0")/common.sh"
gpus=$2 other=$3 model=${4:+$(realpath "$4")}
work=" ${TAU2_BESIDE-base sft own} "
[ -d "$1/scripts" ] || fresh_copy "$1"
cd "$1" || exit 1
CUDA_VISIBLE_DEVICES=$gpus${other:+,$other} watch_gpus gpus.csv
began=$(date +%s)
say() { echo "[$(($(date +%s) - began)) s] $*" | tee -a run.log; }
cat >overlay.py <<'P'
import os, sys, yaml

stack, model, gpus, more = sys.argv[1:]
config = yaml.safe_load(open(stack)) if stack else {}
config["resources"] = {"gpus": len(gpus.split(",")), "threads": 4}
config["evaluation"] = {"num_tasks": 200, "compare_with": []}
if model:
    # the same model from elsewhere: what the preset says of it goes with its own source
    config["model"] = {
        "name": "smollm2-135m", "source": model, "revision": None,
        "chat_template": "hermes", "max_positions": 16384,
    }
for key, value in yaml.safe_load(more or "{}").items():
    config[key] = {**config[key], **value} if isinstance(value, dict) and key in config else value
held_out = {"evaluation": {"phrasing": "held_out", "compare_with": []}}
with open("overlay.yaml", "w") as file:
    yaml.safe_dump({**config, "runs": {"held_out": held_out}}, file)
slime = config.setdefault("slime", {})
slime["extra_args"] = (
    f"{slime.get('extra_args', '')} --rollout-function-path slime.rollout.sft_rollout.generate_rollout"
    f" --prompt-data {os.getcwd()}/data/teacher_traces.jsonl --input-key messages --tool-key tools"
    " --loss-mask-type qwen"
).strip()
own = {"resources": {"gpus": 1}, "sft": {"steps": 20, "save_steps": 20}, "slime": slime}
with open("slimes_own.yaml", "w") as file:
    yaml.safe_dump({**config, "runs": {"slimes_own": own}}, file)
P
python3 overlay.py "$TAU2_CONFIGFILE" "$model" "$gpus" "$TAU2_SETTINGS" || exit 1
export TAU2_CONFIGFILE=overlay.yaml
preset=(--rerun-incomplete --config preset=smollm2-135m)
rl=checkpoints/smollm2-135m_rl_telecom sft=checkpoints/smollm2-135m_sft_telecom base=models/smollm2-135m
rejection=checkpoints/smollm2-135m_rejection_telecom
of_base=(results/base/eval_test.json results/base/eval_extra_unseen.json)
of_sft=(results/sft/eval_test.json results/sft/eval_extra_unseen.json results/held_out/sft/eval_test.json)
of_rejection=(results/rejection/eval_test.json results/rejection/eval_extra_unseen.json
    results/held_out/rejection/eval_test.json)
of_rl=(results/eval_test.json results/eval_extra_unseen.json results/held_out/eval_test.json)

# The training, in the background, in a session of its own, which ends with its last process.
train() {
    CUDA_VISIBLE_DEVICES=$gpus setsid bash -c 'trap : TERM; . tests/gpu/common.sh; recipe "$@"' train \
        "$rl" "${preset[@]}" >>run.log 2>&1 &
    training=$!
}

# evaluate CHECKPOINT GPU PORT TARGET...: all of them at once, by one server (its start takes as long as
# an evaluation does). Servers of several copies of this script start in turn: several that start together
# on one GPU take each other's memory.
evaluate() {
    local checkpoint=$1 gpu=$2 port=$3 arguments server turn
    arguments=$(python3 -c 'import sys, yaml; print(yaml.safe_load(open(sys.argv[1]))["slime"].get("server_args", ""))' overlay.yaml)
    # shellcheck disable=SC2086
    exec {turn}>"${TMPDIR:-/tmp}/tau2-evaluation-gpu$gpu"
    flock $turn
    CUDA_VISIBLE_DEVICES=$gpu setsid python3 -m sglang.launch_server --model-path "$checkpoint" --port "$port" \
        --context-length 16384 --mem-fraction-static 0.3 $arguments >"server-$port.log" 2>&1 {turn}>&- &
    server=$!
    until curl -sf "localhost:$port/health_generate" >/dev/null; do
        kill -0 $server || { exec {turn}>&-; return 1; }
        sleep 1
    done
    exec {turn}>&-
    say "$checkpoint is served on GPU $gpu"
    : >"served-$port"
    recipe "${@:4}" --resources gpu=9 "${preset[@]}" "evaluation={sglang_port: $port}" >"evaluate-$port.log" 2>&1
    say "$checkpoint evaluated: status $?"
    kill -- -$server
}

whole() { # GRPO's whole checkpoint of rollout $1 or a later one
    local last
    last=$(cat checkpoints/.store/smollm2-135m_rl_telecom-*/latest_checkpointed_iteration.txt 2>/dev/null)
    [ "${last:-0}" -ge "$1" ]
}

port=$((31000 + 10 * ${gpus%%,*}))
has() { [[ $work == *" $1 "* ]]; }
# until_there FILE...: wait for one of them
until_there() {
    until ls "$@" 2>/dev/null | grep -q .; do sleep 1; done
}
base_and_sft() { # on GPU $1; the second server starts when the first is up
    local of=
    rm -f served-$port
    if has sft; then
        evaluate $sft "$1" $port "${of_sft[@]}" &
        of=$!
        until [ -e served-$port ] || ! kill -0 $of 2>/dev/null; do sleep 1; done
    fi
    has base && evaluate $base "$1" $((port + 1)) "${of_base[@]}"
    [ -z "$of" ] || wait $of
}

beside() { # the other GPU's work, while the first ones train
    until_there $sft training_ended
    [ "$TAU2_WAIT_FOR" ] && until_there "$TAU2_WAIT_FOR" training_ended
    [ -e $sft ] && base_and_sft "$other"
    if has own; then
        TAU2_CONFIGFILE=slimes_own.yaml CUDA_VISIBLE_DEVICES=$other recipe checkpoints/smollm2-135m+slimes_own_sft_telecom "${preset[@]}" >slimes_own.log 2>&1
        say "SFT with slime's own rollout function: status $?"
    fi
    if [[ $TAU2_SETTINGS == *rejection_sampling* ]]; then
        until_there $rejection training_ended
        [ -e $rejection ] && evaluate $rejection "$other" $((port + 3)) "${of_rejection[@]}"
    fi
}

rm -f training_ended
train
if [ "$other" ]; then
    beside &
    beside=$!
fi
while kill -0 $training 2>/dev/null; do
    if [ "$TAU2_KILL_AT" ] && whole "$TAU2_KILL_AT"; then
        kill -9 -- -$training
        wait $training
        say "killed with -9, GRPO has a checkpoint of rollout $TAU2_KILL_AT"
        sleep 3
        say "processes of the training left: $(grep -lsa "TAU2_JOB=$PWD/.*_rl_" /proc/[0-9]*/environ | wc -l)"
        TAU2_KILL_AT=
        train
    fi
    if [ "$TAU2_STOP_AFTER" ] && [ $(($(date +%s) - began)) -gt "$TAU2_STOP_AFTER" ]; then
        say "stopped: no time for further rollouts"
        kill -TERM -- -$training
        for _ in {1..90}; do
            kill -0 $training 2>/dev/null || break
            sleep 1
        done
        kill -9 -- -$training 2>/dev/null # what was saved is enough to go on from
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
    # validation of a last rollout that had none would start a server; it is evaluated here anyway
    preset+=("grpo={rollouts: $((last + 1)), validation_every: 0}")
    train
    wait $training
fi
[ -e "$rl" ] || exit 1
if [ -z "$other" ] && [ "${gpus##*,}" != "${gpus%%,*}" ]; then
    base_and_sft "${gpus##*,}" &
    beside=$!
fi
evaluate "$rl" "${gpus%%,*}" $((port + 2)) "${of_rl[@]}"
if [ "$beside" ]; then
    wait "$beside"
else
    base_and_sft "$gpus"
fi
has base || of_base=()
has sft || of_sft=()
[[ $TAU2_SETTINGS == *rejection_sampling* && $other ]] || of_rejection=()
recipe results/report.html results/summary.csv "${of_base[@]}" "${of_sft[@]}" "${of_rejection[@]}" "${of_rl[@]}" \
    --rerun-triggers mtime "${preset[@]}" >page.log 2>&1
status=$?
python3 tests/gpu/report.py . >report.txt 2>&1
tail -60 report.txt
exit "$status"
