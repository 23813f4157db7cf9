"""Megatron's model arguments, derived from a Hugging Face `config.json`.

Any size of these families works without a table to maintain:

    llama       SmolLM2, Llama-3.1            qwen2      Qwen2.5
    qwen3       the dense ones                qwen3_moe  Qwen3-30B-A3B and larger

What Megatron, or slime's way into it, cannot say is refused by name: a silent difference ruins the
weights without an error. Flags as in Megatron-LM 1dcf0dafa (`megatron/training/arguments.py`).
Elsewhere: slime's own scripts for these models (slime/model_scripts.py), sizes (model_size.py).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tau2_agent.errors import PipelineError

# model_type -> the flags of its attention.
FAMILIES = {
    "llama": [],
    "qwen2": ["--add-qkv-bias"],
    "qwen3": ["--qk-layernorm"],
    "qwen3_moe": ["--qk-layernorm"],
}
# The one scaling of rotary embeddings that slime's way into Megatron knows: these numbers are
# written into Megatron's code, and a flag turns them on.
LLAMA_31 = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
NEEDED = (
    "num_hidden_layers",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "rms_norm_eps",
    "vocab_size",
)
NEEDED_MOE = ("moe_intermediate_size", "num_experts", "num_experts_per_tok")
# What transformers takes where a config.json is silent (`configuration_*.py`, 5.23); for Llama, and
# for a null, it goes by the heads.
DEFAULTS = {
    "llama": {},
    "qwen2": {"num_key_value_heads": 32},
    "qwen3": {"num_key_value_heads": 32, "head_dim": 128},
    "qwen3_moe": {"num_key_value_heads": 4},
}


class ModelConfigError(PipelineError):
    """A model that cannot be described to Megatron, or that is described differently by slime."""


def read_config(model: Path | str) -> dict[str, Any]:
    """Return `config.json` of a Hugging Face folder. Raises ModelConfigError without one."""
    path = Path(model) / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelConfigError(
            f"{path} is missing: {model} is not a Hugging Face model folder"
        ) from None
    except ValueError as error:
        raise ModelConfigError(f"{path} is not valid JSON ({error})") from None
    if not isinstance(config, dict):
        raise ModelConfigError(f"{path} holds no JSON object: it describes no model")
    if "num_local_experts" in config:  # transformers 5 writes it so
        config.setdefault("num_experts", config["num_local_experts"])
    return config


def is_moe(config: Mapping[str, Any]) -> bool:
    """Tell whether the model is a mixture of experts."""
    return config.get("model_type") == "qwen3_moe"


def model_arguments(config: Mapping[str, Any]) -> list[str]:
    """Return the flags that make Megatron build the model of `config`.

    Raises ModelConfigError for anything that these flags cannot say.
    """
    _refuse_unsupported(config)
    heads = config["num_attention_heads"]
    arguments = [
        "--swiglu",
        *("--num-layers", str(config["num_hidden_layers"])),
        *("--hidden-size", str(config["hidden_size"])),
        *("--ffn-hidden-size", str(config["intermediate_size"])),
        *("--num-attention-heads", str(heads)),
        "--group-query-attention",
        *("--num-query-groups", str(query_groups(config))),
        "--use-rotary-position-embeddings",
        "--disable-bias-linear",
        *("--normalization", "RMSNorm"),
        *("--norm-epsilon", str(config["rms_norm_eps"])),
        *("--rotary-base", str(rotary_base(config))),
        *("--vocab-size", str(config["vocab_size"])),
        *("--kv-channels", str(head_channels(config))),
        *FAMILIES[config["model_type"]],
    ]
    if _rope(config):
        arguments.append("--use-rope-scaling")
    if not config.get("tie_word_embeddings", False):
        arguments.append("--untie-embeddings-and-output-weights")
    if is_moe(config):
        arguments += [
            *("--moe-ffn-hidden-size", str(config["moe_intermediate_size"])),
            *("--moe-router-score-function", "softmax"),
            *("--moe-token-dispatcher-type", "alltoall"),
            *("--moe-router-topk", str(config["num_experts_per_tok"])),
            *("--moe-layer-freq", str(moe_layers(config)).replace(" ", "")),
            *("--num-experts", str(config["num_experts"])),
            "--moe-grouped-gemm",
            *("--moe-router-dtype", "fp32"),
            "--moe-permute-fusion",
            *("--moe-aux-loss-coeff", "0"),  # routing is the base model's; RL must not balance it
        ]
    return arguments


def query_groups(config: Mapping[str, Any]) -> int:
    """Return the number of key-value heads."""
    groups = _said(config, "num_key_value_heads")
    return groups if groups is not None else config["num_attention_heads"]


def head_channels(config: Mapping[str, Any]) -> int:
    """Return the width of an attention head."""
    width = _said(config, "head_dim")
    return width if width is not None else config["hidden_size"] // config["num_attention_heads"]


def _said(config: Mapping[str, Any], key: str) -> Any:
    return config.get(key, DEFAULTS.get(config["model_type"], {}).get(key))


def moe_layers(config: Mapping[str, Any]) -> list[int]:
    """Return 1 for each layer with experts, 0 for each dense one (`Qwen3MoeDecoderLayer`)."""
    dense = config.get("mlp_only_layers") or []
    step = config.get("decoder_sparse_step", 1)
    return [
        int(layer not in dense and (layer + 1) % step == 0)
        for layer in range(config["num_hidden_layers"])
    ]


def rotary_base(config: Mapping[str, Any]) -> int:
    """Return the rotary base, from where either generation of transformers writes it."""
    found = {
        said["rope_theta"]
        for said in (*_ropes(config), config)
        if isinstance(said.get("rope_theta"), int | float)
    }
    if not found:
        raise ModelConfigError("config.json names no rope_theta that is a number")
    if len(found) > 1:
        raise ModelConfigError(
            f"config.json names two values of rope_theta, {' and '.join(map(str, sorted(found)))}; "
            "leave the right one"
        )
    (base,) = found
    if not math.isfinite(base) or base != int(base):
        raise ModelConfigError(f"rope_theta {base} is not a whole number; Megatron takes only such")
    return int(base)


def _ropes(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Where either generation of transformers writes about rotary embeddings."""
    found = [config[key] for key in ("rope_scaling", "rope_parameters") if config.get(key)]
    if not all(isinstance(rope, dict) for rope in found):
        raise ModelConfigError(f"config.json describes its rotary embeddings by no object: {found}")
    return found


def _rope(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return how rotary embeddings are scaled, None if they are not.

    Where both generations' keys are there, transformers goes by the older one, `rope_scaling`.
    """
    rope = next(iter(_ropes(config)), {})
    plain = "default" if not rope.keys() - {"rope_theta"} else None  # a factor without a type
    scaled = rope.get("rope_type", rope.get("type", plain))
    return None if scaled == "default" else {**rope, "rope_type": scaled}


def _refuse_unsupported(config: Mapping[str, Any]) -> None:
    kind = config.get("model_type")
    if kind not in FAMILIES:
        raise ModelConfigError(
            f"model_type {kind!r} is not supported by the slime backend, only {', '.join(FAMILIES)}"
        )
    moe = is_moe(config)
    for key in (*NEEDED, *(NEEDED_MOE if moe else ())):
        if key not in config:
            raise ModelConfigError(f"config.json has no {key}")
    _refuse_numbers(config)
    _refuse_scaling(config)
    sliding = set(config.get("layer_types") or []) - {"full_attention"}
    partial = {said.get("partial_rotary_factor", 1) for said in (config, *_ropes(config))}
    unsupported = {
        "attention_bias": bool(config.get("attention_bias")),
        "mlp_bias": bool(config.get("mlp_bias")),
        "use_sliding_window": bool(config.get("use_sliding_window")),
        f"layer_types {', '.join(sorted(sliding))}": bool(sliding),
        "partial_rotary_factor": bool(partial - {1, None}),
        "use_mrope": bool(config.get("use_mrope")),
        "rope_interleaved": bool(config.get("rope_interleaved")),
        "quantization_config": bool(
            config.get("quantization_config") or config.get("compression_config")
        ),
        f"hidden_act {config.get('hidden_act')!r}": config.get("hidden_act", "silu") != "silu",
        # Megatron normalises over the chosen experts
        "norm_topk_prob false": moe and not config.get("norm_topk_prob", False),
    }
    for what, present in unsupported.items():
        if present:
            raise ModelConfigError(f"config.json has {what}: not supported by the slime backend")


def _refuse_numbers(config: Mapping[str, Any]) -> None:
    """Counts and widths are whole and positive, and go into each other."""
    moe = is_moe(config)
    whole = [key for key in (*NEEDED, *(NEEDED_MOE if moe else ())) if key != "rms_norm_eps"]
    counts = {key: config[key] for key in whole}
    counts["num_key_value_heads"] = query_groups(config)
    if moe:
        counts["decoder_sparse_step"] = config.get("decoder_sparse_step", 1)
    if _said(config, "head_dim") is not None:
        counts["head_dim"] = _said(config, "head_dim")
    for key, value in counts.items():
        if type(value) is not int or value < 1:
            raise ModelConfigError(f"config.json has {key} {value!r}: no whole number above 0")
    epsilon = config["rms_norm_eps"]
    if not isinstance(epsilon, float | int) or isinstance(epsilon, bool):
        raise ModelConfigError(f"config.json has rms_norm_eps {epsilon!r}: no number")
    heads = config["num_attention_heads"]
    if heads % query_groups(config):
        raise ModelConfigError(
            f"config.json has {heads} attention heads for {query_groups(config)} "
            "num_key_value_heads: each of these serves equally many"
        )
    if _said(config, "head_dim") is None and config["hidden_size"] % heads:
        raise ModelConfigError(
            f"config.json has no head_dim, and {heads} heads do not share hidden_size "
            f"{config['hidden_size']} evenly"
        )


def _refuse_scaling(config: Mapping[str, Any]) -> None:
    rope = _rope(config)
    if rope is None:
        return
    if rope["rope_type"] != "llama3" or config["model_type"] != "llama":
        raise ModelConfigError(
            f"config.json has rope type {rope['rope_type']!r}: not supported by the slime backend"
        )
    for key, known in LLAMA_31.items():
        if rope.get(key) != known:
            raise ModelConfigError(
                f"config.json scales its rotary embeddings with {key} {rope.get(key)} (Llama-3.2 "
                "has factor 32). slime hands on only that they are scaled, and Megatron then takes "
                f"{known:g}, Llama-3.1's: the model would be trained on other positions than its "
                "own, without an error. Take a Llama-3.1, or another family"
            )
