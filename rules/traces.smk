# What the model is taught: conversations that solved their task, and proof that no evaluated task
# is among the training data.
if config["user"]["serve"] and not user_config.is_folder(config["user"]["serve"]):

    include: "user.smk"


# Who made the conversations decides the program and its flags; what it writes is the same.
TEACHER = config["traces"]["teacher"]
PRICE = config["traces"]["price"]
IMPORTED = {
    "program": "import_traces.py",
    "keys": "source revision replace_prompt max_rejected_share max_length",
    "untracked": {},
}
TRACED = {
    "llm": {
        "program": "teacher_traces.py --tasks {input.tasks}",
        "keys": "model temperature max_tokens options attempts max_length",
        "untracked": {
            **only("traces", "api_base timeout_s budget_usd budget_tokens concurrency"),
            "price": PRICE and [PRICE["input"], PRICE["output"]],
        },
    },
    "file": IMPORTED,
    "hub": IMPORTED,
}.get(
    TEACHER,
    {
        "program": "teacher_traces.py --tasks {input.tasks}",
        # Code meets another user each time only if that is a language model.
        "keys": "attempts" if SIMULATORS["traces"].llm else "",
        "untracked": only("traces", "concurrency") if SIMULATORS["traces"].llm else {},
    },
)


rule teacher_traces:
    input:
        tasks=[] if TRACED is IMPORTED else tasks_file(config["tasks"]["sft"]),
        source=config["traces"]["source"] if TEACHER == "file" else [],
        # Tokens are those of the model that is trained.
        model=CHECKPOINTS["base"] if config["traces"]["max_length"] else [],
        user_model=user_model("traces"),
    output:
        traces=TRACES,
    log:
        "logs/teacher_traces.log",
    cache: SAME_TRACES
    localrule: SAME_TRACES  # seconds; a language model's take their time
    resources:
        gpu=SIMULATORS["traces"].gpus,
        mem_mb=memory_mb,
        runtime=runtime,
    params:
        flags=flags(
            teacher=TEACHER,
            **SIMULATORS["traces"].flags,
            prompt=config["prompt"],
            tokenizer=CHECKPOINTS["base"] if config["traces"]["max_length"] else None,
            **teacher_flags(only("traces", TRACED["keys"])),
        ),
        untracked_flags=untracked_flags(
            **teacher_flags(TRACED["untracked"]), **SIMULATORS["traces"].untracked
        ),
        beside=beside_user_model("traces", "teacher_traces"),
        code=code,
    message:
        "Teacher traces: {output.traces}"
    shell:
        f"{{params.beside}}python scripts/{TRACED['program']} --output {{output.traces}}"
        " {params.flags} {params.untracked_flags} 2>&1 | tee {log}"


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
