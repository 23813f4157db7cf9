# What is trained: a Hugging Face folder, made here (demo) or downloaded once at a pinned revision.


rule base_model:
    input:
        traces=FILES.traces if config["model"]["source"] == "demo" else [],
        # when its text changes, so does the model
        template=chat_template(config) or [],
    output:
        directory(FILES.models["base"]),
    log:
        "logs/base_model.log",
    cache: SAME_MODEL
    localrule: True
    params:
        flags=stage_flags.base_model(config, FILES.traces),
        source=made_by.folder(config["model"]["source"]),
        code=made_by.code("base_model.py"),
        packages=PACKAGES,
    message:
        "Base model: {output}"
    shell:
        "python scripts/base_model.py --output {output} {params.flags} 2>&1 | tee {log}"


# Only slime's trainers need it: Megatron reads weights in its own format.
CONVERSION = stage_flags.conversion(config)


rule convert_model:
    input:
        model=FILES.models["base"],
    output:
        directory(FILES.converted),
    log:
        "logs/convert_model.log",
    cache: SAME_MODEL
    threads: THREADS
    resources:
        gpu=stage_flags.conversion_gpus(config),
        mem_mb=memory_mb,
        runtime=runtime,
    params:
        flags=CONVERSION.flags,
        untracked_flags=untracked(CONVERSION.untracked),
        code=made_by.code("convert_checkpoint.py"),
        packages=PACKAGES,
    message:
        "Conversion: {input.model} -> {output}"
    shell:
        "python scripts/convert_checkpoint.py --to torch_dist --input {input.model}"
        " --output {output} {params.flags} {params.untracked_flags} 2>&1 | tee {log}"
