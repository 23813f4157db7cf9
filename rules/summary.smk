# One table over all evaluations, of the plain run and of those beside it.
rule summary:
    input:
        results=evaluated(RUN),
        others=all_evaluated(RUNS.values()),
    output:
        report(
            "results/summary.csv",
            caption="captions/summary.rst",
            category="Results",
            labels={"what": "all models in one table"},
        ),
    log:
        "logs/summary.log",
    benchmark:
        "timings/summary.tsv"
    localrule: True
    params:
        runs=" ".join(
            shlex.join(["--run", run.name, *evaluated(run)])
            for run in RUNS.values()
            if run.name != PLAIN
        ),
        code=made_by.code("summarise_results.py"),
    message:
        "Summary of {input.others}"
    shell:
        "python scripts/summarise_results.py --results {input.results} {params.runs}"
        " --output {output} 2>&1 | tee {log}"
