"""What a program imports before it has work for it: seconds of start-up, and memory, for nothing.

A stage that is finished is asked again whenever its rule runs; each job of a cluster starts anew.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from program_runs import run_here
from project_copy import copy_repository

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "scripts"
# A second or more of CPU each, down to a twentieth.
LARGE = {"torch", "transformers", "trl", "datasets", "litellm", "huggingface_hub", "scipy"} | {
    *("pandas", "pyarrow", "aiohttp", "tau2", "numpy")
}
# Runs a program, or a module, and says at its end which of them were imported.
LOOKING_ON = f"""
import atexit, runpy, sys
atexit.register(lambda: print("imported", *(name for name in {LARGE} if name in sys.modules)))
"""

NOTHING: set[str] = set()
TAU2 = {"tau2"}  # the types of its messages and tasks
NUMPY = TAU2 | {"numpy"}  # intervals
NEEDED = {
    **dict.fromkeys(["convert_checkpoint", "preflight", "show_config", "stores"], NOTHING),
    **dict.fromkeys(["estimate_cost", "train_sft_slime", "train_sft_trl"], NOTHING),
    **dict.fromkeys(["base_model", "check_leakage", "import_traces", "teacher_traces"], TAU2),
    **dict.fromkeys(["evaluate_tau2", "rejection_sampling", "tau2_mock"], TAU2),
    **dict.fromkeys(["train_grpo_slime", "train_grpo_trl"], TAU2),
    **dict.fromkeys(["compare_users", "make_report", "make_submission"], NUMPY),
    **dict.fromkeys(["review_episodes", "summarise_results"], NUMPY),
    "make_cards": NUMPY | {"huggingface_hub"},
    "show_episode": NUMPY | {"pandas", "pyarrow"},  # reads tau2's own results
    "with_user_model": TAU2 | {"aiohttp"},
}
TRAINERS = ["train_sft_trl", "train_grpo_trl", "train_sft_slime", "train_grpo_slime"]


def imported(code: str, *words: object, folder: Path = ROOT) -> set[str]:
    """The large packages that code, run with these arguments, has imported when it ends."""
    command = [sys.executable, "-c", LOOKING_ON + code, *map(str, words)]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return set(ended.stdout.splitlines()[-1].split()[1:])


def running(program: str) -> str:
    """Code that is a program of scripts/."""
    file = str(SCRIPTS / f"{program}.py")
    return f"""
sys.path.insert(0, {str(SCRIPTS)!r})
runpy.run_path({file!r}, run_name="__main__")
"""


def test_every_program_is_looked_at() -> None:
    hooks = {"tau2_reward_shaping", "generate_with_tau"}  # imported, not run
    assert {file.stem for file in SCRIPTS.glob("*.py")} - hooks == NEEDED.keys()


@pytest.mark.parametrize("program", NEEDED)
def test_a_program_imports_for_its_options_only_this(program: str) -> None:
    assert imported(running(program), "--help") == NEEDED[program]


@pytest.mark.parametrize("program", TRAINERS)
def test_a_finished_training_imports_nothing_to_train_with(program, tmp_path, monkeypatch, capfd):
    (tmp_path / "file").write_text("text")
    inputs = {
        "train_sft_trl": ["--model", "--traces"],
        "train_grpo_trl": ["--model", "--tasks"],
        "train_sft_slime": ["--model", "--base", "--traces"],
        "train_grpo_slime": ["--model", "--sft", "--tasks"],
    }[program]
    words = [word for name in inputs for word in (name, tmp_path / "file")]
    words += ["--output", tmp_path / "made"]
    module = importlib.import_module(program)
    monkeypatch.setattr(module, "find_install", lambda: None, raising=False)
    monkeypatch.setattr(module, "train", lambda *given: given[-1].finish({}))
    assert run_here(monkeypatch, capfd, f"{program}.py", *words)[0] == 0
    without_slime = f"""
sys.path.insert(0, {str(SCRIPTS)!r})
from tau2_agent.training.slime import install
install.find_install = lambda: None
"""
    assert imported(without_slime + running(program), *words) == NEEDED[program]


def test_a_finished_evaluation_imports_no_model(random_model, tmp_path, monkeypatch, capfd) -> None:
    words = ["--checkpoint", random_model, "--output-path", tmp_path / "eval.json"]
    words += ["--backend", "cpu", "--first", 1, "--context-length", 400, "--prompt", "short"]
    status, text = run_here(monkeypatch, capfd, "evaluate_tau2.py", *words)
    assert status == 0, text
    # tau2's own results need pandas
    assert imported(running("evaluate_tau2"), *words) == NUMPY | {"pandas", "pyarrow"}


def test_a_dry_run_imports_nothing_of_a_stage(tmp_path) -> None:
    copy_repository(tmp_path)
    code = "runpy.run_module('snakemake', run_name='__main__', alter_sys=True)"
    # Snakemake itself, or its plugin for SLURM
    its_own = {"pandas", "pyarrow", "numpy"}
    assert imported(code, "-n", "-q", folder=tmp_path) <= its_own
