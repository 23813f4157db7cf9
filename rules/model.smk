# What is trained: a Hugging Face folder, made here (demo) or downloaded once at a pinned revision.
DEMO_MODEL = config["model"]["source"] == "demo"


def chat_template_file():
    """What takes the place of the model's own chat template: when its text changes, so does it."""
    wanted = config["model"]["chat_template"]
    return os.path.relpath(template_file(wanted)) if wanted else []


rule base_model:
    input:
        traces=TRACES if DEMO_MODEL else [],
        template=chat_template_file(),
    output:
        directory(CHECKPOINTS["base"]),
    log:
        "logs/base_model.log",
    cache: SAME_MODEL
    localrule: True
    params:
        flags=(
            flags(
                source="demo",
                traces=TRACES,
                seed=config["seed"],
                **only(
                    "model", "layers hidden_size heads vocab_size context_length chat_template"
                ),
            )
            if DEMO_MODEL
            else flags(only("model", "source revision chat_template max_positions"))
        ),
        code=code,
    message:
        "Base model: {output}"
    shell:
        "python scripts/base_model.py --output {output} {params.flags} 2>&1 | tee {log}"


# Only slime's trainers need it: Megatron reads weights in its own format.
rule convert_model:
    input:
        model=CHECKPOINTS["base"],
    output:
        directory(CONVERTED),
    log:
        "logs/convert_model.log",
    cache: SAME_MODEL
    threads: THREADS
    resources:
        gpu=1,
        mem_mb=memory_mb,
        runtime=runtime,
    params:
        flags=flags(
            source=None if DEMO_MODEL else config["model"]["source"],
            extra_args=config["slime"]["convert_args"] or None,
        ),
        code=code,
    message:
        "Conversion: {input.model} -> {output}"
    shell:
        "python scripts/convert_checkpoint.py --to torch_dist --input {input.model}"
        " --output {output} {params.flags} 2>&1 | tee {log}"
