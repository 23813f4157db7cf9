"""Our model arguments beside slime's own scripts for these models (`scripts/models/*.sh`).

Where slime ships a script for a model, the arguments derived from its config.json must be the
script's: a wrong rotary base, for example, ruins the weights without an error.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tau2_agent.training.megatron.model_args import ModelConfigError, model_arguments

SCRIPTS = {
    "llama": "llama*.sh",
    "qwen2": "qwen2.5-*.sh",
    "qwen3": "qwen3-*.sh",
    "qwen3_moe": "qwen3-*.sh",
}
SHAPE = ("--num-layers", "--hidden-size", "--ffn-hidden-size", "--num-attention-heads")
# Two ways of saying the same.
SAME = {"--use-rotary-position-embeddings": ("--position-embedding-type", "rope")}
# What slime's scripts may say beside ours without meaning anything else: Megatron's defaults, a
# length that rotary embeddings do not read, and a flag of no parser (Megatron's own factor is 8).
MEANINGLESS = {
    "--rotary-percent": {"1.0"},
    "--moe-token-drop-policy": {"probs"},
    "--max-position-embeddings": None,
    "--rotary-scaling-factor": {"8.0"},
}
# Where slime's script describes another model than the hub's of that name: its rotary base is that
# of Qwen2.5-Math-1.5B, its epsilon that of the model before instruction tuning.
OTHER_MODEL = {("qwen2.5-1.5B", "--rotary-base"), ("qwen2.5-32B", "--norm-epsilon")}
# A variable by which some scripts let their caller choose the base, as for the 2507 releases.
BASE_VARIABLE = "MODEL_ARGS_ROTARY_BASE"


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
    named = _script_named(scripts, name) if name else None
    if named is not None:
        theirs = {named: script_arguments(named)}
    else:
        paths = sorted(scripts.glob(SCRIPTS[config["model_type"]]))
        read = {path: script_arguments(path, ours["--rotary-base"]) for path in paths}
        theirs = {
            path: flags
            for path, flags in read.items()
            if all(flags.get(flag) == ours[flag] for flag in SHAPE)
        }
    found = {path: differences(ours, flags, path.stem) for path, flags in theirs.items()}
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


def script_arguments(path: Path, base: str | None = None) -> dict[str, str]:
    """Return the MODEL_ARGS of one of slime's model scripts as flag -> value ("" for a switch).

    base: the rotary base, for scripts that let their caller choose it.
    """
    environment = {key: value for key, value in os.environ.items() if "MODEL_ARGS" not in key}
    if base is not None:
        environment[BASE_VARIABLE] = base
    result = subprocess.run(
        ["bash", "-c", 'source "$1" && printf "%s\\n" "${MODEL_ARGS[@]}"', "bash", str(path)],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
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


def differences(ours: Mapping[str, str], theirs: Mapping[str, str], script: str = "") -> list[str]:
    """Name every flag that differs, numbers compared as numbers. script: its name."""
    ours, theirs = _plain(ours), _plain(theirs)
    found = []
    for flag in sorted({*ours, *theirs}):
        mine, other = ours.get(flag), theirs.get(flag)
        if _same(mine, other) or (script, flag) in OTHER_MODEL:
            continue
        if mine is None and flag in MEANINGLESS:
            harmless = MEANINGLESS[flag]
            if harmless is None or other in harmless:
                continue
        found.append(f"{flag}: {_shown(mine)} here, {_shown(other)} there")
    return found


def _plain(flags: Mapping[str, str]) -> dict[str, str]:
    """The same flags in one way of saying them, with the width of a head that Megatron derives."""
    plain = dict(SAME.get(flag, (flag, value)) for flag, value in flags.items())
    if {"--hidden-size", "--num-attention-heads"} <= set(plain):
        heads = int(plain["--hidden-size"]) // int(plain["--num-attention-heads"])
        plain.setdefault("--kv-channels", str(heads))
    if "--moe-layer-freq" in plain:
        plain["--moe-layer-freq"] = plain["--moe-layer-freq"].replace(" ", "")
    return plain


def _script_named(scripts: Path, name: str) -> Path | None:
    def plain(text: str) -> str:
        return text.lower().replace("-", "")  # Llama-3.1 on the hub, llama3.1 here

    wanted = plain(name.rstrip("/").rsplit("/", 1)[-1])
    return next((p for p in sorted(scripts.glob("*.sh")) if plain(p.stem) == wanted), None)


def _same(mine: str | None, other: str | None) -> bool:
    if mine is None or other is None:
        return mine is other
    try:
        return float(mine) == float(other)
    except ValueError:
        return mine == other


def _shown(value: str | None) -> str:
    return "absent" if value is None else value or "set"
