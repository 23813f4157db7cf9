"""The digest of the code behind a result: what it follows, and what it does not see."""

from __future__ import annotations

from pathlib import Path

import pytest

from tau2_agent import source_code
from tau2_agent.source_code import SCRIPTS, closure, code_digest, hook_digest

PROGRAM = '''
"""What it is."""
import json
from tau2_agent.rollout import episode

def main():
    from tau2_agent.reward.scoring import score  # later
    return {"hook": "hooks.generate", "said": "report.py"}
'''


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    files = {
        "train.py": PROGRAM,
        "hooks.py": "from tau2_agent.users import registry\n",
        "report.py": "X = 1\n",
        "tau2_agent/rollout/episode.py": "import tau2_agent.errors\nSTEPS = 200\n",
        "tau2_agent/reward/scoring.py": "import shaping\n",
        "tau2_agent/users/registry.py": "import train\n",
        "tau2_agent/errors.py": "class E(Exception): pass\n",
        "shaping.py": "ALPHA = 0.5\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_imports_are_followed_wherever_they_stand(scripts) -> None:
    assert sorted(closure("train", scripts=scripts)) == [
        "hooks",
        "shaping",
        "tau2_agent.reward.scoring",
        "tau2_agent.rollout.episode",
        "tau2_agent.users.registry",
        "train",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "import mine.deep.part",
        "from mine.deep import part",
        "from mine.deep.part import X",
        "from mine.deep.part import *",
        "import importlib; importlib.import_module('mine.deep.part')",
        "__import__('mine.deep.part')",
        "HOOK = 'mine.deep.part.score'",
        "from mine import near",  # which imports part by a relative name
        "import mine.above",
    ],
)
def test_a_package_of_one_s_own_in_whatever_way_it_is_imported(scripts, line) -> None:
    files = {
        "mine/__init__.py": "A = 1\n",
        "mine/near.py": "from .deep import part\n",
        "mine/above.py": "import mine.deep\n",
        "mine/deep/__init__.py": "from . import part\n" if "above" in line else "B = 1\n",
        "mine/deep/part.py": "from ..other import C\nX = 1\n",
        "mine/other.py": "C = 1\n",
        "train.py": f"{line}\n",
    }
    for name, text in files.items():
        (scripts / name).parent.mkdir(parents=True, exist_ok=True)
        (scripts / name).write_text(text)
    found = closure("train", scripts=scripts)
    assert {"mine", "mine.deep", "mine.deep.part", "mine.other"} <= found.keys()
    first = code_digest("train", scripts=scripts)
    for name in ("mine/__init__.py", "mine/deep/part.py", "mine/other.py"):
        (scripts / name).write_text(files[name] + "D = 1\n")
        second = code_digest("train", scripts=scripts)
        assert second != first, name
        first = second


def test_hooks_that_an_option_names(scripts) -> None:
    words = ["--custom-rm-path", "hooks.generate", "--lr", "1.5", "a.b.c", "absent.f", "--x=y"]
    digest = hook_digest(words, scripts=scripts)
    assert digest and hook_digest(["1.5", "absent.f"], scripts=scripts) == ""
    (scripts / "hooks.py").write_text("X = 1\n")
    assert hook_digest(words, scripts=scripts) != digest
    inside = hook_digest(["tau2_agent.reward.scoring.score"], scripts=scripts)
    assert inside == code_digest("tau2_agent.reward.scoring", scripts=scripts)


def test_what_was_read_is_kept_beside_a_workflow(scripts, monkeypatch) -> None:
    digest = code_digest("train", scripts=scripts)  # nothing to keep it in
    assert not source_code.CACHE.exists()

    def anew():
        source_code._cache.cache_clear()
        source_code._source.cache_clear()
        return code_digest("train", scripts=scripts)

    source_code.CACHE.parent.mkdir()
    assert anew() == digest and source_code.CACHE.is_file()
    read = []
    tree = source_code.module_tree
    monkeypatch.setattr(source_code, "module_tree", lambda *of: read.append(of) or tree(*of))
    assert anew() == digest and read == []
    source_code.CACHE.write_text("{")
    assert anew() == digest and read
    source_code.CACHE.unlink()
    source_code.CACHE.mkdir()  # cannot be written
    assert anew() == digest


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("shaping.py", "0.5", "0.4"),
        ("tau2_agent/rollout/episode.py", "200", "100"),
        ("hooks.py", "registry", "other"),
        ("train.py", "return {", "return {1: 2, "),
        ("train.py", "import json", "import math"),  # what comes after the docstring
    ],
)
def test_an_edit_of_what_decides_is_seen(scripts, file, old, new) -> None:
    first = code_digest("train", scripts=scripts)
    text = (scripts / file).read_text()
    (scripts / file).write_text(text.replace(old, new))
    assert code_digest("train", scripts=scripts) != first
    (scripts / file).write_text(text)
    assert code_digest("train", scripts=scripts) == first


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("train.py", "# later", "# sooner, or never"),
        ("train.py", "What it is.", "What it is not."),
        ("train.py", "return {", "return   {"),
        ("train.py", "import json", "\n\nimport json  # for the record"),
        ("shaping.py", "ALPHA", "# weight\nALPHA"),
        ("report.py", "1", "2"),  # nobody imports it
        ("tau2_agent/errors.py", "pass", "x = 1"),  # neutral: decides no number
    ],
)
def test_comments_formatting_and_what_decides_nothing_are_not(scripts, file, old, new) -> None:
    first = code_digest("train", scripts=scripts)
    text = (scripts / file).read_text()
    assert old in text
    (scripts / file).write_text(text.replace(old, new))
    assert code_digest("train", scripts=scripts) == first


def forget() -> None:
    source_code._cache.cache_clear()
    source_code._source.cache_clear()


def test_what_is_remembered_on_disk_is_the_same(scripts) -> None:
    first = code_digest("train", scripts=scripts)
    (scripts / ".snakemake").mkdir()
    for _ in range(2):  # written, then read
        forget()
        assert code_digest("train", scripts=scripts) == first
        assert (scripts / source_code.CACHE).is_file()
    (scripts / source_code.CACHE).write_text("cut")
    forget()
    assert code_digest("train", scripts=scripts) == first


def test_a_file_that_is_no_python_is_named(scripts) -> None:
    (scripts / "shaping.py").write_text("def (")
    with pytest.raises(SyntaxError) as caught:
        code_digest("train", scripts=scripts)
    assert caught.value.filename == str(scripts / "shaping.py")


def test_names_are_taken_as_they_stand(scripts) -> None:
    (scripts / "Xtra.py").write_text("X = 1\n")
    (scripts / "train.py").write_text("import Xtra\n")
    assert sorted(closure("train", scripts=scripts)) == ["Xtra", "train"]


def test_a_root_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError, match="no module absent"):
        code_digest("absent")


@pytest.mark.parametrize(
    ("program", "with_reward"),
    [
        ("train_grpo_trl", True),
        ("train_grpo_slime", True),
        ("evaluate_tau2", True),
        ("train_sft_trl", False),
        ("train_sft_slime", False),
        ("base_model", False),
        ("convert_checkpoint", False),
    ],
)
def test_the_reward_is_behind_what_it_decides(program, with_reward) -> None:
    files = closure(program)
    assert ("tau2_reward_shaping" in files) == with_reward
    assert not [name for name in files if name.startswith("tau2_agent.report")]
    assert all(file.is_relative_to(SCRIPTS) for file in files.values())


def test_what_decides_no_number_is_in_no_digest():
    """Options count by their values; records and validation look at what is made."""
    names = {
        *("errors", "cli", "locks", "processes", "preflight.checks", "config.program_options"),
        *("records.conversation", "records.progress", "records.samples", "records.transcripts"),
        *("records.validation", "evaluation.validation", "evaluation.validation_slime"),
        "evaluation.validation_trl",
    }
    for name in names:
        assert (SCRIPTS / "tau2_agent" / f"{name.replace('.', '/')}.py").is_file()
    found = closure("train_grpo_trl", "train_grpo_slime", "evaluate_tau2", "rejection_sampling")
    assert {f"tau2_agent.{name}" for name in names}.isdisjoint(found)
    assert found.keys() >= {"tau2_reward_shaping", "tau2_agent.reward.scoring"}
