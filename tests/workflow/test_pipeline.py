"""The whole CPU pipeline, run for real at the smallest size: what reruns, stops and resumes."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import zipfile
from pathlib import Path

import pytest
from project_copy import whole_checkpoints

from tau2_agent.records.progress import read_progress
from tau2_agent.records.transcripts import read_transcripts, transcripts_path
from tau2_agent.teachers.baselines import BASELINES

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

TINY = ("--cores", "2", "--configfile", "tiny.yaml")
LAST = {"summary", "cards", "report"}
AFTER_SFT = {"sft", "evaluate_sft", "grpo", "evaluate", *LAST}
AFTER_EVALUATION = {"evaluate_base", "evaluate_sft", "evaluate", *LAST}
AFTER_GRPO = {"grpo", "evaluate", *LAST}


def rerun(project, *config: str) -> set[str]:
    """The rules that would run again with these values."""
    outcome = project.dry_run(
        "--configfile", "tiny.yaml", *(["--config", *config] if config else [])
    )
    assert outcome.status == 0, outcome.text
    return set(outcome.jobs)


# --- one command, every stage --------------------------------------------------------------------


@pytest.mark.check
def test_every_stage_left_its_file(tiny_project) -> None:
    folder = tiny_project.folder
    for name in (
        "data/telecom_train_tasks.jsonl",
        "data/teacher_traces.jsonl",
        "data/leaks_test.json",
        "data/leaks_extra_dev.json",
        "models/demo/config.json",
        "checkpoints/demo_sft_telecom/model.safetensors",
        "checkpoints/demo_rl_telecom/model.safetensors",
        "checkpoints/demo_rl_telecom/validation.jsonl",
        "logs/sft.log",
        "logs/grpo.log",
        "results/summary.csv",
        "results/report.html",
    ):
        assert (folder / name).exists(), name
    assert (folder / "checkpoints/demo_rl_telecom").is_symlink()


@pytest.mark.check
@pytest.mark.parametrize("stage", ["base", "sft", "rl"])
def test_evaluation_of_every_stage(tiny_project, stage: str) -> None:
    path = tiny_project.folder / "results" / ("" if stage == "rl" else stage) / "eval_test.json"
    result = json.loads(path.read_text())
    assert result["stage"] == stage
    assert result["total_tasks"] == 4
    assert result["manifest"]["backend"] == "cpu"
    if stage == "rl":  # which of its weights they were
        told = result["trained_for"]
        assert (told["checkpoint"], told["rollout"]) == ("last", 3)


def test_summary_has_a_row_a_stage(tiny_project) -> None:
    with (tiny_project.folder / "results/summary.csv").open() as stream:
        stages = [row["stage"] for row in csv.DictReader(stream)]
    assert stages == [*BASELINES, "base", "sft", "rl"]


@pytest.mark.parametrize("name", ["base/eval_test", "sft/eval_test", "eval_test"])
def test_every_episode_keeps_its_conversation_and_tokens(tiny_project, name) -> None:
    path = tiny_project.folder / "results" / f"{name}.json"
    kept = read_transcripts(transcripts_path(path))
    played = {task["task_id"] for task in json.loads(path.read_text())["tasks"]}
    assert {one.task_id for one in kept} == played and len(kept) == 4
    for one in kept:
        assert sum(one.tokens.mask) > 0 and len(one.tokens.pieces) == len(one.tokens.ids)
        sampled = [bool(on) for on in one.tokens.mask]
        assert [value < 0 for value in one.tokens.log_probs] == sampled
    assert len(json.loads(path.with_suffix(".tau2.json").read_text())["simulations"]) == 4


def test_grpo_keeps_some_episodes_of_each_rollout(tiny_project) -> None:
    store = tiny_project.folder / "checkpoints/demo_rl_telecom"
    rows = [json.loads(line) for line in (store / "rollouts.jsonl").read_text().splitlines()]
    kept = read_transcripts(store / "transcripts.jsonl.gz")
    rollouts = {row["step"] for row in rows}
    assert {one.rollout for one in kept} == rollouts
    for rollout in rollouts:
        batch = [row for row in rows if row["step"] == rollout and not row.get("dropped")]
        mine = [one for one in kept if one.rollout == rollout]
        assert [one.sample for one in mine] == list(range(len(mine))) and len(mine) <= 8
        for one in mine:
            row = batch[one.sample]
            assert (one.task_id, one.reward, one.shaped) == (
                row["task_id"],
                row["reward"],
                row["shaped"],
            )


def test_stages_said_how_far_they_were(tiny_project) -> None:
    stages = read_progress(tiny_project.folder / "results/progress.json")
    assert {name.split()[0] for name in stages} == {"sft", "grpo", "evaluate"}
    assert all(entry["state"] == "done" for entry in stages.values()), stages
    assert all(entry["done"] == entry["total"] for entry in stages.values())


# --- what reruns ---------------------------------------------------------------------------------


def test_second_run_does_nothing(tiny_project) -> None:
    outcome = tiny_project.run(*TINY)
    assert outcome.status == 0
    assert "Nothing to be done" in outcome.text


@pytest.mark.parametrize(
    "config",
    [
        "evaluation={concurrency: 7}",
        "sft={save_steps: 7}",
        "grpo={save_rollouts: 2}",
        "resources={memory_gb: 3, time_limit_hours: 2, threads: 1}",
        "slime={tensor_parallel: 4}",
        "tracking={tool: wandb}",
        "grpo={response_length: 5}",
    ],
)
def test_unrelated_key_reruns_nothing(tiny_project, config: str) -> None:
    assert rerun(tiny_project, config) == set()


@pytest.mark.parametrize(
    ("config", "rules"),
    [
        ("grpo={lr: 1.0e-5}", AFTER_GRPO),
        ("reward={alpha: 0.25}", AFTER_GRPO),
        ("grpo={checkpoint: best}", AFTER_GRPO),
        ("grpo={validation_every: 1, validation_tasks: 9}", set()),  # they count from now on
        ("sft={lr: 1.0e-5}", AFTER_SFT),
        ("evaluation={num_tasks: 3}", AFTER_EVALUATION),
        ("seed=1", AFTER_SFT | {"base_model", "evaluate_base"}),
    ],
)
def test_changed_key_reruns_its_stage_and_what_follows(tiny_project, config, rules) -> None:
    assert rerun(tiny_project, config) == rules


def test_an_edit_of_the_reports_template_makes_only_the_report_anew(tiny_copy) -> None:
    template = tiny_copy.folder / "scripts/tau2_agent/report/templates/report.html.j2"
    template.write_text(template.read_text("utf-8") + "<!-- edited -->\n", "utf-8")
    assert rerun(tiny_copy) == {"report"}


def test_snakemakes_own_report_holds_the_page_the_table_and_the_evaluations(tiny_copy) -> None:
    outcome = tiny_copy.run("--configfile", "tiny.yaml", "--report", "report.zip")
    assert outcome.status == 0, outcome.text
    with zipfile.ZipFile(tiny_copy.folder / "report.zip") as archive:
        names = sorted(Path(name).name for name in archive.namelist())
        # Its own first page, and ours as a result.
        assert names == [*["eval_test.json"] * 3, *["report.html"] * 2, "summary.csv"]
        first = archive.read("report/report.html").decode()
    for text in ("Backend: cpu; model: demo; seed: 0", "results, curves, conversations"):
        assert text in first


def test_other_split_reruns_no_training(tiny_project) -> None:
    outcome = tiny_project.dry_run("results/eval_small.json", "--configfile", "tiny.yaml")
    assert set(outcome.jobs) == {"leaks", "evaluate_base", "evaluate_sft", "evaluate"}


# --- bad input -----------------------------------------------------------------------------------


def test_leaking_training_file_stops_everything_and_names_the_task(tiny_copy) -> None:
    assert tiny_copy.run("data/telecom_test_tasks.jsonl", *TINY).status == 0
    leaking = (tiny_copy.folder / "data/telecom_test_tasks.jsonl").read_text().splitlines()[0]
    task_id = re.search(r'\[\w+\][^"]*\[PERSONA:\w+\]', leaking)[0]
    with (tiny_copy.folder / "data/telecom_train_tasks.jsonl").open("a") as stream:
        stream.write(leaking + "\n")
    # The gate alone, on a file that someone edited: Snakemake's own reasons are of no interest.
    outcome = tiny_copy.run("data/leaks_test.json", *TINY, "--forcerun", "leaks")
    assert outcome.status != 0
    assert task_id in outcome.text
    outcome = tiny_copy.run(*TINY)
    assert outcome.status != 0
    assert task_id in outcome.text
    assert "SFT:" not in outcome.text


def test_trace_cut_in_half_is_named_with_its_line(tiny_copy) -> None:
    traces = tiny_copy.folder / "data/teacher_traces.jsonl"
    traces.write_text(traces.read_text()[:-400])
    outcome = tiny_copy.run("data/leaks_test.json", *TINY)
    assert outcome.status != 0
    assert re.search(r"data/teacher_traces.jsonl.*line 74", outcome.text)


def test_failing_program_fails_its_job_and_leaves_its_log(tiny_copy) -> None:
    program = tiny_copy.folder / "scripts/tau2_mock.py"
    program.write_text("import sys; print('half a'); sys.exit('the task data is missing')")
    outcome = tiny_copy.run("data/telecom_small_tasks.jsonl", *TINY)
    assert outcome.status != 0
    assert "the task data is missing" in outcome.text
    log = tiny_copy.folder / "logs/tasks_small.log"
    assert log.read_text().splitlines() == ["half a", "the task data is missing"]


def test_full_disk_is_one_clear_line(tiny_copy) -> None:
    results = tiny_copy.folder / "results"
    shutil.rmtree(results)
    results.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(results)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    try:
        outcome = tiny_copy.run("results/base/eval_test.json", *TINY)
    finally:
        subprocess.run(["umount", "--lazy", str(results)], check=True)
    assert outcome.status != 0
    assert "no space left on this disk" in outcome.text
    assert "Traceback" not in outcome.text


# --- interruptions -------------------------------------------------------------------------------


def trainer_process(folder: Path, target: str) -> int | None:
    lock = folder / "checkpoints/.store" / f"{target}.lock"
    holder = re.match(r"process (\d+) on", lock.read_text() if lock.exists() else "")
    return int(holder[1]) if holder else None


def alive(process: int | None) -> bool:
    if process is None:
        return False
    state = Path(f"/proc/{process}/stat")
    return state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def kill_in_the_middle(project, wait_until, target: str, everything: bool, config: str) -> None:
    """Run until the trainer saved a checkpoint, then kill -9 it, or all of Snakemake."""
    snakemake = project.start(f"checkpoints/{target}", *TINY, "--config", config)
    before = set(whole_checkpoints(project.folder, target))
    try:
        wait_until(lambda: set(whole_checkpoints(project.folder, target)) - before, "a checkpoint")
        trainer = trainer_process(project.folder, target)
        assert alive(trainer)
        os.kill(trainer, signal.SIGKILL)
        if everything:
            os.killpg(snakemake.pid, signal.SIGKILL)
        snakemake.communicate(timeout=60)
    finally:
        if snakemake.poll() is None:
            os.killpg(snakemake.pid, signal.SIGKILL)
            snakemake.communicate()
    assert snakemake.returncode != 0
    assert not (project.folder / "checkpoints" / target).exists()
    if everything:
        assert project.run("--unlock", *TINY).status == 0


@pytest.mark.parametrize(
    ("target", "rule", "everything", "config"),
    [
        ("demo_sft_telecom", "sft", True, "sft={epochs: 4, save_steps: 5}"),
        ("demo_rl_telecom", "grpo", False, "grpo={rollouts: 8, lr: 1.0e-5}"),
    ],
)
def test_kill_9_resumes_from_the_last_checkpoint(
    tiny_copy, wait_until, target: str, rule: str, everything: bool, config: str
) -> None:
    kill_in_the_middle(tiny_copy, wait_until, target, everything, config)
    again = tiny_copy.run(f"checkpoints/{target}", *TINY, "--config", config)
    assert again.status == 0, again.text
    resumed = re.search(r"resumed .*at (?:step|rollout) (\d+)", again.text)
    assert resumed and int(resumed[1]) > 0
    # What was finished before is not done again.
    assert set(again.jobs) == {rule}

    # The old values find the old store: nothing is trained.
    back = tiny_copy.run(f"checkpoints/{target}", *TINY)
    assert back.status == 0, back.text
    assert "already trained with these settings" in back.text
