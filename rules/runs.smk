# Several runs side by side (`runs` in config.yaml): each is this workflow once more, as a module with
# its own values. Its rules are called RUN_sft and so on; its logs lie in logs/RUN/.
for run in RUNS.values():
    if run.name == PLAIN:
        continue
    own = f"{run.name}_"

    module:
        name: own
        snakefile:
            "run.smk"
        config:
            {"run": run}
        replace_prefix:
            {"logs/": f"logs/{run.name}/", "timings/": f"timings/{run.name}/"}

    use rule * from own as own*
