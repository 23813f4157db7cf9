"""How many weights a model has, in all and on one GPU, from its `config.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tau2_agent.training.megatron.model_args import (
    head_channels,
    is_moe,
    moe_layers,
    query_groups,
)


def parameter_count(config: Mapping[str, Any]) -> int:
    """Return the number of weights; a tied table of embeddings counts once."""
    return shared_parameters(config) + expert_parameters(config)


def expert_parameters(config: Mapping[str, Any]) -> int:
    """Return the number of weights in experts, which expert parallelism divides."""
    if not is_moe(config):
        return 0
    one = 3 * config["hidden_size"] * config["moe_intermediate_size"]
    return sum(moe_layers(config)) * config["num_experts"] * one


def shared_parameters(config: Mapping[str, Any]) -> int:
    """Return the number of all other weights, which tensor parallelism divides."""
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    heads, groups, channels = (
        config["num_attention_heads"],
        query_groups(config),
        head_channels(config),
    )
    attention = hidden * channels * (2 * heads + 2 * groups)
    if config["model_type"] == "qwen2":
        attention += channels * (heads + 2 * groups)  # biases of query, key and value
    elif config["model_type"] != "llama":
        attention += 2 * channels  # norms of query and key
    sparse = sum(moe_layers(config)) if is_moe(config) else 0
    mlps = (layers - sparse) * 3 * hidden * config["intermediate_size"]
    routers = sparse * hidden * config.get("num_experts", 0)
    tables = 1 if config.get("tie_word_embeddings", False) else 2
    return (
        layers * (attention + 2 * hidden)
        + mlps
        + routers
        + hidden
        + tables * config["vocab_size"] * hidden
    )


def parameters_on_a_gpu(
    config: Mapping[str, Any], *, tensor: int = 1, pipeline: int = 1, expert: int = 1
) -> tuple[float, float]:
    """Return the weights that one GPU holds: (shared ones, experts').

    tensor, pipeline, expert: sizes of the parallel groups. An expert lies whole on its GPU.
    """
    return (
        shared_parameters(config) / (tensor * pipeline),
        expert_parameters(config) / (expert * pipeline),
    )
