# Reinforcement learning from the last supervised checkpoint: episodes are sampled, scored, and compared within
# their group. The backend decides the program and its flags; the files are the same.
GRPO = stage_flags.grpo(config)
GRPO_PROGRAM = {
    "cpu": "train_grpo_trl.py --model {input.start}",
    "slime": "train_grpo_slime.py --model {input.start} --sft {input.start}",
}[config["backend"]]


rule grpo:
    input:
        start=FILES.before_rl,
        tasks=tasks_file(config["tasks"]["grpo"]),
        leaks=expand(FILES.leaks, split=gated_splits(config)),
        user_model=user_model("grpo"),
    output:
        directory(FILES.models["rl"]),
    log:
        "logs/grpo.log",
    benchmark:
        "timings/grpo.tsv"
    threads: THREADS
    resources:
        **TRAINING_NODES,
        # the cluster counts GPUs over all nodes
        gpu=GPUS * NODES + job_resources.user_gpus(config, "grpo"),
        mem_mb=memory_mb,
        runtime=runtime,
    params:
        flags=GRPO.flags,
        untracked_flags=untracked(GRPO.untracked),
        beside=beside_user_model("grpo", "grpo"),
        served_user=made_by.served_user(config, "grpo"),
        tau2_data=made_by.tau2_data(),
        training_arguments=made_by.training_arguments(config),
        code=made_by.code(GRPO_PROGRAM.split()[0]),
    message:
        "GRPO: {input.start} plays {input.tasks}"
    shell:
        f"{{params.beside}}python scripts/{GRPO_PROGRAM} --tasks {{input.tasks}} --output {{output}}"
        " {params.flags} {params.untracked_flags} 2>&1 | tee {log}"
