"""SFT and GRPO on the CPU as programs: killed, stopped, broken and continued for real."""

import json
import os
import re
import signal

import pytest
from program_runs import Program
from safetensors.torch import load_file

pytestmark = pytest.mark.slow

SFT = [
    "--prompt",
    "short",
    "--epochs",
    "10",
    "--batch-size",
    "2",
    "--save-steps",
    "10",
    "--logging-steps",
    "1",
]
GRPO = [
    "--prompt",
    "short",
    "--lr-schedule",
    "constant",
    "--prompts-per-rollout",
    "2",
    "--samples-per-prompt",
    "2",
    "--micro-batch-size",
    "2",
    "--context-length",
    "620",
    "--max-steps",
    "12",
    "--max-new-tokens",
    "24",
    "--save-rollouts",
    "2",
    "--validation-every",
    "0",
]


def run(program, *args, status=0):
    process = Program(program, *args)
    text, _ = process.communicate(timeout=240)
    assert process.returncode == status, text
    return text


def interrupt(number, pattern, program, *args):
    """Send a signal to the program's whole group at the first line that matches."""
    process = Program(program, *args)
    lines = []
    for line in process.stdout:
        lines.append(line)
        if re.search(pattern, line):
            os.killpg(process.pid, number)
            break
    text = "".join(lines) + process.stdout.read()
    process.wait(timeout=60)
    assert re.search(pattern, text, re.MULTILINE), f"ended before {pattern!r}:\n{text}"
    return process.returncode, text


def steps(checkpoint):
    rows = (checkpoint / "metrics.jsonl").read_text().splitlines()
    return [row["step"] for row in map(json.loads, rows) if "loss" in row]


def weights(folder):
    return load_file(folder / "model.safetensors")


def difference(one, other):
    one, other = weights(one), weights(other)
    assert one.keys() == other.keys()
    return max((one[name] - other[name]).abs().max().item() for name in one)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Tasks, traces, a base model and an SFT checkpoint, all tiny."""
    root = tmp_path_factory.mktemp("training")
    run("tau2_mock.py", "--local_dir", root, "--split", "train")
    tasks = root / "tasks.jsonl"
    lines = (root / "telecom_train_tasks.jsonl").read_text().splitlines(keepends=True)
    tasks.write_text("".join(lines[:8]))
    flags = ["--tasks", tasks, "--output", root / "traces.jsonl", "--prompt", "short"]
    run("teacher_traces.py", *flags)
    size = ["--layers", "1", "--hidden-size", "32", "--heads", "2", "--vocab-size", "900"]
    run("base_model.py", "--output", root / "base", "--traces", root / "traces.jsonl", *size)
    run("train_sft_trl.py", *sft_flags(root, root / "sft"))
    return root


def sft_flags(root, output, *more):
    inputs = ["--model", root / "base", "--traces", root / "traces.jsonl"]
    return [*inputs, "--output", output, *SFT, *more]


def grpo_flags(root, output, *more):
    inputs = ["--model", root / "sft", "--tasks", root / "tasks.jsonl", "--output", output]
    return [*inputs, *GRPO, *more]


def test_sft_trains(made):
    rows = [json.loads(line) for line in (made / "sft/metrics.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert steps(made / "sft") == list(range(1, 41))  # 8 traces / 2 a step x 10 epochs
    assert losses[-1] < 0.7 * losses[0]
    assert difference(made / "sft", made / "base") > 0.01
    done = json.loads((made / "sft/done.json").read_text())
    assert done["summary"]["steps"] == 40 and done["summary"]["resumed_at"] == 0


def test_two_files_of_traces_are_learnt_from_as_one(made, tmp_path):
    lines = (made / "traces.jsonl").read_text().splitlines(keepends=True)
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    one.write_text("".join(lines[:5]))
    two.write_text("".join(lines[5:]))
    flags = ["--model", made / "base", "--traces", one, two, "--output", tmp_path / "sft", *SFT]
    assert "8 traces" in run("train_sft_trl.py", *flags)
    assert difference(tmp_path / "sft", made / "sft") == 0
    two.write_text("".join(reversed(lines[5:])))  # the second file counts, too
    run("train_sft_trl.py", *flags)
    assert difference(tmp_path / "sft", made / "sft") > 0


def test_finished_sft_is_not_done_again(made):
    before = (made / "sft/done.json").stat().st_mtime_ns
    (made / "sft").unlink()  # as Snakemake does before it runs a rule
    text = run("train_sft_trl.py", *sft_flags(made, made / "sft"))
    assert "already trained" in text
    assert (made / "sft/done.json").stat().st_mtime_ns == before


def test_sft_killed_by_kill_9_continues_to_the_same_weights(made, tmp_path):
    flags = sft_flags(made, tmp_path / "sft")
    status, _ = interrupt(signal.SIGKILL, r"^step 25/", "train_sft_trl.py", *flags)
    assert status == -signal.SIGKILL
    assert not (tmp_path / "sft").exists()
    text = run("train_sft_trl.py", *flags)
    assert "resumed at step 20" in text
    assert steps(tmp_path / "sft") == list(range(1, 41))
    assert difference(tmp_path / "sft", made / "sft") == 0


def test_sft_asked_to_stop_loses_nothing(made, tmp_path):
    flags = sft_flags(made, tmp_path / "sft")
    status, text = interrupt(signal.SIGTERM, r"^step 13/", "train_sft_trl.py", *flags)
    assert status == 128 + signal.SIGTERM
    assert "run the same command again" in text
    last = max(int(step) for step in re.findall(r"^step (\d+)/", text, re.MULTILINE))
    text = run("train_sft_trl.py", *flags)
    assert f"resumed at step {last}" in text
    assert difference(tmp_path / "sft", made / "sft") == 0


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        pytest.param("optimizer.pt", marks=pytest.mark.long),
        pytest.param("trainer_state.json", marks=pytest.mark.long),
    ],
)
def test_a_cut_checkpoint_is_set_aside_and_the_one_before_is_used(made, tmp_path, name):
    flags = sft_flags(made, tmp_path / "sft")
    interrupt(signal.SIGKILL, r"^step 32/", "train_sft_trl.py", *flags)
    (store,) = (tmp_path / ".store").glob("sft-*/")
    broken = store / "checkpoint-30" / name
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    text = run("train_sft_trl.py", *flags)
    assert "not whole" in text and "resumed at step 20" in text
    assert difference(tmp_path / "sft", made / "sft") == 0


def test_other_hyperparameters_train_anew_and_the_old_ones_are_kept(made, tmp_path):
    run("train_sft_trl.py", *sft_flags(made, tmp_path / "sft", "--epochs", "1"))
    (tmp_path / "sft").unlink()
    text = run(
        "train_sft_trl.py", *sft_flags(made, tmp_path / "sft", "--epochs", "1", "--lr", 1e-4)
    )
    assert "from" in text and "resumed" not in text
    assert len(list((tmp_path / ".store").glob("sft-*/"))) == 2


def test_a_trace_that_does_not_fit_is_an_error_not_a_cut(made, tmp_path):
    text = run(
        "train_sft_trl.py", *sft_flags(made, tmp_path / "sft", "--max-length", 100), status=2
    )
    assert "sft.max_length" in text and "Traceback" not in text


def test_traces_of_another_prompt_are_refused(made, tmp_path):
    text = run("train_sft_trl.py", *sft_flags(made, tmp_path / "x", "--prompt", "tau2"), status=2)
    assert "another system prompt" in text and "Traceback" not in text


def test_grpo_starts_from_the_sft_weights(made, tmp_path):
    """With next to no learning rate what comes out is what went in: SFT's, not the base's."""
    text = run(
        "train_grpo_trl.py", *grpo_flags(made, tmp_path / "rl", "--lr", 1e-30, "--rollouts", 1)
    )
    assert f"from {made / 'sft'}" in text
    assert difference(tmp_path / "rl", made / "sft") == 0
    assert difference(tmp_path / "rl", made / "base") > 0.01


def test_grpo_killed_continues_its_own_run(made, tmp_path):
    """On more tasks than SFT had, in an order that follows from what was played."""
    run("tau2_mock.py", "--local_dir", tmp_path, "--split", "extra_train")
    chosen = ["--tasks", tmp_path / "telecom_extra_train_tasks.jsonl"]
    chosen += ["--curriculum", "success_rate", "--dynamic-sampling", "--max-resampled-groups", 1]
    flags = grpo_flags(made, tmp_path / "rl", *chosen, "--rollouts", 5)
    status, _ = interrupt(signal.SIGKILL, r"^rollout 3:", "train_grpo_trl.py", *flags)
    assert status == -signal.SIGKILL and not (tmp_path / "rl").exists()
    text = run("train_grpo_trl.py", *flags)
    assert "resumed its own run at rollout 2" in text
    assert steps(tmp_path / "rl") == [1, 2, 3, 4, 5]
    rows = [json.loads(r) for r in (tmp_path / "rl/rollouts.jsonl").read_text().splitlines()]
    trained = [row for row in rows if not row.get("dropped")]
    assert [row["step"] for row in trained] == [s for s in range(5) for _ in range(4)]
    dropped = [row["dropped"] for row in rows if row.get("dropped")]
    assert set(dropped) <= {"all_failed", "all_solved", "equal"} and dropped

    (tmp_path / "rl").unlink()  # more rollouts continue the finished run
    text = run("train_grpo_trl.py", *grpo_flags(made, tmp_path / "rl", *chosen, "--rollouts", 6))
    assert "resumed its own run at rollout 5" in text

    # What was interrupted is what would have been without: the same tasks, the same weights.
    run("train_grpo_trl.py", *grpo_flags(made, tmp_path / "whole", *chosen, "--rollouts", 6))
    files = [tmp_path / name / "rollouts.jsonl" for name in ("rl", "whole")]
    again, whole = ([json.loads(r)["task_id"] for r in f.read_text().splitlines()] for f in files)
    assert again == whole
    assert difference(tmp_path / "rl", tmp_path / "whole") == 0


def test_grpo_asked_to_stop_saves_first(made, tmp_path):
    flags = grpo_flags(made, tmp_path / "rl", "--rollouts", 4)
    status, text = interrupt(signal.SIGTERM, r"^rollout 1:", "train_grpo_trl.py", *flags)
    assert status == 128 + signal.SIGTERM, text
    assert "resumed its own run at rollout" in run("train_grpo_trl.py", *flags)


def test_uneven_batches_are_refused_with_a_remedy(made, tmp_path):
    flags = grpo_flags(made, tmp_path / "rl", "--rollouts", 1, "--micro-batch-size", 3)
    text = run("train_grpo_trl.py", *flags, status=2)
    assert "micro_batch_size 3 does not divide" in text and "Traceback" not in text


def test_a_training_that_diverges_is_never_done(made, tmp_path):
    output = tmp_path / "diverged"
    text = run("train_sft_trl.py", *sft_flags(made, output, "--lr", "1e30"), status=2)
    said = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(said) == 1 and "Traceback" not in text
    assert re.search(r"diverged at step \d+ \(.*Lower the learning rate", said[0]), said
    assert not output.exists()
    assert not list(tmp_path.glob(".store/*/done.json"))
