"""Imports go one way, package by package: a reader who knows this order knows where to look."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
PACKAGE = "tau2_agent"
# A package imports itself and those before it. A package inside another stands after its outer one
# where the inner one imports the outer, before it where it is the other way round.
ORDER = [
    "errors",
    "files",
    "memory",
    "deferred",
    "cli",
    "locks",
    "processes",
    "syntax",
    "source_code",
    "weights",
    "gpus",
    "benchmark",
    "rollout",
    "reward",
    "records",
    "llm",
    "inference",
    "users.mixture",
    "users.scripted",
    "users",
    "teachers",
    "training.megatron",
    "training",
    "training.slime",
    "config",
    "preflight",
    "evaluation",
    "cards",
    "report",
]
# Of the programs, the one that users edit: their reward. Everybody may import it.
REWARD = "tau2_reward_shaping"


def place(module: str) -> str:
    """The entry of ORDER to which a module of the package (without its first name) belongs."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        if (name := ".".join(parts[:length])) in ORDER:
            return name
    raise AssertionError(
        f"{PACKAGE}.{module} has no place in the order of packages; put its package into ORDER in "
        f"{Path(__file__).name}, after all that it imports"
    )


def imports(file: Path) -> list[tuple[int, str]]:
    """(line, module) of every import in a file, also inside functions."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file}:{node.lineno}: write imports with the package's name"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def faults(root: Path) -> list[str]:
    """Every import below `root` that goes the wrong way, with the way out."""
    programs = {file.stem for file in root.glob("*.py")} - {REWARD}
    said = []
    for file in sorted(root.rglob("*.py")):
        name = file.relative_to(root)
        inside = name.parts[0] == PACKAGE
        own = (
            place(".".join(name.with_suffix("").parts[1:]))
            if inside and len(name.parts) > 1 and name.name != "__init__.py"
            else ""
        )
        for line, module in imports(file):
            first, _, rest = module.partition(".")
            if first in programs:
                said.append(
                    f"{name}:{line}: imports the program {first}.py; move what both use into "
                    f"{PACKAGE}/"
                )
            elif first == PACKAGE and own:
                other = place(rest)
                if ORDER.index(other) > ORDER.index(own):
                    said.append(
                        f"{name}:{line}: {own} imports {other}, which comes later; move what is "
                        f"shared into {own} or before it, or let the caller pass it in"
                    )
    return said


def test_imports_go_one_way() -> None:
    assert not faults(SCRIPTS), "\n".join(faults(SCRIPTS))


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        (
            "tau2_agent/rollout/x.py",
            "from tau2_agent.users import registry",
            "rollout imports users",
        ),
        (
            "tau2_agent/llm/x.py",
            "def f():\n    import tau2_agent.config.resolve",
            "x.py:2: llm imports",
        ),
        ("tau2_agent/reward/x.py", "from tau2_agent import evaluation", "move what is shared"),
        (
            "tau2_agent/users/scripted/x.py",
            "from tau2_agent.users.registry import Users",
            "scripted",
        ),
        ("a.py", "import b", "imports the program b.py"),
        ("tau2_agent/files.py", "import b", "imports the program b.py"),
    ],
)
def test_a_wrong_import_is_named_with_the_way_out(tmp_path, file, text, said) -> None:
    (tmp_path / "b.py").write_text("")
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    assert len(faults(tmp_path)) == 1
    assert said in faults(tmp_path)[0]


def test_a_new_package_must_be_given_a_place(tmp_path) -> None:
    (tmp_path / "tau2_agent/attic").mkdir(parents=True)
    (tmp_path / "tau2_agent/attic/x.py").write_text("")
    with pytest.raises(AssertionError, match="put its package into ORDER"):
        faults(tmp_path)


def test_init_files_are_empty() -> None:
    full = [file for file in SCRIPTS.rglob("__init__.py") if file.read_text(encoding="utf-8")]
    assert not full, "an import of a package's part runs them all: the dry run would get slow"
