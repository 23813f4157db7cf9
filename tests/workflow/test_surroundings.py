"""Machines that are not as one expects: another locale, no SLURM, another folder, no home."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_text_encoding import foreign

ROOT = Path(__file__).resolve().parents[2]
TASKS = "data/telecom_train_tasks.jsonl"
pytestmark = pytest.mark.workflow


def test_a_locale_without_utf8_makes_the_same_files(project, tmp_path) -> None:
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--forceall", TASKS]
    made = []
    for env in (None, foreign(tmp_path, "ISO-8859-1" if shutil.which("localedef") else "C")):
        outcome = subprocess.run(command, cwd=project.folder, env=env, capture_output=True)
        assert outcome.returncode == 0, outcome.stderr.decode(errors="replace")
        made.append((project.folder / TASKS).read_bytes())
    assert made[0] == made[1]


def test_what_a_stopped_job_left_is_made_again_unasked(project) -> None:
    (project.folder / "data").mkdir()
    (project.folder / TASKS).write_text("half a file")
    # What Snakemake notes while a job writes, and cannot take back if it is killed.
    marks = project.folder / ".snakemake/incomplete"
    marks.mkdir(parents=True)
    (marks / base64.b64encode(TASKS.encode()).decode()).touch()
    outcome = project.dry_run(TASKS)
    assert (outcome.status, outcome.jobs) == (0, {"tasks": 1}), outcome.text


def test_another_working_directory_is_refused(project, tmp_path) -> None:
    (tmp_path / "elsewhere").mkdir()
    outcome = project.run("-n", "--directory", str(tmp_path / "elsewhere"))
    assert outcome.status == 1
    wanted = f"working directory is {tmp_path / 'elsewhere'}, but programs, presets and config.yaml"
    assert wanted in outcome.text and "without --directory" in outcome.text


def test_data_that_is_not_there_costs_no_file(project, tmp_path, monkeypatch) -> None:
    """Snakemake would delete what a failing job was to write anew."""
    monkeypatch.setenv("TAU2_DATA_DIR", str(tmp_path / "misspelt"))
    outcome = project.dry_run()
    assert outcome.status != 0 and "Traceback" not in outcome.text
    assert f"TAU2_DATA_DIR={tmp_path}/misspelt: no {tmp_path}/misspelt/" in outcome.text


def test_a_checkpoint_whose_store_is_gone_is_named_with_the_remedy(project) -> None:
    (project.folder / "checkpoints").mkdir()
    link = project.folder / "checkpoints/demo_sft_telecom"
    link.symlink_to(".store/demo_sft_telecom-123")
    outcome = project.dry_run()
    assert outcome.status != 0 and "Traceback" not in outcome.text
    assert "demo_sft_telecom links to .store/demo_sft_telecom-123, which is gone" in outcome.text
    assert "rm checkpoints/demo_sft_telecom" in outcome.text
    link.unlink()
    assert project.dry_run().status == 0


@pytest.mark.skipif(shutil.which("sbatch") is not None, reason="there is a SLURM")
def test_no_slurm_is_said_before_any_job(project) -> None:
    outcome = project.run("--profile", "slurm", "--config", "backend=cpu")
    assert outcome.status == 1
    assert "--profile slurm: there is no SLURM here (no sbatch in PATH)." in outcome.text
    assert not (project.folder / "logs").exists()
    assert project.run("-n", "--profile", "slurm").status == 0  # shown anywhere


def test_snakemake_needs_no_home(project, tmp_path) -> None:
    (tmp_path / "home").write_text("no folder", encoding="utf-8")
    env = {**os.environ, "HOME": str(tmp_path / "home")}
    env.pop("XDG_CACHE_HOME", None)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", TASKS]
    outcome = subprocess.run(command, cwd=project.folder, env=env, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr
    assert (project.folder / TASKS).exists()


@pytest.mark.parametrize("command", ["setup", "demo", "test"])
def test_a_home_that_cannot_be_written(tmp_path, command) -> None:
    shutil.copy2(ROOT / "run", tmp_path / "run")
    (tmp_path / "home").write_text("no folder", encoding="utf-8")
    env = {**os.environ, "HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": ""}
    outcome = subprocess.run(
        ["./run", command], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=20
    )
    assert outcome.returncode == 1
    wanted = (
        f"error: cannot write to {tmp_path}/home/.cache; set HOME or XDG_CACHE_HOME to a folder"
    )
    assert outcome.stderr.startswith(wanted) and outcome.stderr.count("\n") == 1
    assert not (tmp_path / ".venv").exists()
