#!/bin/bash
# A language model as the user, on a GPU of its own beside the policy: SFT of the tiny preset as usual,
# then GRPO and an evaluation in which half of the user simulators are USER_MODEL. A model as small as
# SmolLM2-135M plays no sensible user: what is shown is that the parts meet and that its failures are
# nobody's score.
#   tests/gpu/llm_user.sh FOLDER USER_MODEL
# USER_MODEL: a Hugging Face folder whose chat template renders tools. TAU2_WAIT_FOR=FILE: GRPO begins
# once it is there, such as to begin beside another job.
. "$(dirname "$0")/common.sh"
model=$(realpath "$2")
[ -d "$1/scripts" ] || fresh_copy "$1"
cd "$1" || exit 1
watch_gpus gpus.csv
recipe checkpoints/gpu-smoke_sft_telecom --config preset=gpu-smoke || exit 1
python3 - "$TAU2_CONFIGFILE" "$model" >overlay.yaml <<'P'
import sys, yaml
stack, model = sys.argv[1:]
config = yaml.safe_load(open(stack)) if stack else {}
arguments = config.get("slime", {}).get("server_args", "")
config["user"] = {
    "simulator": {"scripted": 0.5, "llm": 0.5},
    "temperature": 0.7,
    "max_tokens": 64,
    "max_failure_share": 1.0,
    "serve": {"source": model, "gpus": 1,
              "server_args": f"--tool-call-parser qwen25 --mem-fraction-static 0.1 {arguments}".strip()},
}
print(yaml.safe_dump(config))
P
TAU2_CONFIGFILE=overlay.yaml
until [ -z "$TAU2_WAIT_FOR" ] || [ -e "$TAU2_WAIT_FOR" ]; do sleep 0.5; done
echo "GRPO begins at $(date +%T)"
# The traces stay those of the scripted user: such a model lets nobody solve anything.
recipe results/eval_test.json --rerun-triggers mtime \
    --config preset=gpu-smoke 'grpo={rollouts: 2, validation_every: 0}' 'evaluation={"compare_with":[],"num_tasks":10}'
status=$?
echo "status $status"
python3 tests/gpu/report.py . | tee report.txt
python3 - <<'P' | tee -a report.txt
import json
result = json.load(open("results/eval_test.json"))
keep = ("total_tasks", "successes", "excluded", "user_errors", "ends", "user_usage")
print({key: result.get(key) for key in keep if key in result})
P
exit $status
