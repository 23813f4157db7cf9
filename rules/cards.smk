# The model card of the final checkpoint, which is put into it as README.md, and the data card of the
# traces: publishing is one command of the hub's own client, which the job prints.
rule cards:
    input:
        checkpoint=FILES.models["rl"],
        sft=FILES.models["sft"],
        rejection=FILES.models.get("rejection", []),
        sampled=FILES.sampled or [],
        base=FILES.models["base"],
        results=evaluated(RUN),
        traces=FILES.traces,
        leaks=expand(FILES.leaks, split=gated_splits(config)),
    output:
        model="results/model_card.md",
        data="data/README.md",
    log:
        "logs/cards.log",
    localrule: True
    params:
        flags=run_flags.cards(config),
        code=made_by.code("make_cards.py"),
        again=untracked(shlex.quote(STARTED.again())),
    message:
        "Cards of {input.checkpoint} and {input.traces}"
    shell:
        "python scripts/make_cards.py --checkpoint {input.checkpoint} --sft {input.sft}"
        " --rejection {input.rejection} --sampled {input.sampled}"
        " --base-folder {input.base} --results {input.results} --traces {input.traces}"
        " --leaks {input.leaks} {params.flags} --command {params.again}"
        " --output {output.model} --data-card {output.data} 2>&1 | tee {log}"
