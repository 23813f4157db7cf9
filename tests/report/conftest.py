"""What the report's tests share: evaluations, trainings' logs, the page made of them, a browser."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from browser import chromium, missing
from made_evaluations import play, write_evaluation

import make_report
from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.files import write_json

# Who stands in for which model: each one does better than the one before it.
AGENTS = {"base": "do_nothing", "sft": "transfer_at_once", "rl": "scripted"}
# What rejection_sampling.py writes beside its traces, as far as the page reads it.
SAMPLED = {
    **{"episodes": 12, "solved": 5, "kept": 3, "tasks": 4, "tasks_solved": 3, "tasks_kept": 3},
    "dropped": {"unsolved": 7, "surplus": 2},
    "user_usage": {"calls": 9, "prompt_tokens": 90, "completion_tokens": 9, "dollars": 0.25},
}


@pytest.fixture(scope="session")
def evaluations(tmp_path_factory) -> dict[str, Path]:
    """Stage -> file of an evaluation of every fifth task of the test split. Read only."""
    folder = tmp_path_factory.mktemp("results")
    tasks = load_tasks("test")[::5]
    return {
        stage: write_evaluation(folder / stage / "eval_test.json", stage, play(agent, tasks))
        for stage, agent in AGENTS.items()
    }


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> dict[str, Path]:
    """Stage -> a training's folder with the logs that the CPU backend writes. Read only."""
    folder = tmp_path_factory.mktemp("checkpoints")
    task = load_tasks("train")[0].id
    for stage in ("sft", "rejection", "rl"):
        (folder / stage).mkdir()
        steps = [
            {"step": step, "loss": 3 / step, "grad_norm": 1.0, "learning_rate": 1e-3 / step}
            for step in range(1, 6)
        ]
        (folder / stage / "metrics.jsonl").write_text("".join(f"{json.dumps(s)}\n" for s in steps))
        write_json(folder / stage / "done.json", {"run": "1a2b", "summary": {"seconds": 12.5}})
    rows = [
        {
            **{"step": rollout, "task_id": task, "end": "user_stop", "turns": 20, "tokens": 700},
            **{
                "reward": float(number < rollout),
                "partial": 0.5,
                "shaped": float(number < rollout),
                "repeated_turns": 2 * number,
                "cut_turns": 0,
            },
        }
        for rollout in range(4)
        for number in range(4)
    ]
    (folder / "rl/rollouts.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return {stage: folder / stage for stage in ("sft", "rejection", "rl")}


@pytest.fixture(scope="session")
def page_file(evaluations, trained, tmp_path_factory) -> Path:
    """The report on all of these. Read only."""
    page = tmp_path_factory.mktemp("page") / "report.html"
    trainings = [
        word for stage in trained for word in ("--training", "plain", stage, trained[stage])
    ]
    sampled = page.with_name("sampled_traces.jsonl")
    sampled.write_text("")
    write_json(sampled.with_suffix(".source.json"), SAMPLED)
    words = ["--results", *evaluations.values(), *trainings, "--command", "snakemake --cores all"]
    words += ["--sampled", "plain", sampled]
    make_report.main(list(map(str, [*words, "--config", '{"seed": 0}', "--output", page])))
    return page


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """One Chromium for all tests."""
    if reason := missing():
        pytest.skip(reason)
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page
