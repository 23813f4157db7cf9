# Shared by the GPU runs: a fresh copy of the repository, a record of the GPUs' memory.
# TAU2_CONFIGFILE names a configuration laid over the preset, such as tests/gpu/pypi_stack.yaml.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# A working copy in $1, so that several runs on one machine never meet.
fresh_copy() {
    mkdir -p "$1"
    cp -r "$ROOT"/{Snakefile,config.yaml,rules,presets,scripts} "$1"/
    mkdir -p "$1/tests" && cp -r "$ROOT/tests/gpu" "$1/tests/"
    cd "$1" || exit 1
}

# Memory and load of the visible GPUs every two seconds, until the script ends.
watch_gpus() {
    nvidia-smi ${CUDA_VISIBLE_DEVICES:+-i "$CUDA_VISIBLE_DEVICES"} -l 2 --format=csv,noheader,nounits \
        --query-gpu=timestamp,index,memory.used,utilization.gpu >>"$1" &
    trap "kill $!" EXIT
}

# Snakemake: targets, then --config and its pairs.
recipe() {
    snakemake "$@" --cores all --nolock ${TAU2_CONFIGFILE:+--configfile "$TAU2_CONFIGFILE"}
}
