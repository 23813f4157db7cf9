"""Where slime and Megatron-LM are, which versions run, and what is missing.

Neither is a package of PyPI: the official container keeps them in `/root/slime` and
`/root/Megatron-LM`, other machines wherever their owner put them. Nothing here imports either, so
that asking costs no seconds and needs no GPU.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tau2_agent.errors import PipelineError

# The folder of the programs: slime imports the hooks from there.
SCRIPTS = next(p.parent for p in Path(__file__).resolve().parents if p.name == "tau2_agent")

# The stack that the GPU runs of this repository used; others are named at start, not refused.
TESTED = {
    "torch": "2.11.0",
    "sglang": "0.5.15.post1",
    "sglang-router": "0.3.2",
    "ray": "2.60.0",
    "transformers": "5.12.1",
    "transformer_engine": "2.12.0",
}
TESTED_COMMITS = {"slime": "624b824a8", "megatron": "1dcf0dafa"}
NEEDED_MODULES = ("torch", "ray", "sglang", "sglang_router", "transformers", "transformer_engine")


class InstallError(PipelineError):
    """The slime stack is not usable here; the message names what is missing and the remedy."""


@dataclass(frozen=True)
class Install:
    """A usable stack: the two source folders that must be on PYTHONPATH."""

    slime: Path
    megatron: Path

    @property
    def train_program(self) -> Path:
        """slime's synchronous trainer, the one that allows colocation."""
        return self.slime / "train.py"

    @property
    def model_scripts(self) -> Path:
        """The folder with slime's own model arguments."""
        return self.slime / "scripts" / "models"

    def python_path(self) -> str:
        """PYTHONPATH of every process of a job: our hooks, slime, Megatron, then what was set."""
        inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        ours = [str(SCRIPTS), str(self.slime), str(self.megatron)]
        return os.pathsep.join(dict.fromkeys([*ours, *filter(None, inherited)]))

    def versions(self) -> dict[str, str]:
        """What a result must record: packages, Python, and the commits of the two folders."""
        found = {"python": platform.python_version()}
        for name in TESTED:
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                found[name] = "absent"
        found["slime"] = _commit(self.slime)
        found["megatron"] = _commit(self.megatron)
        return found


def find_install(slime: str | None = None, megatron: str | None = None) -> Install:
    """Find slime and Megatron-LM, checked as far as that goes without importing them.

    Searched in this order: the arguments, SLIME_HOME and MEGATRON_HOME, `.slime` beside scripts/
    (made by `./run setup-gpu`), what Python imports, the places of the official container. Raises
    InstallError naming everything that is missing.
    """
    places = {
        "slime": _find("slime", slime, "SLIME_HOME", "/root/slime", "train.py"),
        "megatron": _find(
            "megatron", megatron, "MEGATRON_HOME", "/root/Megatron-LM", "megatron/training"
        ),
    }
    missing = [f"the source folder of {name}" for name, place in places.items() if place is None]
    missing += [
        f"the package {name}" for name in NEEDED_MODULES if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise InstallError(
            f"the slime backend misses {', '.join(missing)}. Use the container slimerl/slime and "
            "`./run setup-gpu` in it, or name the source folders by SLIME_HOME and MEGATRON_HOME; "
            "`backend: cpu` needs none."
        )
    return Install(places["slime"], places["megatron"])


def untested_versions(versions: dict[str, str]) -> list[str]:
    """Name every version that differs from the tested stack."""
    return [
        f"{name} {versions.get(name)} (tested: {tested})"
        for name, tested in {**TESTED, **TESTED_COMMITS}.items()
        if versions.get(name, "").split("+")[0] != tested
    ]


def _find(
    module: str, given: str | None, variable: str, container: str, contains: str
) -> Path | None:
    named = given or os.environ.get(variable)
    if named:
        if not (Path(named) / contains).exists():
            raise InstallError(f"{named} is no {module} source folder: it has no {contains}")
        return Path(named).resolve()
    spec = importlib.util.find_spec(module)
    imported = (
        [Path(place).parent for place in (spec.submodule_search_locations or [])] if spec else []
    )
    for place in [SCRIPTS.parent / f".{module}", *imported, Path(container)]:
        if (place / contains).exists():
            return place.resolve()
    return None


def _commit(folder: Path) -> str:
    """Return the commit of a checkout, or "unknown" for an unpacked archive."""
    try:
        result = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "--short=9", "HEAD"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return result.stdout.strip() if result.returncode == 0 else "unknown"
