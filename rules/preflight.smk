# What would stop a run late, asked in seconds: snakemake preflight. On a cluster it asks the node
# that a GPU job gets. Every GPU job asks again for itself.
rule preflight:
    log:
        "logs/preflight.log",
    resources:
        gpu=GPUS,
        mem_mb=4000,
        runtime=10,
    params:
        flags=flags(
            backend=BACKEND,
            model=CHECKPOINTS["base"],
            source=None if DEMO_MODEL else config["model"]["source"],
            checkpoints=[CHECKPOINTS["sft"], CHECKPOINTS["rl"]],
            data=[tasks_file(config["tasks"]["grpo"]), TRACES],
            port=config["evaluation"]["sglang_port"],
            ask=[f"{section}={json.dumps(one)}" for section, one in language_models().items()]
            or None,
            **KEEP,
            context_length=max(
                config["sft"]["max_length"],
                config["grpo"]["context_length"],
                config["evaluation"]["context_length"],
            ),
            **(
                {
                    "gpus": GPUS,
                    "nodes": NODES,
                    "sample_length": max(
                        config["sft"]["max_length"], config["grpo"]["context_length"]
                    ),
                    **only(
                        "slime",
                        "tensor_parallel pipeline_parallel context_parallel expert_parallel"
                        " max_tokens_per_gpu optimizer_offload",
                    ),
                    **{
                        key: config["slime"][key] or None
                        for key in ("extra_args", "convert_args", "server_args")
                    },
                }
                if BACKEND == "slime"
                else {}
            ),
        ),
    message:
        "Preflight: what would stop a run on this machine?"
    shell:
        "python scripts/preflight.py {params.flags} 2>&1 | tee {log}"
