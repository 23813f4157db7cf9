"""The user's own slime arguments (`slime.extra_args`): what they may say, and what they decide.

They go last, and of two equal flags the last one counts. That every flag is one that slime knows is
for known_flags.py.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tau2_agent.errors import InputError
from tau2_agent.inference.server_arguments import deciding
from tau2_agent.source_code import hook_digest

CUSTOM_CONFIG = "--custom-config-path"
MACHINE_PREFIXES = (
    "--router-",
    "--attention-backend",
    "--no-gradient-accumulation-fusion",
    "--recompute-",
    "--offload",
    "--no-offload-",
    "--log-probs-",
    "--use-fault-tolerance",
    "--rollout-health-check-",
    "--train-env-vars",
    "--save-debug-",
    "--dump-details",
    "--use-tensorboard",
    "--tb-",
    "--wandb-",
    "--use-wandb",
)

# What GRPO's rollout function does in slime's place, and the setting for it here.
REPLACED = {
    "--dynamic-sampling-filter-path": "grpo.dynamic_sampling",
    "--over-sampling-batch-size": "grpo.over_sampling_groups",
    "--prompt-data": "tasks.grpo",
    "--data-source-path": "grpo.curriculum",
    "--partial-rollout": "grpo.over_sampling_groups: 0",
}


def extra_arguments(options: argparse.Namespace) -> list[str]:
    """The user's own arguments, split as a shell would."""
    return shlex.split(options.extra_args)


def fingerprint_fields(arguments: list[str]) -> list[str]:
    """Return the extra arguments that may decide what is learnt, for a stage's fingerprint.

    With the code of the hooks that they name, such as `--custom-rm-path my_hooks.score`. Those
    about the machine and the records are left out, and of SGLang's those that change no answer
    (`server_arguments.NEUTRAL`): to lower a memory share after a crash must not begin the training
    anew.
    """
    kept: list[str] = []
    dropping = False
    for argument in deciding(arguments, "--sglang-"):
        if argument.startswith("--"):
            dropping = argument.startswith(MACHINE_PREFIXES)
        if not dropping:
            kept.append(argument)
    code = hook_digest(part for word in kept for part in word.split("=", 1))
    return [*kept, *([f"code {code}"] if code else [])]


def without_custom_config(words: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Take `--custom-config-path FILE` out of slime's arguments: (the others, what FILE holds).

    slime reads one such file, and ours must be it. Raises InputError for a file that is no mapping,
    or has keys of our own hooks.
    """
    kept, values, left = [], {}, iter(words)
    for word in left:
        flag, _, path = word.partition("=")
        if flag != CUSTOM_CONFIG:
            kept.append(word)
            continue
        path = path or next(left, "")
        try:
            values = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeError, yaml.YAMLError) as error:
            raise InputError(
                f"{CUSTOM_CONFIG} {path!r} cannot be read: {' '.join(str(error).split())}"
            ) from None
        if not isinstance(values, dict):
            raise InputError(f"{CUSTOM_CONFIG} {path}: it must hold keys and values")
        if other := [key for key in values if not str(key).isidentifier()]:
            raise InputError(
                f"{CUSTOM_CONFIG} {path}: {other[0]} is no attribute that slime could read; write "
                "it with underscores"
            )
        try:
            json.dumps(values)
        except TypeError as error:
            raise InputError(
                f"{CUSTOM_CONFIG} {path}: {error}; write texts, numbers, lists and sections"
            ) from None
        if ours := [key for key in values if str(key).startswith("tau2_")]:
            raise InputError(f"{CUSTOM_CONFIG} {path}: {ours[0]} is set by this program's options")
    return kept, values


def refuse_replaced(words: list[str]) -> None:
    """Raise InputError for a flag that only slime's own rollout function reads."""
    flags = [word.partition("=")[0] for word in words]
    if "--rollout-function-path" in flags:
        return
    for flag in flags:
        if flag in REPLACED:
            raise InputError(
                f"{flag} is of slime's own rollout function, which is not used here; set "
                f"{REPLACED[flag]} instead"
            )


def refuse_top_p(words: list[str], config: Mapping[str, Any]) -> None:
    """Raise InputError for `--rollout-top-p` below 1.

    Log probs would be those of all tokens, and slime fails on the first rollout: to train on what
    top-p left it wants the kept tokens of every draw, which SGLang 0.5.15 does not give.
    """
    wanted = [config["rollout_top_p"]] if "rollout_top_p" in config else []
    for word, after in itertools.pairwise([*words, ""]):
        if word.partition("=")[0] == "--rollout-top-p":
            wanted.append(word.partition("=")[2] or after)
    try:
        whole = not wanted or float(wanted[-1]) == 1.0
    except (TypeError, ValueError):
        whole = False
    if not whole:
        raise InputError(
            f"--rollout-top-p {wanted[-1]}: training needs the log probs of what was drawn from, "
            "and the engines do not say which tokens top-p kept; leave it at 1, lower "
            "grpo.temperature instead"
        )
