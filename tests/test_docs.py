"""README and docs: every file that they name is there, every link leads somewhere."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest
import yaml

from tau2_agent.config.fields import find, section_of
from tau2_agent.config.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "benchmarks/README.md", *ROOT.glob("docs/**/*.md")])
# Where a path may begin that a page gives in short.
BASES = (
    "",
    "scripts",
    "scripts/tau2_agent",
    "scripts/tau2_agent/benchmark",
    "tests/gpu",
    "docs/gpu-runs",
)
MADE = ("data/", "models/", "checkpoints/", "results/", "logs/", "runs/")  # data/: or tau2's


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_to_a_file_or_a_heading(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if link.startswith("#"):
            assert link[1:] in headings, link
        elif "://" not in link:
            assert (page.parent / link.split("#")[0]).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_files_that_are_named_exist(page: Path) -> None:
    named = set(
        re.findall(r"`([\w./-]+/[\w.-]+\.(?:py|sh|yaml|txt|md|smk))`", page.read_text("utf-8"))
    )
    named |= set(
        re.findall(
            r"`((?:tests|docs|presets|rules|envs|experiments)/[\w/-]*)`", page.read_text("utf-8")
        )
    )
    named = {name for name in named if not name.startswith(MADE)}
    missing = [name for name in named if not any((ROOT / base / name).exists() for base in BASES)]
    assert not missing


def test_files_that_docstrings_name_exist() -> None:
    foreign = {"evaluator/review_llm_judge.py", "megatron/training/arguments.py"}  # of others
    foreign |= {"slime/utils/arguments.py", "server_args.py"}
    files = {file.relative_to(ROOT).as_posix() for file in (ROOT / "scripts").rglob("*.py")}
    missing = []
    for name in sorted(files):
        tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
        for named in re.findall(r"(?<![\w*}])[\w/]+\.py\b", ast.get_docstring(tree) or ""):
            if named not in foreign and not any(f"/{file}".endswith(f"/{named}") for file in files):
                missing.append(f"{name}: {named}")
    assert not missing, "renamed? say where it is now"


def test_readme_is_read_in_one_sitting() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_settings_that_are_named_exist(page: Path) -> None:
    sections = set(Settings.model_fields)
    named = re.findall(r"`([a-z_]+\.[a-z_.]+)\b[^`]*`", page.read_text(encoding="utf-8"))
    keys = [key for key in named if key.partition(".")[0] in sections]
    assert not [key for key in keys if find(Settings, key.split(".")) is None]


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_values_given_to_config_on_a_page_are_right(page: Path) -> None:
    """Each --config of a command is read, and every key in it is one."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for command in re.findall(r"^    (snakemake .*|python scripts/.*)$", text, re.M):
        words = shlex.split(command, comments=True)
        pairs = words[words.index("--config") + 1 :] if "--config" in words else []
        for pair in pairs:
            key, _, value = pair.partition("=")
            below = yaml.safe_load(value)
            runs = below.values() if key == "runs" else [{key: below}]
            for given in runs:
                for path in paths_of(given):
                    assert find(Settings, path), (command, path)


def paths_of(given: dict, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for key, value in given.items():
        path = (*above, key)
        field = find(Settings, path)
        inner = isinstance(value, dict) and field is not None and section_of(field)
        found += paths_of(value, path) if inner else [path]
    return found
