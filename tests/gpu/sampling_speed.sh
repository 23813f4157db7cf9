#!/bin/bash
# Sampling of episodes against SGLang's own benchmark at the same lengths and concurrency, on one GPU,
# without CUDA graphs (as colocated GRPO on PyPI's stack) and with them, or as TAU2_GRAPHS says ("on").
#   tests/gpu/sampling_speed.sh FOLDER CHECKPOINT [EPISODES] [CONCURRENCY]
# CHECKPOINT: a folder of a finished stage. The server's arguments are those of TAU2_CONFIGFILE.
. "$(dirname "$0")/common.sh"
checkpoint=$(realpath "$2") episodes=${3:-240} places=${4:-96}
[ -d "$1/scripts" ] || fresh_copy "$1"
cd "$1" || exit 1
arguments=$(python3 -c 'import sys, yaml; print(yaml.safe_load(open(sys.argv[1]))["slime"].get("server_args", ""))' \
    "${TAU2_CONFIGFILE:-/dev/stdin}" <<<"slime: {}")
for graphs in ${TAU2_GRAPHS:-off on}; do
    port=$((31000 + RANDOM % 900))
    only=
    [ $graphs = on ] || only=--disable-cuda-graph
    began=$(date +%s)
    # shellcheck disable=SC2086
    setsid python3 -m sglang.launch_server --model-path "$checkpoint" --host 127.0.0.1 --port $port \
        --context-length 16384 --mem-fraction-static 0.5 --log-level warning --cuda-graph-max-bs-decode "$places" \
        ${arguments/--disable-cuda-graph/} $only >"server_$graphs.log" 2>&1 &
    server=$!
    for _ in $(seq 300); do
        curl -sf "localhost:$port/health_generate" >/dev/null && break
        kill -0 $server || break
        sleep 1
    done
    kill -0 $server || { tail -5 "server_$graphs.log"; continue; }
    echo "CUDA graphs $graphs: server ready after $(($(date +%s) - began)) s"
    python3 scripts/evaluate_tau2.py --checkpoint "$checkpoint" --output-path "$graphs/eval_extra_unseen.json" \
        --task-split extra_unseen --num-tasks "$episodes" --domain telecom --sglang-port $port \
        --temperature 1 --max-steps 120 --max-new-tokens 128 --context-length 12288 --seed 1 \
        --concurrency "$places" >"ours_$graphs.log" 2>&1 || tail -5 "ours_$graphs.log"
    python3 tests/gpu/sampling_speed.py ours "$graphs/eval_extra_unseen.transcripts.jsonl.gz" "$places" >"ours_$graphs.json" &&
        python3 -m sglang.bench_serving --backend sglang-oai-chat --port $port --model "$checkpoint" \
            --dataset-name generated-shared-prefix $(python3 tests/gpu/sampling_speed.py arguments "ours_$graphs.json") \
            --output-file "bench_$graphs.jsonl" --disable-tqdm >"bench_$graphs.log" 2>&1 &&
        python3 tests/gpu/sampling_speed.py ratio "ours_$graphs.json" "bench_$graphs.jsonl" ||
        tail -5 "bench_$graphs.log"
    kill -- -$server 2>/dev/null
    wait $server 2>/dev/null
done
