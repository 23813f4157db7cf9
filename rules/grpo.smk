# Reinforcement learning from the SFT checkpoint: episodes are sampled, scored, and compared within
# their group. The backend decides the program and its flags; the files are the same.
GRPO = {
    "cpu": {
        "program": "train_grpo_trl.py",
        "keys": "lr rollouts prompts_per_rollout samples_per_prompt temperature max_new_tokens"
        " context_length max_steps std clip clip_high kl micro_batch",
    },
    "slime": {
        "program": "train_grpo_slime.py",
        "keys": "lr rollouts prompts_per_rollout samples_per_prompt temperature max_new_tokens"
        " context_length max_steps std clip clip_high kl",
    },
}[BACKEND]


rule grpo:
    input:
        model=CHECKPOINTS["sft"],
        tasks=tasks_file(config["tasks"]["grpo"]),
        leaks=ancient(expand("data/leaks_{split}.json", split=config["tasks"]["held_out"])),
    output:
        directory(CHECKPOINTS["rl"]),
    log:
        "logs/grpo.log",
    benchmark:
        "benchmarks/grpo.tsv"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=MEMORY_MB,
        runtime=runtime,
    params:
        program=GRPO["program"],
        flags=flags(
            only("grpo", GRPO["keys"]),
            alpha=config["reward"]["alpha"],
            weights=PARTIAL_WEIGHTS,
            prompt=config["prompt"],
            user=config["user"]["simulator"],
            seed=config["seed"],
        ),
        quiet_flags=quiet_flags(**only("grpo", "save_rollouts")),
    message:
        "GRPO: {input.model} practises on {input.tasks}"
    shell:
        "python scripts/{params.program} --model {input.model} --tasks {input.tasks}"
        " --output {output} {params.flags} {params.quiet_flags} 2>&1 | tee {log}"
