# Which tasks: files that name them, one a line, as slime reads its prompts.


rule tasks:
    input:
        known_split,
    output:
        "data/telecom_{split}_tasks.jsonl",
    log:
        "logs/tasks_{split}.log",
    benchmark:
        "timings/tasks_{split}.tsv"
    localrule: True
    params:
        tau2_data=made_by.tau2_data(),
        code=made_by.code("tau2_mock.py"),
    message:
        "Tasks of the split {wildcards.split}"
    shell:
        "python scripts/tau2_mock.py --local_dir data --domain telecom --split {wildcards.split}"
        " 2>&1 | tee {log}"
