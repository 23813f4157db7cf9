# What the model is taught: conversations that solved their task, and proof that no evaluated task
# is among the training data.


rule teacher_traces:
    input:
        tasks=tasks_file(config["tasks"]["sft"]),
    output:
        traces=TRACES,
    log:
        "logs/teacher_traces.log",
    benchmark:
        "benchmarks/teacher_traces.tsv"
    resources:
        mem_mb=MEMORY_MB,
        runtime=runtime,
    params:
        flags=flags(
            teacher=config["traces"]["teacher"],
            user=config["user"]["simulator"],
            prompt=config["prompt"],
        ),
    message:
        "Teacher traces: {input.tasks} -> {output.traces}"
    shell:
        "python scripts/teacher_traces.py --tasks {input.tasks} --output {output.traces}"
        " {params.flags} 2>&1 | tee {log}"


# Goes before everything that could run beside it: a leak is found before hours of training.
rule leaks:
    input:
        known_split,
        train=sorted({tasks_file(config["tasks"]["sft"]), tasks_file(config["tasks"]["grpo"])}),
        traces=TRACES,
    output:
        LEAKS,
    log:
        "logs/leaks_{split}.log",
    benchmark:
        "benchmarks/leaks_{split}.tsv"
    priority: 100
    localrule: True
    params:
        flags=flags(in_sample_splits=config["tasks"]["in_sample"] or None),
    message:
        "Leak gate: does the training data share fault combinations with {wildcards.split}?"
    shell:
        "python scripts/check_leakage.py --train {input.train} {input.traces}"
        " --eval-split {wildcards.split} --output {output} {params.flags} 2>&1 | tee {log}"
