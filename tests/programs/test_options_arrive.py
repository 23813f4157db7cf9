"""Each option of a training reaches what acts on it: TRL, slime, an episode, the job."""

from __future__ import annotations

import pytest
from arrivals import (
    USER,
    Arrival,
    Run,
    at,
    check_arrivals,
    flag,
    make_inputs,
    refused,
    switch,
)
from before_training import BASE, PROGRAMS, on_trl

SLIME: dict[str, Arrival] = {
    "model": flag("--hf-checkpoint"),
    "output": at("stage"),
    "seed": lambda seen, value: (
        (seen.flags["--seed"], seen.flags["--rollout-seed"]),
        (str(value), str(value)),
    ),
    "lr": flag("--lr"),
    "weight_decay": flag("--weight-decay"),
    "adam_beta2": flag("--adam-beta2"),
    "gpus": flag("--actor-num-gpus-per-node"),
    "nodes": flag("--actor-num-nodes"),
    "tensor_parallel": flag("--tensor-model-parallel-size"),
    "pipeline_parallel": flag("--pipeline-model-parallel-size"),
    "context_parallel": flag("--context-parallel-size"),
    "expert_parallel": flag("--expert-model-parallel-size"),
    "max_tokens_per_gpu": flag("--max-tokens-per-gpu"),
    "recompute": lambda seen, value: ("--recompute-granularity" in seen.flags, value == "full"),
    "optimizer_offload": lambda seen, value: (
        "--optimizer-cpu-offload" in seen.flags and "--use-precision-aware-optimizer" in seen.flags,
        value,
    ),
    "attention_backend": flag("--attention-backend"),
    "extra_args": lambda seen, value: (value in seen.flags, True),
    "dynamic_batches": switch("--use-dynamic-batch-size"),
    "keep_checkpoints": at("told.keep_checkpoints"),  # training/slime/test_trainer.py
    "ray_address": at("told.ray_address"),  # training/slime/test_job.py
    "tracking": lambda seen, value: ("TENSORBOARD_DIR" in seen.environment, True),
    "wandb_project": flag("--wandb-project"),
    "wandb_mode": flag("--wandb-mode"),
}
VALIDATION: dict[str, Arrival] = {
    "checkpoint": lambda seen, value: (seen.settings["checkpoint"], value),
    "validation_every": at("validator.every"),
    "validation_tasks": lambda seen, value: (len(seen.validator.tasks), value),
    "validation_max_new_tokens": at("validator.settings.sampling.max_new_tokens"),
    "validation_context_length": at("validator.settings.context_length"),
    "validation_max_steps": at("validator.settings.limits.max_steps"),
    "validation_concurrency": at("validator.args.concurrency"),
    "validation_max_failure_share": at("validator.args.max_failure_share"),
}
ARRIVES: dict[str, dict[str, Arrival]] = {
    "train_sft_trl": {
        "model": at("model"),
        "traces": refused("other_traces"),
        "output": at("stage"),
        "prompt": refused("another system prompt"),
        "max_length": refused("sft.max_length"),
        "seed": at("config.seed"),
        "lr": at("config.learning_rate"),
        "epochs": lambda seen, value: (seen.config.max_steps, 2 * value),  # 2 batches each
        "batch_size": at("config.per_device_train_batch_size"),
        "warmup_ratio": lambda seen, value: (
            seen.config.warmup_steps,
            -(-seen.config.max_steps * value // 1),
        ),
        "weight_decay": at("config.weight_decay"),
        "adam_beta2": at("config.adam_beta2"),
        "save_steps": at("config.save_steps"),
        "keep_checkpoints": at("config.save_total_limit"),
        "logging_steps": at("config.logging_steps"),
    },
    "train_grpo_trl": {
        "model": at("model"),
        "tasks": refused("other_tasks"),
        "output": at("stage"),
        "prompt": at("episode.prompt"),
        "seed": lambda seen, value: (
            (seen.config.seed, seen.users.seed, seen.rollouts.choice.seed),
            (value, value, value),
        ),
        "rollouts": at("config.max_steps"),
        "prompts_per_rollout": lambda seen, value: (
            (
                seen.config.per_device_train_batch_size * seen.config.gradient_accumulation_steps,
                seen.rollouts.plan.groups,
            ),
            (value * seen.options.samples_per_prompt, value),
        ),
        "samples_per_prompt": at("config.num_generations"),
        "micro_batch_size": at("config.per_device_train_batch_size"),
        "temperature": lambda seen, value: (
            (seen.config.temperature, seen.episode.sampling.temperature),
            (value, value),
        ),
        "context_length": lambda seen, value: (
            (seen.config.max_completion_length, seen.episode.context_length),
            (value, value),
        ),
        "max_new_tokens": at("episode.sampling.max_new_tokens"),
        "max_steps": at("episode.limits.max_steps"),
        "repeat_limit": at("episode.limits.repeat_limit"),
        "repeat_penalty": at("rollouts.args.repeat_penalty"),
        "dynamic_sampling": lambda seen, value: (seen.rollouts.plan.resampled > 0, value),
        "max_resampled_groups": at("rollouts.plan.resampled"),
        "curriculum": at("rollouts.choice.curriculum"),
        "issues": at("rollouts.choice.issues"),
        # training/test_trl_rollouts.py and test_objective.py show what the function does with these
        "alpha": at("rollouts.args.alpha"),
        "weights": at("rollouts.weights"),
        "scale_by_group_std": at("rollouts.args.scale_by_group_std"),
        "loss_weighting": lambda seen, value: (
            seen.config.loss_type,
            {"token": "dapo", "sample": "grpo"}[value],
        ),
        "weight_decay": at("config.weight_decay"),
        "adam_beta2": at("config.adam_beta2"),
        "lr": at("config.learning_rate"),
        "lr_schedule": at("config.lr_scheduler_type"),
        "kl_coef": at("config.beta"),
        "clip_low": at("config.epsilon"),
        "clip_high": at("config.epsilon_high"),
        "save_rollouts": at("config.save_steps"),
        # and the best on validation
        "keep_checkpoints": lambda seen, value: (seen.config.save_total_limit, value + 1),
        "keep_episodes": at("rollouts.samples.count"),
        **USER,
        **VALIDATION,
    },
    "train_sft_slime": {
        **SLIME,
        "base": flag("--ref-load"),
        "traces": refused("other_traces"),
        "prompt": refused("another system prompt"),
        "max_length": refused("sft.max_length"),
        "save_steps": flag("--save-interval"),
        "batch_size": lambda seen, value: (
            (seen.flags["--rollout-batch-size"], seen.flags["--global-batch-size"]),
            (str(value), str(value)),
        ),
        "warmup_ratio": flag("--lr-warmup-fraction"),
        "steps": flag("--num-rollout"),
        "epochs": lambda seen, value: (seen.flags["--num-rollout"], str(2 * value)),
    },
    "train_grpo_slime": {
        **SLIME,
        **USER,
        **VALIDATION,
        "server_args": at("validator.args.server_args"),  # of the server between two jobs
        "sft": flag("--ref-load"),
        "tasks": refused("other_tasks"),
        "prompt": at("episode.prompt"),
        "save_rollouts": flag("--save-interval"),
        "keep_episodes": at("hooks.tau2_keep_episodes"),
        "rollouts": flag("--num-rollout"),
        "prompts_per_rollout": flag("--rollout-batch-size"),
        "samples_per_prompt": flag("--n-samples-per-prompt"),
        "temperature": flag("--rollout-temperature"),
        "response_length": at("episode.response_length"),
        "max_new_tokens": at("episode.sampling.max_new_tokens"),
        "context_length": at("episode.context_length"),
        "max_steps": at("episode.limits.max_steps"),
        "repeat_limit": at("episode.limits.repeat_limit"),
        "repeat_penalty": at("hooks.tau2_repeat_penalty"),
        "dynamic_sampling": lambda seen, value: (seen.hooks.tau2_resampled_groups > 0, value),
        "max_resampled_groups": at("hooks.tau2_resampled_groups"),
        "over_sampling_groups": at("hooks.tau2_over_sampling_groups"),
        "group_order": at("hooks.tau2_group_order"),
        "curriculum": at("hooks.tau2_curriculum"),
        "issues": at("hooks.tau2_issues"),
        "alpha": at("hooks.tau2_alpha"),
        "weights": lambda seen, value: (
            seen.hooks.tau2_partial_weights,
            ",".join(map(str, value)),
        ),
        "scale_by_group_std": switch("--disable-grpo-std-normalization", on=False),
        "lr_schedule": flag("--lr-decay-style"),
        "updates_per_rollout": lambda seen, value: (
            (seen.flags["--num-steps-per-rollout"], seen.training["updates_per_rollout"]),
            (str(value), value),
        ),
        "loss_weighting": lambda seen, value: (
            "--calculate-per-token-loss" in seen.flags,
            value == "token",
        ),
        "clip_low": flag("--eps-clip"),
        "clip_high": flag("--eps-clip-high"),
        "kl_coef": flag("--kl-loss-coef"),
        "gpus_per_engine": flag("--rollout-num-gpus-per-engine"),
        "sglang_mem_fraction": flag("--sglang-mem-fraction-static"),
    },
}
# Other words than `changed` finds, and what an option needs beside it.
INSTEAD = {
    ("train_sft_trl", "max_length"): ["--max-length", "100"],
    ("train_sft_slime", "max_length"): ["--max-length", "100"],
    ("train_sft_trl", "warmup_ratio"): ["--warmup-ratio", "0.9"],
    ("train_sft_slime", "batch_size"): ["--batch-size", "3"],
    ("train_sft_slime", "expert_parallel"): ["--expert-parallel", "2"],
    ("train_grpo_slime", "expert_parallel"): ["--expert-parallel", "2"],
    **{(f"train_{stage}_slime", "gpus"): ["--gpus", "4"] for stage in ("sft", "grpo")},
    ("train_grpo_slime", "validation_context_length"): ["--validation-context-length", "999"],
    **{
        (f"train_grpo_{backend}", "prompt"): [
            *("--prompt", "tau2-owners", "--context-length", "32000"),
            *("--validation-context-length", "32000"),
        ]
        for backend in ("trl", "slime")
    },
}
PARALLEL = {
    "pipeline_parallel": ["--gpus", "4"],
    "context_parallel": ["--gpus", "8"],
    "tensor_parallel": ["--gpus", "6"],
    "optimizer_offload": [],
}
BESIDE = {
    **{
        (f"train_{stage}_slime", name): more
        for stage in ("sft", "grpo")
        for name, more in {
            **PARALLEL,
            "wandb_project": ["--tracking", "wandb"],
            "wandb_mode": ["--tracking", "wandb"],
        }.items()
    },
    ("train_grpo_trl", "max_resampled_groups"): ["--dynamic-sampling"],
    ("train_grpo_trl", "samples_per_prompt"): ["--micro-batch-size", "1"],
    ("train_grpo_trl", "prompts_per_rollout"): ["--micro-batch-size", "1"],
    ("train_grpo_trl", "micro_batch_size"): ["--samples-per-prompt", "9"],
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_option_arrives(monkeypatch, random_model, tmp_path, program) -> None:
    inputs = make_inputs(tmp_path, random_model, monkeypatch)
    files, prepare = PROGRAMS[program]
    given = [word for name in files.split() for word in (f"--{name}", str(inputs[name]))]
    given += ["--output", str(tmp_path / "out"), *BASE[program]]
    check_arrivals(
        Run(monkeypatch, tmp_path, prepare, given),
        program,
        ARRIVES[program],
        {option: words for (name, option), words in INSTEAD.items() if name == program},
        {option: words for (name, option), words in BESIDE.items() if name == program},
    )


def test_trl_gets_tokens_and_labels_of_each_trace(monkeypatch, random_model, tmp_path) -> None:
    inputs = make_inputs(tmp_path, random_model, monkeypatch)
    given = ["--model", str(inputs["model"]), "--traces", str(inputs["traces"])]
    given += ["--output", str(tmp_path / "out"), *BASE["train_sft_trl"]]
    rows = Run(monkeypatch, tmp_path, on_trl, given)("train_sft_trl").trainer["train_dataset"]
    assert set(rows.column_names) == {"input_ids", "labels"} and len(rows) == 3
    for ids, labels in zip(rows["input_ids"], rows["labels"], strict=True):
        assert {a for a, b in zip(labels, ids, strict=True) if a != b} == {-100}
        assert any(a == b for a, b in zip(labels, ids, strict=True))
