# Reinforcement learning from the SFT checkpoint: episodes are sampled, scored, and compared within
# their group. The backend decides the program and its flags; the files are the same.
GRPO = {
    "cpu": {
        "program": "train_grpo_trl.py --model {input.sft}",
        "keys": "lr lr_schedule rollouts prompts_per_rollout samples_per_prompt temperature"
        " max_new_tokens context_length max_steps scale_by_group_std clip_low clip_high kl_coef micro_batch_size",
        "untracked_keys": "",
    },
    "slime": {
        "program": "train_grpo_slime.py --model {input.sft} --sft {input.sft}",
        "keys": "lr lr_schedule rollouts prompts_per_rollout samples_per_prompt temperature"
        " max_new_tokens context_length response_length max_steps scale_by_group_std dynamic_sampling clip_low clip_high kl_coef updates_per_rollout"
        " weight_decay",
        "untracked_keys": "gpus_per_engine sglang_mem_fraction",
    },
}[BACKEND]


rule grpo:
    input:
        sft=CHECKPOINTS["sft"],
        tasks=tasks_file(config["tasks"]["grpo"]),
        leaks=expand(LEAKS, split=config["tasks"]["held_out"]),
        user_model=user_model("grpo"),
    output:
        directory(CHECKPOINTS["rl"]),
    log:
        "logs/grpo.log",
    benchmark:
        "benchmarks/grpo.tsv"
    threads: THREADS
    resources:
        **TRAINING_NODES,
        gpu=GPUS * NODES + SIMULATORS["grpo"].gpus,
        mem_mb=memory_mb,
        runtime=runtime,
    params:
        flags=flags(
            only("grpo", GRPO["keys"]),
            alpha=config["reward"]["alpha"],
            weights=PARTIAL_WEIGHTS,
            prompt=config["prompt"],
            **SIMULATORS["grpo"].flags,
            seed=config["seed"],
        ),
        untracked_flags=untracked_flags(
            **only("grpo", "save_rollouts"),
            **only("slime", GRPO["untracked_keys"]),
            **MACHINE,
            **SIMULATORS["grpo"].untracked,
        ),
        beside=beside_user_model("grpo", "grpo"),
    message:
        "GRPO: {input.sft} practises on {input.tasks}"
    shell:
        f"{{params.beside}}python scripts/{GRPO['program']} --tasks {{input.tasks}} --output {{output}}"
        " {params.flags} {params.untracked_flags} 2>&1 | tee {log}"
