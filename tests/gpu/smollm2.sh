#!/bin/bash
# A pretrained model from base to GRPO: base, SFT and GRPO on the test tasks, the last two also on 200
# unseen tasks and with the user's held-out wording.  tests/gpu/smollm2.sh FOLDER GPUS [MODEL]
# MODEL: its folder, where no hub can be reached. The same command in the same FOLDER resumes; with
# TAU2_KILL_AFTER=SECONDS everything is killed with -9 after so long, to show that it does.
. "$(dirname "$0")/common.sh"
model=${3:+$(realpath "$3")}
[ -d "$1/scripts" ] || fresh_copy "$1"
cd "$1" || exit 1
watch_gpus gpus.csv
began=$(date +%s)
cat >overlay.py <<'P'
import json, sys, yaml
stack, gpus, model = sys.argv[1:]
config = yaml.safe_load(open(stack)) if stack else {}
config["runs"] = {"held_out": {"evaluation": {"phrasing": "held_out", "compare_with": ["sft"]}}}
config["resources"] = {"gpus": int(gpus)}
config["evaluation"] = {"num_tasks": 200, "compare_with": ["sft"]}
if model:
    config["model"] = {"source": model, "revision": None}
print(yaml.safe_dump(config))
P
python3 overlay.py "$TAU2_CONFIGFILE" "$2" "$model" >overlay.yaml || exit 1
TAU2_CONFIGFILE=overlay.yaml
targets=(results/base/eval_test.json)
targets+=(results/eval_test.json results/eval_extra_unseen.json results/held_out/eval_test.json)
if [ "$TAU2_KILL_AFTER" ]; then
    setsid bash -c '. tests/gpu/common.sh; recipe "$@"' run "${targets[@]}" \
        --rerun-incomplete --config preset=smollm2-135m >>run.log 2>&1 &
    pid=$!
    for _ in $(seq "$TAU2_KILL_AFTER"); do
        kill -0 $pid 2>/dev/null || break
        sleep 1
    done
    if kill -9 -- -$pid 2>/dev/null; then
        echo "killed with -9 after $(($(date +%s) - began)) s" | tee -a run.log
        sleep 5
        echo "processes of the jobs left: $(grep -lsa "TAU2_JOB=$PWD/" /proc/[0-9]*/environ | wc -l)"
    fi
else
    recipe "${targets[@]}" --rerun-incomplete --config preset=smollm2-135m 2>&1 | tee -a run.log
fi
status=${PIPESTATUS[0]}
echo "status $status after $(($(date +%s) - began)) s"
python3 tests/gpu/report.py . >report.txt 2>&1
tail -60 report.txt
exit "$status"
