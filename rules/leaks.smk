# Proof that no evaluated task is among the training data.


# Goes before everything that could run beside it: a leak is found before hours of training.
rule leaks:
    input:
        known_split,
        train=learnt_from(config),
        traces=FILES.traces,
    output:
        FILES.leaks,
    log:
        "logs/leaks_{split}.log",
    benchmark:
        "timings/leaks_{split}.tsv"
    priority: 100
    localrule: True
    params:
        flags=stage_flags.words({"in_sample_splits": config["tasks"]["in_sample"] or None}),
        tau2_data=made_by.tau2_data(),
        code=made_by.code("check_leakage.py"),
    message:
        "Leak gate: does the training data share fault combinations with {wildcards.split}?"
    shell:
        "python scripts/check_leakage.py --train {input.train} {input.traces}"
        " --eval-split {wildcards.split} --output {output} {params.flags} 2>&1 | tee {log}"
