"""Whether slime is there, knows what it is told, and can train the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tau2_agent.preflight.requirements import Finding, Requirements
from tau2_agent.training.megatron.model_args import (
    ModelConfigError,
    is_moe,
    model_arguments,
    query_groups,
)
from tau2_agent.training.slime import known_flags
from tau2_agent.training.slime.install import Install, InstallError, find_install, untested_versions
from tau2_agent.training.slime.model_scripts import check_against_slime


def stack(job: Requirements, install: Install | None) -> Iterator[Finding]:
    """Yield what is found of slime, of the user's arguments for it, and of the model."""
    try:
        install = install or find_install()
    except InstallError as error:
        yield Finding("failure", "slime", str(error))
        return
    different = untested_versions(install.versions())
    for difference in different:
        yield Finding("warning", "versions", difference)
    if not different:
        yield Finding("ok", "versions", "the tested ones")
    for key, unknown in (
        ("extra_args", known_flags.unknown_training_flags(job.extra_args, install)),
        ("convert_args", known_flags.unknown_conversion_flags(job.convert_args, install)),
    ):
        yield from _ignored(key, unknown)
    config = job.config()
    if config is None:
        return
    try:
        model_arguments(config)
        script = check_against_slime(config, install.model_scripts, job.source)
    except ModelConfigError as error:
        yield Finding("failure", "model", str(error))
        return
    yield Finding("ok", "model", f"agrees with slime's {script}.sh" if script else "no script")
    yield from _model_shape(job, config)


def arguments_of_servers(job: Requirements) -> Iterator[Finding]:
    """Yield what SGLang would not know."""
    yield from _ignored("server_args", known_flags.unknown_server_flags(job.server_args))


def _ignored(key: str, unknown: list[str]) -> Iterator[Finding]:
    if unknown:
        yield Finding(
            "failure",
            "arguments",
            f"slime.{key} has what slime, Megatron and SGLang do not know, and slime ignores it "
            f"without a word: {', '.join(unknown)}; correct it, or take it away",
        )


def _model_shape(job: Requirements, config: dict[str, Any]) -> Iterator[Finding]:
    heads = config["num_attention_heads"]
    groups = query_groups(config)
    layers = config["num_hidden_layers"]
    if groups % job.tensor_parallel or heads % job.tensor_parallel:
        yield Finding(
            "failure",
            "model",
            f"slime.tensor_parallel {job.tensor_parallel} does not divide the model's {heads} "
            f"heads and {groups} key-value groups",
        )
    if layers % job.pipeline_parallel:
        yield Finding(
            "failure",
            "model",
            f"slime.pipeline_parallel {job.pipeline_parallel} does not divide its {layers} layers",
        )
    if is_moe(config) and config["num_experts"] % job.expert_parallel:
        yield Finding(
            "failure",
            "model",
            f"slime.expert_parallel {job.expert_parallel} does not divide its "
            f"{config['num_experts']} experts",
        )
    elif job.expert_parallel > 1 and not is_moe(config):
        yield Finding(
            "failure",
            "model",
            f"slime.expert_parallel is {job.expert_parallel}, and the model has no experts; "
            "set it to 1",
        )
    longest = config.get("max_position_embeddings")
    if longest and job.context_length > longest:
        yield Finding(
            "failure",
            "model",
            f"a context of {job.context_length} tokens is asked for, the model has {longest}; "
            "lower the section's context_length (or sft.max_length), or raise model.max_positions",
        )
