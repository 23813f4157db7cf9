# What would stop a run late, asked in seconds: snakemake preflight. On a cluster it asks the node
# that a GPU job gets. Every GPU job asks again for itself.
rule preflight:
    log:
        "logs/preflight.log",
    resources:
        gpu=GPUS,
        mem_mb=4000,
        runtime=10,
    params:
        flags=run_flags.preflight(config, FILES),
    message:
        "Preflight: what would stop a run on this machine?"
    shell:
        "python scripts/preflight.py {params.flags} 2>&1 | tee {log}"
