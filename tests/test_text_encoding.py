"""Files are UTF-8 in any locale: what is written in one can be read in every other."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PYTHON = sorted([*ROOT.glob("scripts/**/*.py"), *ROOT.glob("experiments/*.py")])
RULES = [ROOT / "Snakefile", *sorted(p for p in ROOT.glob("rules/**/*") if p.is_file())]
STARTERS = {"run", "Popen", "check_output", "check_call", "getoutput"}
TEXT = {"text", "universal_newlines"}
# What Snakemake itself opens, in whatever encoding the locale has.
READ_BY_SNAKEMAKE = re.compile(r"(read_text|write_text|open)\((?![^)]*encoding)")


def without_encoding(tree: ast.AST):
    """Lines of calls that take text in the encoding of the locale."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        given = {keyword.arg for keyword in node.keywords}
        starts = node.func.attr in STARTERS and given & TEXT
        reads = node.func.attr == "read_text" and not node.args
        writes = node.func.attr == "write_text" and isinstance(
            node.func.value, ast.Name | ast.BinOp
        )
        module = isinstance(node.func.value, ast.Name) and node.func.value.id == "files"
        if (starts or reads or (writes and not module)) and "encoding" not in given:
            yield node.lineno


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_text_names_its_encoding(path) -> None:
    """Ruff's PLW1514 sees files; this also sees the output of programs."""
    assert not list(without_encoding(ast.parse(path.read_text(encoding="utf-8"))))


def test_what_would_be_found() -> None:
    bad = 'subprocess.run(["ls"], text=True)\n(a / "b").read_text()\npath.write_text("x")'
    assert list(without_encoding(ast.parse(bad))) == [1, 2, 3]


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_rules_are_ascii_and_read_utf8(path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.isascii()
    assert not READ_BY_SNAKEMAKE.search(text)


def foreign(tmp_path: Path, name: str) -> dict[str, str]:
    """An environment in which Python's text is not UTF-8."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHON"))}
    if name == "C":
        return clean | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    if not shutil.which("localedef"):
        pytest.skip("no localedef to make a locale with")
    made = subprocess.run(
        ["localedef", "-i", "en_US", "-f", name, str(tmp_path / f"en_US.{name}")],
        capture_output=True,
    )
    if made.returncode > 1:  # 1: with warnings
        pytest.skip(f"localedef cannot make {name}: {made.stderr!r}")
    return clean | {"LC_ALL": f"en_US.{name}", "LOCPATH": str(tmp_path)}


PROGRAM = """
import sys
sys.path.insert(0, {scripts!r})
from tau2_agent import cli
from tau2_agent.benchmark.environment import prompt_sha256
from tau2_agent.benchmark.tasks import load_tasks

def main():
    print(prompt_sha256("tau2"), str(load_tasks("train")[3].user_scenario))
    print("τ² α 日本 ’ " + sys.argv[1])

cli.run(main)
"""


@pytest.mark.slow
def test_programs_read_and_say_the_same_in_any_locale(tmp_path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(scripts=str(ROOT / "scripts")), encoding="utf-8")
    command = [sys.executable, str(program), "--flag"]
    environments = [os.environ | {"PYTHONUTF8": "1"}, foreign(tmp_path, "C")]
    if shutil.which("localedef"):
        environments.append(foreign(tmp_path, "ISO-8859-1"))
    said = [
        subprocess.run(command, env=env, capture_output=True, timeout=120) for env in environments
    ]
    for other in said[1:]:
        assert other.returncode == 0, other.stderr
        assert other.stdout == said[0].stdout
    assert "τ² α 日本 ’ --flag".encode() in said[0].stdout
