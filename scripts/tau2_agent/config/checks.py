"""Values of a configuration that are fine alone and do not fit each other.

Settings say what each key may be; here stands what is about several of them. Each check names the
keys, their values and the remedy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tau2_agent.config import sources
from tau2_agent.config import user_options as user_config
from tau2_agent.config.mistakes import Fault, keys_in_complaint
from tau2_agent.rollout.rendering import TemplateError
from tau2_agent.rollout.room import fewest_steps
from tau2_agent.rollout.template_files import template_text

# Splits with all of extra_dev. Of `small` some are there, too: the leak gate sees to these.
WITH_VALIDATION_TASKS = ("extra_dev", "extra", "full")


def cross_checks(config: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what does not fit in a complete configuration."""
    for fault in _faults(config):
        yield fault._replace(others=keys_in_complaint(fault.text))


def _faults(config: Mapping[str, Any]) -> Iterator[Fault]:
    yield from _length_of_training(config)
    yield from _token_budgets(config)
    yield from _rejection_sampling(config)
    yield from _validation(config)
    yield from _teacher(config)
    yield from _chat_template(config["model"])
    yield from (Fault(*fault) for fault in user_config.faults(config))
    if sum(config["reward"]["weights"].values()) == 0:
        yield Fault("reward.weights", "reward.weights are all 0; at least one check must count")
    if config["model"]["source"] == "demo":
        yield from _demo_model(config)
    yield from sources.faults(config)
    if config["backend"] == "cpu":
        yield from _cpu_backend(config)
    else:
        yield from _over_sampling(config["grpo"])
        yield from _parallelism(config)


def _length_of_training(config: Mapping[str, Any]) -> Iterator[Fault]:
    epochs, steps = config["sft"]["epochs"], config["sft"]["steps"]
    if (epochs is None) == (steps is None):
        given = f"sft.epochs is {epochs} and sft.steps is {steps}"
        yield Fault("sft.epochs", f"{given}; set one to a number and the other to null")


def _token_budgets(config: Mapping[str, Any]) -> Iterator[Fault]:
    for section in ("grpo", "evaluation"):
        turn, whole = config[section]["max_new_tokens"], config[section]["context_length"]
        if turn >= whole:
            yield Fault(
                f"{section}.max_new_tokens",
                f"{section}.max_new_tokens {turn} leaves no room for a prompt in "
                f"{section}.context_length {whole}; lower the first",
            )
        if (steps := config[section]["max_steps"]) < fewest_steps():
            yield Fault(
                f"{section}.max_steps",
                f"{section}.max_steps {steps} ends every episode before its task is solved: the "
                f"shortest conversation that solves one needs {fewest_steps()}; raise it, tau2 has "
                "200",
            )


def _rejection_sampling(config: Mapping[str, Any]) -> Iterator[Fault]:
    section = config["rejection_sampling"]
    epochs, steps = section["epochs"], section["steps"]
    if epochs is not None and steps is not None:
        yield Fault(
            "rejection_sampling.epochs",
            f"rejection_sampling.epochs is {epochs} and rejection_sampling.steps is {steps}; set "
            "one of them, or none to train as long as sft says",
        )
    if steps is not None and config["backend"] == "cpu":
        yield Fault(
            "rejection_sampling.steps",
            "the cpu backend counts epochs; set rejection_sampling.epochs, and "
            "rejection_sampling.steps to null",
        )
    played, most = section["samples_per_task"], section["keep_per_task"]
    if 0 < played < most:
        yield Fault(
            "rejection_sampling.keep_per_task",
            f"rejection_sampling.keep_per_task {most} is more than "
            f"rejection_sampling.samples_per_task {played}; lower the first or raise the second",
        )
    if section["issues"] == "balanced" and section["num_tasks"] < 0:
        yield Fault(
            "rejection_sampling.issues",
            "rejection_sampling.issues balanced is about which tasks are drawn, and "
            "rejection_sampling.num_tasks -1 plays all; set a number, or proportional",
        )


def _validation(config: Mapping[str, Any]) -> Iterator[Fault]:
    grpo = config["grpo"]
    every, save = grpo["validation_every"], grpo["save_rollouts"]
    if grpo["checkpoint"] == "best":
        if not every:
            yield Fault(
                "grpo.checkpoint",
                "grpo.checkpoint best is the best on validation, and grpo.validation_every is 0; "
                f"set that to a multiple of grpo.save_rollouts {save}, or the checkpoint to last",
            )
        elif every % save:
            yield Fault(
                "grpo.validation_every",
                f"grpo.checkpoint best keeps what was validated: grpo.validation_every {every} "
                f"must be a multiple of grpo.save_rollouts {save}; change one",
            )
    for stage in ("sft", "rejection_sampling", "grpo"):
        if every and config["tasks"][stage] in WITH_VALIDATION_TASKS:
            yield Fault(
                f"tasks.{stage}",
                f"tasks.{stage} {config['tasks'][stage]} holds extra_dev, whose tasks are for "
                "validation; train on extra_train or train, or set grpo.validation_every to 0",
            )


def _teacher(config: Mapping[str, Any]) -> Iterator[Fault]:
    traces, teacher = config["traces"], config["traces"]["teacher"]
    goes_with = {
        "model": ["llm"],
        "source": ["file", "hub"],
        "revision": ["hub"],
        "max_length": ["llm", "file", "hub"],
    }
    for key, teachers in goes_with.items():
        given, wanted = traces[key] is not None, teacher in teachers
        if wanted and not given and key != "max_length":
            yield Fault(f"traces.{key}", f"traces.teacher {teacher} needs traces.{key}; set it")
        elif given and not wanted:
            yield Fault(
                f"traces.{key}",
                f"traces.{key} goes with traces.teacher {' or '.join(teachers)}, not with "
                f"{teacher}; set it to null, or the teacher to {teachers[0]}",
            )
    user = config["user"]
    if traces["wordings"] > 1 and (teacher, user["simulator"]) != ("scripted", "scripted"):
        yield Fault(
            "traces.wordings",
            f"traces.wordings {traces['wordings']} goes with a scripted teacher and a scripted "
            "user; set it to 1",
        )
    elif traces["wordings"] > 1 and user["phrasing"] == "fixed":
        yield Fault(
            "traces.wordings",
            f"traces.wordings {traces['wordings']} would be as many equal traces of each task, "
            "since the user has fixed words; set it to 1, or user.phrasing to train",
        )
    if teacher == "file" and traces["source"] and not Path(traces["source"]).exists():
        # Snakemake forgives a missing input whose output is there already: older traces would
        # pass for the ones that are named here.
        yield Fault(
            "traces.source",
            f"traces.source {traces['source']} is not there; give a file or folder, as seen from "
            "the folder of config.yaml",
        )
    longest, most = traces["max_length"], config["sft"]["max_length"]
    if longest is not None and longest > most:
        yield Fault(
            "traces.max_length",
            f"traces.max_length {longest} lets traces pass that sft.max_length {most} refuses; "
            f"lower it to {most}",
        )
    if longest is not None and config["model"]["source"] == "demo":
        yield Fault(
            "traces.max_length",
            "traces.max_length counts the tokens of the model, and a demo model is made from the "
            "traces; set it to null",
        )


def _demo_model(config: Mapping[str, Any]) -> Iterator[Fault]:
    model = config["model"]
    if model["max_positions"] is not None:
        yield Fault(
            "model.max_positions",
            "model.max_positions is for models that were made elsewhere; a demo model has as many "
            "positions as model.context_length says",
        )
    hidden, heads, room = model["hidden_size"], model["heads"], model["context_length"]
    if hidden % (2 * heads):
        yield Fault(
            "model.hidden_size",
            f"model.hidden_size {hidden} is no multiple of twice model.heads {heads}; change one",
        )
    for section, key in (
        ("sft", "max_length"),
        ("grpo", "context_length"),
        ("evaluation", "context_length"),
    ):
        if config[section][key] > room:
            yield Fault(
                f"{section}.{key}",
                f"{section}.{key} {config[section][key]} is more than model.context_length "
                f"{room}; lower the first or raise the second",
            )


def _chat_template(model: Mapping[str, Any]) -> Iterator[Fault]:
    if model["chat_template"] is not None:
        try:
            template_text(model["chat_template"])
        except TemplateError as error:
            yield Fault("model.chat_template", f"model.chat_template: {error}")


def _cpu_backend(config: Mapping[str, Any]) -> Iterator[Fault]:
    grpo = config["grpo"]
    if config["sft"]["steps"] is not None:
        yield Fault(
            "sft.steps", "the cpu backend counts epochs; set sft.epochs, and sft.steps to null"
        )
    if config["evaluation"]["sglang_port"] is not None:
        yield Fault(
            "evaluation.sglang_port",
            "evaluation.sglang_port is the slime backend's; set it to null for backend cpu",
        )
    episodes = grpo["prompts_per_rollout"] * grpo["samples_per_prompt"]
    if episodes % grpo["micro_batch_size"]:
        yield Fault(
            "grpo.micro_batch_size",
            f"grpo.micro_batch_size {grpo['micro_batch_size']} does not divide "
            f"grpo.prompts_per_rollout × samples_per_prompt = {episodes}; take a divisor of it",
        )


def _over_sampling(grpo: Mapping[str, Any]) -> Iterator[Fault]:
    most = grpo["max_resampled_groups"] if grpo["dynamic_sampling"] else 0
    if grpo["over_sampling_groups"] > most:
        yield Fault(
            "grpo.over_sampling_groups",
            f"grpo.over_sampling_groups {grpo['over_sampling_groups']} begin ahead of need, of the "
            f"{most} groups that dynamic sampling may play beside a round's own "
            "(grpo.max_resampled_groups; 0 without grpo.dynamic_sampling); lower the first or "
            "raise the second",
        )


def _parallelism(config: Mapping[str, Any]) -> Iterator[Fault]:
    nodes, slime, grpo = config["resources"]["nodes"], config["slime"], config["grpo"]
    gpus = config["resources"]["gpus"] * nodes
    shared = slime["tensor_parallel"] * slime["pipeline_parallel"] * slime["context_parallel"]
    if nodes > 1 and config["user"].get("serve"):
        yield Fault(
            "resources.nodes",
            "user.serve takes GPUs of one node; serve the user elsewhere (user.api_base) when "
            f"resources.nodes is {nodes}",
        )
    if gpus == 0 or gpus % shared:
        yield Fault(
            "resources.gpus",
            f"resources.gpus × nodes = {gpus} is no multiple of {shared}, the GPUs of one replica "
            "(slime.tensor_parallel × pipeline_parallel × context_parallel); change one of them",
        )
        return
    experts = slime["expert_parallel"] * slime["pipeline_parallel"]
    if gpus % experts:
        yield Fault(
            "slime.expert_parallel",
            f"resources.gpus × nodes = {gpus} is no multiple of {experts} (slime.expert_parallel × "
            "pipeline_parallel); change one of them",
        )
    replicas = gpus // shared
    episodes = grpo["prompts_per_rollout"] * grpo["samples_per_prompt"]
    if episodes % grpo["updates_per_rollout"]:
        yield Fault(
            "grpo.updates_per_rollout",
            f"grpo.updates_per_rollout {grpo['updates_per_rollout']} does not divide "
            f"grpo.prompts_per_rollout × samples_per_prompt = {episodes}; take a divisor of it",
        )
        return
    for key, name, size in (
        ("sft.batch_size", "sft.batch_size", config["sft"]["batch_size"]),
        (
            "grpo.prompts_per_rollout",
            "grpo.prompts_per_rollout × samples_per_prompt / updates_per_rollout",
            episodes // grpo["updates_per_rollout"],
        ),
    ):
        if size % replicas:
            yield Fault(
                key,
                f"{name} = {size} cannot be shared evenly by {replicas} replicas (resources.gpus "
                f"{gpus} / {shared} GPUs each); make it a multiple of {replicas}",
            )
