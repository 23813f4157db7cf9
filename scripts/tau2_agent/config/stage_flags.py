"""What the program of each stage is told, and what its job may use, as functions of the settings.

Flags decide a result: as a rule's params they trigger its rerun, so only what matters to a stage is
among its flags. Untracked flags rerun nothing, for they decide nothing of it: how often to save.
Arguments that go on to slime and SGLang are among these, and what of them decides is in made_by.py.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

from tau2_agent.config.user_options import language_model_options, model_name, simulator_of

Config = Mapping[str, Any]

PARALLEL = "tensor_parallel pipeline_parallel context_parallel expert_parallel max_tokens_per_gpu"
SFT = {
    "cpu": "lr epochs batch_size max_length warmup_ratio weight_decay adam_beta2",
    "slime": "lr epochs steps batch_size max_length warmup_ratio weight_decay adam_beta2",
}
GRPO = {
    "cpu": "lr lr_schedule weight_decay adam_beta2 rollouts prompts_per_rollout samples_per_prompt"
    " temperature max_new_tokens context_length max_steps repeat_limit repeat_penalty"
    " scale_by_group_std loss_weighting dynamic_sampling max_resampled_groups curriculum issues"
    " clip_low clip_high kl_coef micro_batch_size",
    "slime": "lr lr_schedule weight_decay adam_beta2 rollouts prompts_per_rollout"
    " samples_per_prompt temperature max_new_tokens context_length response_length max_steps"
    " repeat_limit repeat_penalty scale_by_group_std loss_weighting dynamic_sampling"
    " max_resampled_groups over_sampling_groups group_order curriculum issues clip_low clip_high"
    " kl_coef updates_per_rollout",
}


class Flags(NamedTuple):
    """The flags of a stage's program: those that decide its result, and the rest."""

    flags: str
    untracked: str


def words(values: Mapping[str, Any]) -> str:
    """Return flags from keys and values; None gives none, a truth value --key or --no-key."""
    found = []
    for key, value in values.items():
        if value is None:
            continue
        flag = key.replace("_", "-")
        if isinstance(value, bool):
            found.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, str) and value.startswith("--"):
            found.append(f"--{flag}={value}")  # or it would be taken for another flag
        else:
            found += [f"--{flag}", *map(str, value if isinstance(value, list) else [value])]
    return shlex.join(found)


def only(config: Config, section: str, keys: str) -> dict[str, Any]:
    """The named keys (one text, with blanks between) of a section."""
    return {key: config[section][key] for key in keys.split()}


def partial_weights(config: Config) -> str:
    """The weights of the partial score, as the programs take them."""
    weights = config["reward"]["weights"]
    return ",".join(str(weights[check]) for check in ("action", "communicate", "assertion"))


def base_model(config: Config, traces: str) -> str:
    """A model made here, its tokenizer from the traces, or one that is fetched."""
    if config["model"]["source"] != "demo":
        return words(only(config, "model", "source revision chat_template max_positions"))
    size = only(config, "model", "layers hidden_size heads vocab_size context_length chat_template")
    return words({"source": "demo", "traces": traces, "seed": config["seed"], **size})


def conversion_gpus(config: Config) -> int:
    """GPUs of the conversion: a mixture of experts is too large for one."""
    return config["resources"]["gpus"] if config["slime"]["expert_parallel"] > 1 else 1


def conversion(config: Config) -> Flags:
    """The conversion of the base model to Megatron's format, which fits any number of GPUs."""
    source, gpus = config["model"]["source"], conversion_gpus(config)
    return Flags(
        words(
            {
                "source": None if source == "demo" else source,
                "extra_args": config["slime"]["convert_args"] or None,
            }
        ),
        words({"gpus": gpus if gpus > 1 else None}),
    )


def traces(config: Config, tokenizer: str) -> Flags:
    """The teacher's traces. tokenizer: folder of the trained model, whose tokens are counted."""
    section, teacher = config["traces"], config["traces"]["teacher"]
    user = simulator_of(config, "traces")
    own: dict[str, Any] = {}
    own_untracked: dict[str, Any] = {}
    if teacher in ("file", "hub"):
        keys = "source revision replace_prompt max_rejected_share max_length"
        own = only(config, "traces", keys)
    elif teacher == "llm":
        own, own_untracked = language_model_options(section, "teacher")
        own |= only(config, "traces", "attempts max_length")
        own_untracked |= only(config, "traces", "concurrency")
    elif user.llm:  # code meets another user each time only if that is a language model
        own = only(config, "traces", "attempts")
        own_untracked = only(config, "traces", "concurrency")
    elif section["wordings"] > 1:
        own = only(config, "traces", "wordings")
    return Flags(
        words(
            {
                "teacher": teacher,
                **user.flags,
                "prompt": config["prompt"],
                "tokenizer": tokenizer if section["max_length"] else None,
                **own,
            }
        ),
        words({**own_untracked, **user.untracked}),
    )


def sft(config: Config, **instead: Any) -> Flags:
    """Supervised fine-tuning. instead: values in the place of those of the section."""
    keys = only(config, "sft", SFT[config["backend"]])
    keys |= {key: value for key, value in instead.items() if key in keys}
    return Flags(
        words({**keys, "prompt": config["prompt"], "seed": config["seed"]}),
        words({**only(config, "sft", "save_steps"), **machine(config)}),
    )


def rejection_sampling(config: Config) -> Flags:
    """The SFT model's episodes, which of them are kept. They have GRPO's user and limits."""
    keys = "samples_per_task num_tasks issues temperature keep_per_task min_partial"
    return _playing(
        config,
        "rejection_sampling",
        {
            **only(config, "rejection_sampling", keys),
            **only(config, "grpo", "max_new_tokens context_length max_steps repeat_limit"),
            **only(config, "sft", "max_length"),
        },
        {},
    )


def rejection_sft(config: Config) -> Flags:
    """The second SFT, of rejection sampling."""
    section = config["rejection_sampling"]
    instead = {} if section["lr"] is None else {"lr": section["lr"]}
    if section["epochs"] or section["steps"]:
        instead |= only(config, "rejection_sampling", "epochs steps")
    return sft(config, **instead)


def grpo(config: Config) -> Flags:
    """Reinforcement learning."""
    user = simulator_of(config, "grpo")
    sampling = "gpus_per_engine sglang_mem_fraction"
    return Flags(
        words(
            {
                **only(config, "grpo", GRPO[config["backend"]]),
                **only(config, "grpo", "checkpoint"),
                "alpha": config["reward"]["alpha"],
                "weights": partial_weights(config),
                "prompt": config["prompt"],
                **user.flags,
                "seed": config["seed"],
            }
        ),
        words(
            {
                **only(config, "grpo", "save_rollouts keep_episodes"),
                **validation(config),
                **(only(config, "slime", sampling) if config["backend"] == "slime" else {}),
                **machine(config),
                **user.untracked,
            }
        ),
    )


def validation(config: Config) -> dict[str, Any]:
    """How the policy is validated while it is trained: no weight depends on it."""
    found = only(config, "grpo", "validation_every validation_tasks")
    if not found["validation_every"]:
        return {"validation_every": 0}
    limits = "max_new_tokens context_length max_steps concurrency max_failure_share"
    found |= {
        f"validation_{key}": value for key, value in only(config, "evaluation", limits).items()
    }
    if config["backend"] == "slime":
        found["server_args"] = config["slime"]["server_args"] or None
    return found


def evaluation(config: Config) -> Flags:
    """The evaluation of one model."""
    keys = "num_tasks trials temperature max_new_tokens context_length max_steps"
    return _playing(
        config,
        "evaluation",
        only(config, "evaluation", keys),
        only(config, "evaluation", "sglang_port keep_tokens"),
    )


def _playing(
    config: Config, stage: str, own: Mapping[str, Any], own_untracked: Mapping[str, Any]
) -> Flags:
    """What a model is told that plays as in an evaluation, and what a stage has of its own."""
    user = simulator_of(config, stage)
    return Flags(
        words(
            {
                **own,
                "weights": partial_weights(config),
                "prompt": config["prompt"],
                **user.flags,
                "seed": config["seed"],
                "backend": config["backend"],
            }
        ),
        words(
            {
                **only(config, "evaluation", "concurrency max_failure_share"),
                **own_untracked,
                **_server(config),
                **user.untracked,
            }
        ),
    )


def _server(config: Config) -> dict[str, Any]:
    """How a model is served that plays. What of the arguments decides: made_by.py."""
    if config["backend"] == "cpu":
        return {}
    server_args = {"server_args": config["slime"]["server_args"] or None}
    return only(config, "slime", "tensor_parallel") | server_args


def machine(config: Config) -> dict[str, Any]:
    """What a training is told of the machine and its records."""
    keep = only(config, "resources", "keep_checkpoints")
    if config["backend"] == "cpu":
        return keep
    nodes, tracking = config["resources"]["nodes"], config["tracking"]
    return {
        "gpus": config["resources"]["gpus"],
        "nodes": nodes if nodes > 1 else None,
        **only(config, "slime", f"{PARALLEL} recompute optimizer_offload attention_backend"),
        **keep,
        "extra_args": config["slime"]["extra_args"] or None,
        "tracking": tracking["tool"],
        "wandb_project": tracking["project"],
        "wandb_mode": "offline" if tracking["offline"] else "online",
    }


def user_model(config: Config) -> str:
    """The model that plays the user and is downloaded for it."""
    return words(only(config["user"], "serve", "source revision"))


def user_server(config: Config, stage: str, model: str, log: str) -> str:
    """What goes before a command whose user is served beside it, on GPUs of its own; else nothing.

    model: folder of the user's model. log: of its server.
    """
    serve = simulator_of(config, stage).serve
    if not serve:
        return ""
    flags = words(
        {
            "model": model,
            "name": model_name(config["user"]).removeprefix("openai/"),
            "gpus": serve["gpus"],
            "server_args": serve["server_args"] or None,
            "log": log,
        }
    )
    return f"python scripts/with_user_model.py {flags} -- "
