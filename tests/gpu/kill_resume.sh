#!/bin/bash
# kill -9 in the middle of SFT (Snakemake and all) and of GRPO (the program only), then run again:
#   tests/gpu/kill_resume.sh FOLDER
. "$(dirname "$0")/common.sh"
fresh_copy "$1"
STORE=checkpoints/.store

# Start the recipe in a session of its own, with its output in $1.
run() {
    setsid bash -c '. tests/gpu/common.sh; recipe "$@"' run results/eval_test.json \
        --config preset=gpu-smoke 'evaluation={"compare_with":[],"num_tasks":20}' >"$1" 2>&1 &
    pid=$!
}

# Wait until a store's tracker says at least $2.
reached() {
    for _ in $(seq 600); do
        at=$(cat $STORE/$1-*/latest_checkpointed_iteration.txt 2>/dev/null)
        [ "${at:-0}" -ge "$2" ] 2>/dev/null && return 0
        kill -0 $pid 2>/dev/null || return 1
        sleep 1
    done
    return 1
}

left() { grep -lsa "TAU2_JOB=$PWD/" /proc/[0-9]*/environ | wc -l; }

run first.log
reached gpu-smoke_sft_telecom 99 || { echo "SFT saved nothing"; tail -40 first.log; exit 1; }
sleep 3
echo "SFT at checkpoint $at: kill -9 of the whole run"
kill -9 -- -$pid
sleep 15
echo "processes of the job left after 15 s: $(left)"

run second.log
reached gpu-smoke_rl_telecom 1 || { echo "GRPO saved nothing"; tail -40 second.log; exit 1; }
sleep 5
echo "GRPO at checkpoint $at: kill -9 of its program"
kill -9 $(pgrep -s $pid -f '^python scripts/train_grpo_slime.py')
wait $pid
echo "Snakemake ended with $?; processes of the job left: $(sleep 5; left)"

run third.log
wait $pid
status=$?
echo "third run: status $status"
grep -h "training begins with" first.log second.log third.log
for log in first second third; do
    echo "$log run started: $(grep -oE 'Job [0-9]+: [A-Z]\w+( \w+)?' $log.log | cut -d: -f2 | tr '\n' ',')"
done
python3 tests/gpu/report.py . | tee report.txt
exit $status
