# Supervised fine-tuning on the teacher traces. The backend decides the program and its flags; the
# files are the same. An interrupted job resumes: see tau2_agent/training/resumable.py.
SFT = stage_flags.sft(config)
SFT_PROGRAM = {
    "cpu": "train_sft_trl.py --model {input.model}",
    "slime": "train_sft_slime.py --model {input.model} --base {input.converted}",
}[config["backend"]]


rule sft:
    input:
        model=FILES.models["base"],
        converted=FILES.converted if config["backend"] == "slime" else [],
        traces=FILES.traces,
        leaks=expand(FILES.leaks, split=config["tasks"]["held_out"]),
    output:
        directory(FILES.models["sft"]),
    log:
        "logs/sft.log",
    benchmark:
        "timings/sft.tsv"
    threads: THREADS
    resources:
        **TRAINING_NODES,
        gpu=GPUS * NODES,
        mem_mb=memory_mb,
        runtime=runtime,
    params:
        flags=SFT.flags,
        untracked_flags=untracked(SFT.untracked),
        training_arguments=made_by.training_arguments(config),
        code=made_by.code(SFT_PROGRAM.split()[0]),
    message:
        "SFT: {input.model} learns from {input.traces}"
    shell:
        f"python scripts/{SFT_PROGRAM} --traces {{input.traces}} --output {{output}}"
        " {params.flags} {params.untracked_flags} 2>&1 | tee {log}"
