"""Megatron's model arguments, derived from a Hugging Face `config.json`.

Any dense Qwen3 works without a table to maintain. Where slime ships a script for the model
(`scripts/models/*.sh`), the derived arguments are compared with it: a silent difference, such as
the rotary base of the 2507 models, ruins the weights without an error.

Left out on purpose: mixture-of-experts models, scaled rotary embeddings and sliding windows; they
are refused by name.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tau2_agent.errors import PipelineError

# What slime's scripts may say beside ours without meaning anything else.
MEANINGLESS = {"--position-embedding-type": "rope", "--rotary-percent": "1.0"}


class ModelConfigError(PipelineError):
    """A model that cannot be described to Megatron, or that is described differently by slime."""


def read_config(model: Path | str) -> dict[str, Any]:
    """Return `config.json` of a Hugging Face folder. Raises ModelConfigError without one."""
    path = Path(model) / "config.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelConfigError(
            f"{path} is missing: {model} is not a Hugging Face model folder"
        ) from None
    except ValueError as error:
        raise ModelConfigError(f"{path} is not valid JSON ({error})") from None


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
        *("--num-query-groups", str(config.get("num_key_value_heads") or heads)),
        "--use-rotary-position-embeddings",
        "--disable-bias-linear",
        *("--normalization", "RMSNorm"),
        *("--norm-epsilon", str(config["rms_norm_eps"])),
        *("--rotary-base", str(rotary_base(config))),
        *("--vocab-size", str(config["vocab_size"])),
        *("--kv-channels", str(config.get("head_dim") or config["hidden_size"] // heads)),
        "--qk-layernorm",
    ]
    if not config.get("tie_word_embeddings", False):
        arguments.append("--untie-embeddings-and-output-weights")
    return arguments


def rotary_base(config: Mapping[str, Any]) -> int:
    """Return the rotary base, from where either generation of transformers writes it."""
    rope = config.get("rope_parameters") or {}
    base = rope.get("rope_theta", config.get("rope_theta"))
    if base is None:
        raise ModelConfigError("config.json names no rope_theta")
    if float(base) != int(base):
        raise ModelConfigError(f"rope_theta {base} is not a whole number; Megatron takes only such")
    return int(base)


def parameter_count(config: Mapping[str, Any]) -> int:
    """Return the number of weights of a dense Qwen3, embeddings included once or twice."""
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    heads = config["num_attention_heads"]
    groups = config.get("num_key_value_heads") or heads
    channels = config.get("head_dim") or hidden // heads
    attention = hidden * channels * (2 * heads + 2 * groups) + 2 * channels
    block = attention + 3 * hidden * config["intermediate_size"] + 2 * hidden
    tables = 1 if config.get("tie_word_embeddings", False) else 2
    return layers * block + hidden + tables * config["vocab_size"] * hidden


def check_against_slime(
    config: Mapping[str, Any], scripts: Path, name: str | None = None
) -> str | None:
    """Compare the derived arguments with slime's own script for this model.

    scripts: slime's `scripts/models` folder. name: a hub id or folder name; the script with that
    name must agree. Without such a script, one of those for the same shape (layers, widths, heads)
    must. Returns the script's name, or None if slime has none for this model. Raises
    ModelConfigError with every difference.
    """
    ours = as_mapping(model_arguments(config))
    by_name = _script_named(scripts, name) if name else None
    if by_name is not None:
        candidates = [by_name]
    else:
        shape = ("--num-layers", "--hidden-size", "--ffn-hidden-size", "--num-attention-heads")
        candidates = [
            path
            for path in sorted(scripts.glob("qwen3-*.sh"))
            if all(script_arguments(path).get(flag) == ours[flag] for flag in shape)
        ]
    found = {path: differences(ours, script_arguments(path)) for path in candidates}
    for path, different in found.items():
        if not different:
            return path.stem
    if not found:
        return None
    path, different = min(found.items(), key=lambda item: len(item[1]))
    raise ModelConfigError(
        f"the model's config.json and slime's {path} disagree: {'; '.join(different)}. "
        "Check which model this is before training it."
    )


def script_arguments(path: Path) -> dict[str, str]:
    """Return the MODEL_ARGS of one of slime's model scripts as flag -> value ("" for a switch)."""
    environment = {key: value for key, value in os.environ.items() if "MODEL_ARGS" not in key}
    result = subprocess.run(
        ["bash", "-c", 'source "$1" && printf "%s\\n" "${MODEL_ARGS[@]}"', "bash", str(path)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if result.returncode:
        raise ModelConfigError(f"{path} cannot be read by bash: {result.stderr.strip()}")
    return as_mapping(result.stdout.split("\n")[:-1])


def as_mapping(arguments: list[str]) -> dict[str, str]:
    """Return a list of command-line arguments as flag -> value ("" for a switch)."""
    mapping: dict[str, str] = {}
    flag = ""
    for argument in arguments:
        if argument.startswith("--"):
            flag = argument
            mapping[flag] = ""
        else:
            mapping[flag] = f"{mapping[flag]} {argument}".strip()
    return mapping


def differences(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """Name every flag that differs, numbers compared as numbers."""
    found = []
    for flag in sorted({*ours, *theirs}):
        mine, other = ours.get(flag), theirs.get(flag)
        if _same(mine, other) or (mine is None and MEANINGLESS.get(flag) == other):
            continue
        found.append(f"{flag}: {_shown(mine)} here, {_shown(other)} there")
    return found


def _refuse_unsupported(config: Mapping[str, Any]) -> None:
    kind = config.get("model_type")
    if kind != "qwen3":
        raise ModelConfigError(
            f"model_type {kind!r} is not supported by the slime backend, only dense 'qwen3'"
        )
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    scaled = rope.get("rope_type", rope.get("type", "default"))
    unsupported = {
        "attention_bias": bool(config.get("attention_bias")),
        "use_sliding_window": bool(config.get("use_sliding_window")),
        f"rope type {scaled!r}": scaled != "default",
        f"hidden_act {config.get('hidden_act')!r}": config.get("hidden_act", "silu") != "silu",
    }
    for what, present in unsupported.items():
        if present:
            raise ModelConfigError(f"config.json has {what}: not supported by the slime backend")
    needed = ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads")
    for key in (*needed, "rms_norm_eps", "vocab_size"):
        if key not in config:
            raise ModelConfigError(f"config.json has no {key}")


def _script_named(scripts: Path, name: str) -> Path | None:
    wanted = name.rstrip("/").rsplit("/", 1)[-1].lower()
    return next((p for p in sorted(scripts.glob("*.sh")) if p.stem.lower() == wanted), None)


def _same(mine: str | None, other: str | None) -> bool:
    if mine is None or other is None:
        return mine is other
    try:
        return float(mine) == float(other)
    except ValueError:
        return mine == other


def _shown(value: str | None) -> str:
    return "absent" if value is None else value or "set"
