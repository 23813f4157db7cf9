# How good the models are: every task of a split, for the final model (results/), the SFT model
# (results/sft/) and the base model (results/base/); results/rejection/ where that stage is on.
EVALUATION = stage_flags.evaluation(config)


for stage in FILES.models:
    name = "evaluate" if stage == "rl" else f"evaluate_{stage}"
    if stage != "rl" and not RUN.owns(f"{stage} results"):
        continue

    rule:
        name:
            name
        input:
            checkpoint=FILES.models[stage],
            leaks=FILES.leaks,
            user_model=user_model("evaluation"),
            # Evaluated first, so that the last table shows what training changed.
            compared=[
                FILES.results[earlier] for earlier in (compared(RUN) if stage == "rl" else [])
            ],
        output:
            results=report(
                FILES.results[stage],
                caption="captions/evaluation.rst",
                category="Evaluations",
                labels={"run": RUN.name or "plain", "model": stage, "split": "{split}"},
            ),
            # The same episodes in tau2's own format. Their conversations and tokens lie beside it.
            tau2=FILES.results[stage].replace(".json", ".tau2.json"),
        log:
            f"logs/{name}_{{split}}.log",
        benchmark:
            f"timings/{name}_{{split}}.tsv"
        threads: THREADS
        resources:
            gpu=job_resources.server_gpus(config) + job_resources.user_gpus(config, "evaluation"),
            mem_mb=memory_mb,
            runtime=runtime,
        params:
            stage=stage,
            flags=EVALUATION.flags,
            untracked_flags=untracked(EVALUATION.untracked),
            beside=beside_user_model("evaluation", f"{name}_{{split}}"),
            served_user=made_by.served_user(config, "evaluation"),
            server_arguments=made_by.server_arguments(config),
            tau2_data=made_by.tau2_data(),
            code=made_by.code("evaluate_tau2.py"),
        message:
            "Evaluation of {input.checkpoint} on {wildcards.split}"
        shell:
            "{params.beside}python scripts/evaluate_tau2.py --checkpoint {input.checkpoint}"
            " --output-path {output.results} --domain telecom --task-split {wildcards.split}"
            " --stage {params.stage} {params.flags} {params.untracked_flags}"
            " --compare {input.compared} 2>&1 | tee {log}"
