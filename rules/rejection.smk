# Rejection sampling, if rejection_sampling.samples_per_task is not 0: the SFT model plays tasks, what
# it solved is kept, and a second SFT learns from that. GRPO then begins with its model.
REJECTION_SAMPLING = stage_flags.rejection_sampling(config)
REJECTION_SFT = stage_flags.rejection_sft(config)
# Learnt from beside what is kept.
BESIDE = [FILES.traces] if config["rejection_sampling"]["teacher_traces"] else []
REJECTION_SFT_PROGRAM = {
    "cpu": "train_sft_trl.py --model {input.model}",
    "slime": "train_sft_slime.py --model {input.model} --base {input.weights}",
}[config["backend"]]


rule rejection_sampling:
    input:
        sft=FILES.models["sft"],
        tasks=tasks_file(sampled_split(config)),
        beside=BESIDE,
        leaks=expand(FILES.leaks, split=config["tasks"]["held_out"]),
        user_model=user_model("rejection_sampling"),
    output:
        traces=FILES.sampled,
    log:
        "logs/rejection_sampling.log",
    benchmark:
        "timings/rejection_sampling.tsv"
    threads: THREADS
    resources:
        gpu=job_resources.server_gpus(config)
        + job_resources.user_gpus(config, "rejection_sampling"),
        mem_mb=memory_mb,
        runtime=runtime,
    params:
        flags=REJECTION_SAMPLING.flags,
        untracked_flags=untracked(REJECTION_SAMPLING.untracked),
        beside=beside_user_model("rejection_sampling", "rejection_sampling"),
        served_user=made_by.served_user(config, "rejection_sampling"),
        server_arguments=made_by.server_arguments(config),
        tau2_data=made_by.tau2_data(),
        code=made_by.code("rejection_sampling.py"),
    message:
        "Rejection sampling: {input.sft} plays {input.tasks}"
    shell:
        "{params.beside}python scripts/rejection_sampling.py --checkpoint {input.sft}"
        " --tasks {input.tasks} --beside {input.beside} --output {output.traces}"
        " {params.flags} {params.untracked_flags} 2>&1 | tee {log}"


rule rejection_sft:
    input:
        model=FILES.models[config["rejection_sampling"]["start_from"]],
        # in Megatron's format, for slime; a checkpoint of SFT is both
        weights=(
            []
            if config["backend"] == "cpu"
            else {"base": FILES.converted, "sft": FILES.models["sft"]}[
                config["rejection_sampling"]["start_from"]
            ]
        ),
        traces=[*BESIDE, FILES.sampled],
        leaks=expand(FILES.leaks, split=config["tasks"]["held_out"]),
    output:
        directory(FILES.models["rejection"]),
    log:
        "logs/rejection_sft.log",
    benchmark:
        "timings/rejection_sft.tsv"
    threads: THREADS
    resources:
        **TRAINING_NODES,
        gpu=GPUS * NODES,
        mem_mb=memory_mb,
        runtime=runtime,
    params:
        flags=REJECTION_SFT.flags,
        untracked_flags=untracked(REJECTION_SFT.untracked),
        training_arguments=made_by.training_arguments(config),
        code=made_by.code(REJECTION_SFT_PROGRAM.split()[0]),
    message:
        "SFT: {input.model} learns from {input.traces}"
    shell:
        f"python scripts/{REJECTION_SFT_PROGRAM} --traces {{input.traces}} --output {{output}}"
        " {params.flags} {params.untracked_flags} 2>&1 | tee {log}"
