"""Several runs side by side: their files, what they share, and the table over them."""

from __future__ import annotations

import csv
import re

import pytest

pytestmark = pytest.mark.workflow

SWEEP = """
runs:
  seed1: {seed: 1}
  low_lr: {grpo: {lr: 1.0e-5}}
  both: {seed: 1, grpo: {lr: 1.0e-5}}
"""


def commands(text: str) -> list[str]:
    return re.findall(r"^ *Shell command: (.*)$", text, re.MULTILINE)


@pytest.fixture
def sweep(project):
    project.write_config(SWEEP)
    return project


def test_each_run_makes_what_it_does_not_share(sweep) -> None:
    jobs = sweep.dry_run().jobs
    assert jobs["summary"] == jobs["report"] == 1
    made = {rule for rule in jobs if rule.startswith(("seed1_", "low_lr_", "both_"))}
    assert made == {
        *(f"seed1_{rule}" for rule in ("base_model", "sft", "grpo", "evaluate")),
        *("seed1_evaluate_base", "seed1_evaluate_sft"),
        *("low_lr_grpo", "low_lr_evaluate", "both_grpo", "both_evaluate"),
    }
    assert jobs.pop("leaks") == 2  # the held-out split and that of validation, once for all runs
    assert jobs.pop("tasks") == 2  # the teacher's and GRPO's
    assert all(count == 1 for count in jobs.values())


def test_no_two_jobs_write_one_file_or_one_log(sweep) -> None:
    text = sweep.dry_run("-p").text
    found = commands(text)
    outputs = [m for line in found for m in re.findall(r"--output(?:-path)? (\S+)", line)]
    logs = [word for line in found for word in re.findall(r"tee (\S+)$", line)]
    assert len(outputs) >= 15 and len(logs) >= 15
    assert len(set(outputs)) == len(outputs)
    assert len(set(logs)) == len(logs)


def test_a_runs_values_reach_its_commands_only(sweep) -> None:
    text = sweep.dry_run("-p", "results/both/eval_test.json").text
    grpo = [line for line in commands(text) if "train_grpo" in line]
    assert len(grpo) == 1
    assert "--lr 1e-05" in grpo[0] and "--seed 1" in grpo[0]
    assert "--model checkpoints/demo+seed1_sft_telecom " in grpo[0]
    assert "--output checkpoints/demo+both_rl_telecom " in grpo[0]


def test_plain_commands_are_the_same_beside_other_runs(project) -> None:
    alone = commands(project.dry_run("-p", "results/eval_test.json").text)
    project.write_config(SWEEP)
    beside = commands(project.dry_run("-p", "results/eval_test.json").text)
    assert sorted(beside) == sorted(alone)


def test_runs_of_the_slime_backend(sweep) -> None:
    outcome = sweep.dry_run("-p", "--config", "preset=gpu-smoke")
    assert outcome.status == 0, outcome.text
    assert outcome.jobs["seed1_convert_model"] == 1
    assert "--base models/gpu-smoke+seed1_torch_dist " in outcome.text


def test_a_run_that_does_not_exist(sweep) -> None:
    outcome = sweep.dry_run("results/seed2/eval_test.json")
    assert outcome.status != 0


def test_small_rules_of_a_run_stay_local(sweep) -> None:
    """A name in `localrules` would miss the rules of runs, which have other names."""
    for path in (sweep.folder / "rules").glob("*.smk"):
        assert "localrules:" not in path.read_text(), path
    assert "localrule: True" in (sweep.folder / "rules/model.smk").read_text()


@pytest.mark.slow
def test_a_second_run_beside_a_finished_one(tiny_copy) -> None:
    """Only its own stages run; the plain run's files stay as they are; one table has both."""
    folder = tiny_copy.folder
    config = "runs={low: {grpo: {rollouts: 2, lr: 1.0e-5}}}"
    before = (folder / "results/eval_test.json").read_bytes()
    outcome = tiny_copy.run("--cores", "2", "--configfile", "tiny.yaml", "--config", config)
    assert outcome.status == 0, outcome.text
    assert outcome.jobs == {"low_grpo": 1, "low_evaluate": 1, "summary": 1, "report": 1}
    assert (folder / "results/eval_test.json").read_bytes() == before
    assert (folder / "logs/low/grpo.log").exists()
    with (folder / "results/summary.csv").open() as stream:
        rows = [(row["run"], row["stage"]) for row in csv.DictReader(stream) if row["seed"]]
    assert rows == [("plain", "base"), ("plain", "sft"), ("plain", "rl"), ("low", "rl")]
