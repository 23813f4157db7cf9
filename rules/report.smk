# The page over all evaluations and trainings, one file: results/report.html. An edit of its program,
# scripts or template makes the page anew, and nothing else.
rule report:
    input:
        results=evaluated(RUN),
        others=all_evaluated(RUNS.values()),
        checkpoints=[folder for *_, folder in all_trained(RUNS.values())],
        traces=FILES.traces,
        sampled=[file for _, file in all_sampled(RUNS.values())],
        parts=report_parts(),
    output:
        report(
            "results/report.html",
            caption="captions/report.rst",
            category="Report",
            labels={"what": "results, curves, conversations"},
        ),
    log:
        "logs/report.log",
    localrule: True
    params:
        runs=" ".join(
            shlex.join(["--run", run.name, *evaluated(run)])
            for run in RUNS.values()
            if run.name != PLAIN
        ),
        trainings=" ".join(
            shlex.join(["--training", *training]) for training in all_trained(RUNS.values())
        ),
        sampled=" ".join(
            shlex.join(["--sampled", *sampled]) for sampled in all_sampled(RUNS.values())
        ),
        code=made_by.code("make_report.py"),
        # As they are when the page is made: for their sake alone it is not made anew.
        configuration=untracked(shlex.quote(json.dumps(config))),
        again=untracked(shlex.quote(STARTED.again())),
    message:
        "Report: {output}"
    shell:
        "python scripts/make_report.py --results {input.results} {params.runs} {params.trainings}"
        " {params.sampled} --traces {input.traces} --timings timings --config {params.configuration}"
        " --command {params.again} --output {output} 2>&1 | tee {log}"
