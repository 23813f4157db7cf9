"""Two copies of the project and one cache: what one made, the other does not make again."""

from __future__ import annotations

import pytest
from project_copy import TINY as VALUES
from project_copy import copy_repository

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

TARGET = "models/demo"
CACHED = ("teacher_traces", "base_model")
TINY = ("--cores", "1", "--configfile", "tiny.yaml", "--cache", *CACHED, "--")


@pytest.fixture
def two_copies(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    cache.mkdir()
    monkeypatch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(cache))
    copies = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        copies.append(copy_repository(tmp_path / name))
        (tmp_path / name / "tiny.yaml").write_text(VALUES.read_text())
    return copies


def made(outcome) -> set[str]:
    """The cached programs that really ran."""
    lines = {"kept 74 of 74 episodes": "teacher_traces", "demo model: ": "base_model"}
    return {rule for words, rule in lines.items() if words in outcome.text}


def test_the_second_copy_makes_nothing_expensive(two_copies) -> None:
    one, other = two_copies
    first = one.run(*TINY, TARGET)
    assert first.status == 0, first.text
    assert made(first) == set(CACHED)
    second = other.run(*TINY, TARGET)
    assert second.status == 0, second.text
    assert made(second) == set()
    weights = [copy.folder / TARGET / "model.safetensors" for copy in two_copies]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert weights[0].resolve() == weights[1].resolve()

    # Another program makes another model.
    program = other.folder / "scripts/base_model.py"
    program.write_text(program.read_text() + "\nCHANGED = True\n")
    third = other.run(*TINY, TARGET)
    assert third.status == 0, third.text
    assert made(third) == {"base_model"}


@pytest.mark.parametrize(
    ("config", "eligible"),
    [
        ("preset=demo", {"teacher_traces", "base_model", "convert_model"}),
        ("preset=qwen3-4b", {"teacher_traces", "base_model", "convert_model"}),
        ("model={name: mine, source: models}", {"teacher_traces"}),
    ],
)
def test_only_what_comes_out_the_same_is_eligible(two_copies, config, eligible) -> None:
    """A folder of one's own may change without its path changing."""
    project = two_copies[0]
    (project.folder / "models").mkdir()
    snakefile = project.folder / "Snakefile"
    report = "\nprint('CACHED', [rule.name for rule in workflow.rules if rule.cache.output])\n"
    snakefile.write_text(snakefile.read_text() + report)
    text = project.dry_run("data/leaks_test.json", "--config", config).text
    line = next(line for line in text.splitlines() if line.startswith("CACHED"))
    assert {name for name in eligible if f"'{name}'" in line} == eligible
    assert line.count("'") == 2 * len(eligible)
