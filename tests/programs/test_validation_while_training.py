"""Validation on the CPU, in real trainings of a tiny model: killed, resumed, chosen from."""

import json
import os
import re
import signal

import pytest
from program_runs import Program
from safetensors.torch import load_file

from tau2_agent.benchmark.tasks import split_ids

pytestmark = pytest.mark.slow

FLAGS = [
    *("--prompt", "short", "--lr-schedule", "constant", "--lr", "0.01"),
    *("--weight-decay", "0.5"),  # it solves nothing, so nothing else moves the weights
    *("--prompts-per-rollout", "1", "--samples-per-prompt", "2", "--micro-batch-size", "2"),
    *("--context-length", "320", "--max-new-tokens", "16", "--keep-episodes", "0"),
    *("--save-rollouts", "1", "--keep-checkpoints", "1", "--rollouts", "4"),
    *("--validation-every", "2", "--validation-tasks", "2"),
    *("--validation-context-length", "310", "--validation-max-new-tokens", "8"),
]


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    file = tmp_path_factory.mktemp("tasks") / "tasks.jsonl"
    rows = [{"index": 0, "metadata": {"task_id": task_id}} for task_id in split_ids("train")[:2]]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return file


def start(model, tasks, output, *more):
    words = ["--model", model, "--tasks", tasks, "--output", output, *FLAGS, *more]
    return Program("train_grpo_trl.py", *words)


def run(model, tasks, output, *more, status=0):
    process = start(model, tasks, output, *more)
    text, _ = process.communicate(timeout=240)
    assert process.returncode == status, text
    return text


def kill_at(pattern, *words):
    process = start(*words)
    for line in process.stdout:
        if re.search(pattern, line):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
    assert process.returncode == -signal.SIGKILL


def curve(folder):
    return [json.loads(line) for line in (folder / "validation.jsonl").read_text().splitlines()]


def weights(folder):
    return load_file(folder / "model.safetensors")


def same(one, other):
    return all((one[name] == other[name]).all() for name in one)


def test_a_killed_training_has_each_validation_once_and_takes_the_best(
    random_model, tasks, tmp_path
):
    words = (random_model, tasks, tmp_path / "rl")
    kill_at(r"^rollout 3:", *words, "--checkpoint", "best")  # checkpoint 3 is there
    text = run(*words, "--checkpoint", "best")
    assert "resumed its own run at rollout 3" in text
    rl = tmp_path / "rl"
    rows = curve(rl)
    assert [row["rollout"] for row in rows] == [0, 2, 4]
    # All are alike: the earliest of those that were trained is the best.
    assert {row["pass_at_1"] for row in rows} == {0.0}
    done = json.loads((rl / "done.json").read_text())
    assert done["summary"]["taken"]["rollout"] == 2
    assert json.loads((rl / "trained_for.json").read_text())["rollout"] == 2
    assert same(weights(rl), weights(rl / "checkpoint-2"))
    assert not same(weights(rl), weights(rl / "checkpoint-4"))
    assert {path.name for path in rl.glob("checkpoint-*")} == {"checkpoint-2", "checkpoint-4"}

    trained = (rl / "metrics.jsonl").read_text()
    (rl).unlink()  # as Snakemake does before it runs the rule
    text = run(*words, "--checkpoint", "last")
    assert not re.search(r"^rollout \d", text, re.MULTILINE), "it trained again"
    assert same(weights(rl), weights(rl / "checkpoint-4"))
    assert (rl / "metrics.jsonl").read_text() == trained
    assert curve(rl) == rows


def test_validation_changes_nothing_of_the_training(random_model, tasks, tmp_path):
    run(random_model, tasks, tmp_path / "with", "--rollouts", "2", "--validation-every", "1")
    run(random_model, tasks, tmp_path / "without", "--rollouts", "2", "--validation-every", "0")
    assert [row["rollout"] for row in curve(tmp_path / "with")] == [0, 1, 2]
    assert not (tmp_path / "without" / "validation.jsonl").exists()
    assert same(weights(tmp_path / "with"), weights(tmp_path / "without"))
    rollouts = [
        [json.loads(line) for line in (tmp_path / name / "rollouts.jsonl").read_text().splitlines()]
        for name in ("with", "without")
    ]
    assert rollouts[0] == rollouts[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--checkpoint", "best", "--validation-every", "0"], "--checkpoint best needs"),
        (
            ["--checkpoint", "best", "--save-rollouts", "4"],
            "now 2, to be a multiple of --save-rollouts 4",
        ),
    ],
)
def test_a_best_checkpoint_that_nothing_would_keep(random_model, tasks, tmp_path, words, said):
    text = run(random_model, tasks, tmp_path / "rl", *words, status=2)
    assert said in text and "Traceback" not in text


def test_training_on_what_is_validated_is_refused(random_model, tmp_path):
    file = tmp_path / "tasks.jsonl"
    rows = [{"index": 0, "metadata": {"task_id": task_id}} for task_id in split_ids("extra_dev")]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    text = run(random_model, file, tmp_path / "rl", status=2)
    assert "have the faults of validation tasks of extra_dev" in text and "Traceback" not in text
