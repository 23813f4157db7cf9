# How good the models are: every task of a split, for the final model (results/), the SFT model
# (results/sft/) and the base model (results/base/), and one table over all of them.
EVALUATION_FLAGS = flags(
    only(
        "evaluation",
        "num_tasks trials temperature max_new_tokens context_length max_steps",
    ),
    weights=PARTIAL_WEIGHTS,
    prompt=config["prompt"],
    **SIMULATORS["evaluation"].flags,
    seed=config["seed"],
    backend=BACKEND,
)
SERVER = {
    "cpu": {},
    "slime": {
        **only("slime", "tensor_parallel"),
        "server_args": config["slime"]["server_args"] or None,
    },
}[BACKEND]
EVALUATION_UNTRACKED_FLAGS = untracked_flags(
    **only("evaluation", "concurrency sglang_port"), **SERVER, **SIMULATORS["evaluation"].untracked
)


rule evaluate:
    input:
        checkpoint=CHECKPOINTS["rl"],
        leaks=LEAKS,
        user_model=user_model("evaluation"),
        # Evaluated first, so that the last table shows what training changed.
        compared=[RESULTS[stage] for stage in config["evaluation"]["compare_with"]],
    output:
        RESULTS["rl"],
    log:
        "logs/evaluate_{split}.log",
    benchmark:
        "benchmarks/evaluate_{split}.tsv"
    threads: THREADS
    resources:
        # What one server needs, not all that training has; and what the user's needs.
        gpu=SERVER.get("tensor_parallel", 0) + SIMULATORS["evaluation"].gpus,
        mem_mb=memory_mb,
        runtime=runtime,
    params:
        stage="rl",
        flags=EVALUATION_FLAGS,
        untracked_flags=EVALUATION_UNTRACKED_FLAGS,
        beside=beside_user_model("evaluation", "evaluate_{split}"),
    message:
        "Evaluation of {input.checkpoint} on {wildcards.split}"
    shell:
        "{params.beside}python scripts/evaluate_tau2.py --checkpoint {input.checkpoint}"
        " --output-path {output} --domain telecom --task-split {wildcards.split} --stage {params.stage} {params.flags}"
        " {params.untracked_flags} --compare {input.compared} 2>&1 | tee {log}"


if RUN.owns("sft results"):

    use rule evaluate as evaluate_sft with:
        input:
            checkpoint=CHECKPOINTS["sft"],
            leaks=LEAKS,
            user_model=user_model("evaluation"),
            compared=[],
        output:
            RESULTS["sft"],
        log:
            "logs/evaluate_sft_{split}.log",
        benchmark:
            "benchmarks/evaluate_sft_{split}.tsv"
        params:
            stage="sft",
            flags=EVALUATION_FLAGS,
            untracked_flags=EVALUATION_UNTRACKED_FLAGS,
            beside=beside_user_model("evaluation", "evaluate_sft_{split}"),


if RUN.owns("base results"):

    use rule evaluate as evaluate_base with:
        input:
            checkpoint=CHECKPOINTS["base"],
            leaks=LEAKS,
            user_model=user_model("evaluation"),
            compared=[],
        output:
            RESULTS["base"],
        log:
            "logs/evaluate_base_{split}.log",
        benchmark:
            "benchmarks/evaluate_base_{split}.tsv"
        params:
            stage="base",
            flags=EVALUATION_FLAGS,
            untracked_flags=EVALUATION_UNTRACKED_FLAGS,
            beside=beside_user_model("evaluation", "evaluate_base_{split}"),
