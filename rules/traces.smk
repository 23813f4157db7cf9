# What the model is taught: conversations that solved their task.
# Who made the conversations decides the program and its flags; what it writes is the same.
TEACHER = stage_flags.traces(config, tokenizer=FILES.models["base"])
FOREIGN = config["traces"]["teacher"] in ("file", "hub")
TEACHER_PROGRAM = "import_traces.py" if FOREIGN else "teacher_traces.py --tasks {input.tasks}"


rule teacher_traces:
    input:
        tasks=[] if FOREIGN else tasks_file(config["tasks"]["sft"]),
        source=config["traces"]["source"] if config["traces"]["teacher"] == "file" else [],
        # Tokens are those of the model that is trained.
        model=FILES.models["base"] if config["traces"]["max_length"] else [],
        user_model=user_model("traces"),
    output:
        traces=FILES.traces,
    log:
        "logs/teacher_traces.log",
    cache: SAME_TRACES
    localrule: SAME_TRACES  # seconds; a language model's take their time
    resources:
        gpu=job_resources.user_gpus(config, "traces"),
        mem_mb=memory_mb,
        runtime=runtime,
    params:
        flags=TEACHER.flags,
        untracked_flags=untracked(TEACHER.untracked),
        beside=beside_user_model("traces", "teacher_traces"),
        source=made_by.folder(config["traces"]["source"]),
        served_user=made_by.served_user(config, "traces"),
        tau2_data=made_by.tau2_data(),
        code=made_by.code(TEACHER_PROGRAM.split()[0]),
        packages=PACKAGES,
    message:
        "Teacher traces: {output.traces}"
    shell:
        f"{{params.beside}}python scripts/{TEACHER_PROGRAM} --output {{output.traces}}"
        " {params.flags} {params.untracked_flags} 2>&1 | tee {log}"
