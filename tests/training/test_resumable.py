"""Stages: resume after kill -9, one trainer at a time, finished stores reused, clear ends."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tau2_agent.files import DiskFull
from tau2_agent.training.fingerprint import fingerprint
from tau2_agent.training.resumable import Stage, StageError

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

# A trainer that counts: each step appends a line and saves its number atomically.
TOY_TRAINER = """
import json, os, sys, time
from pathlib import Path
from tau2_agent.training.resumable import Stage

target, lr, steps, pause = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
with Stage(target, fingerprint={"lr": lr}, settings={"steps": steps}) as stage:
    if not stage.finished:
        state = stage.folder / "state.json"
        step = json.loads(state.read_text())["step"] if state.exists() else 0
        while step < steps and not stage.stop_requested:
            time.sleep(pause)
            step += 1
            with open(stage.folder / "log.txt", "a") as log:
                log.write(f"{os.getpid()} {step}\\n")
            (stage.folder / "state.tmp").write_text(json.dumps({"step": step}))
            os.replace(stage.folder / "state.tmp", state)
        if not stage.stop_requested:
            stage.finish({"steps": step})
"""


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints" / "toy_sft_telecom"


@pytest.fixture
def train(target: Path):
    """Start the toy trainer as a process; whatever still runs at the end is killed."""
    running: list[subprocess.Popen] = []

    def start(lr: str = "0.1", steps: int = 3, pause: float = 0.0) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", TOY_TRAINER, str(target), lr, str(steps), str(pause)],
            env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stderr.close()


def log_lines(target: Path) -> list[tuple[int, int]]:
    """(process, step) of every step ever trained, over all stores of the target."""
    lines = []
    for log in sorted((target.parent / ".store").glob("*/log.txt")):
        lines += [tuple(map(int, line.split())) for line in log.read_text().splitlines()]
    return lines


def wait_for(condition, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.02)


def test_finished_stage_is_a_relative_link_to_a_store_with_a_marker(target: Path, train) -> None:
    assert train().wait() == 0
    assert target.is_symlink()
    assert os.readlink(target).startswith(".store/toy_sft_telecom-")
    done = json.loads((target / "done.json").read_text())
    assert done["summary"] == {"steps": 3}
    assert done["settings"] == {"steps": 3}


def test_kill_9_continues_from_the_last_save(target: Path, train) -> None:
    first = train(steps=8, pause=0.1)
    wait_for(lambda: len(log_lines(target)) >= 3)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert not target.exists()
    second = train(steps=8)
    _, errors = second.communicate()
    assert second.returncode == 0
    assert "resumes what lies in" in errors
    lines = log_lines(target)
    assert next(step for process, step in lines if process == second.pid) >= 3
    # At most the one step that was being saved is done twice.
    assert len(lines) <= 9
    assert {step for _, step in lines} == set(range(1, 9))


def test_deleted_target_is_linked_again_without_training(target: Path, train) -> None:
    train().wait()
    target.unlink()  # what Snakemake does at the start of a job
    again = train()
    _, errors = again.communicate()
    assert "is reused" in errors
    assert target.is_symlink()
    assert len(log_lines(target)) == 3


def test_other_hyperparameters_train_apart_and_the_old_ones_come_back_at_once(
    target: Path, train
) -> None:
    train(lr="0.1").wait()
    first = os.readlink(target)
    target.unlink()
    train(lr="0.2").wait()
    assert os.readlink(target) != first
    target.unlink()
    train(lr="0.1").wait()
    assert os.readlink(target) == first
    assert len(log_lines(target)) == 6


def test_more_steps_continue_a_finished_store(target: Path, train) -> None:
    train(steps=3).wait()
    train(steps=5).wait()
    assert [step for _, step in log_lines(target)] == [1, 2, 3, 4, 5]
    assert json.loads((target / "done.json").read_text())["settings"] == {"steps": 5}


def test_second_trainer_waits_and_finds_the_work_done(target: Path, train) -> None:
    first = train(steps=6, pause=0.1)
    wait_for(lambda: len(log_lines(target)) >= 1)
    second = train(steps=6, pause=0.1)
    _, errors = second.communicate()
    assert first.wait() == 0
    assert second.returncode == 0
    assert f"another program trains it (process {first.pid} on " in errors
    assert "is reused" in errors
    assert {process for process, _ in log_lines(target)} == {first.pid}


def test_killed_holder_gives_its_lock_to_the_waiting_one(target: Path, train) -> None:
    first = train(steps=50, pause=0.1)
    wait_for(lambda: len(log_lines(target)) >= 2)
    second = train(steps=50, pause=0.0)
    time.sleep(0.5)
    first.send_signal(signal.SIGKILL)
    assert second.wait() == 0
    assert {step for _, step in log_lines(target)} == set(range(1, 51))


def test_waiting_trainer_can_be_stopped(target: Path, train) -> None:
    first = train(steps=200, pause=0.1)
    wait_for(lambda: len(log_lines(target)) >= 1)
    second = train(steps=200)
    time.sleep(1.0)
    second.terminate()
    assert second.wait(timeout=5) == -signal.SIGTERM
    assert first.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_stop_signal_saves_leaves_with_an_error_and_resumes(
    target: Path, train, number: signal.Signals
) -> None:
    first = train(steps=30, pause=0.1)
    wait_for(lambda: len(log_lines(target)) >= 2)
    first.send_signal(number)
    _, errors = first.communicate()
    assert first.returncode == 128 + number
    assert f"stopped by {number.name}; run the same command again" in errors
    assert not target.exists()
    train(steps=30).wait()
    # Stopped between steps: nothing is done twice.
    assert [step for _, step in log_lines(target)] == list(range(1, 31))


def test_damaged_marker_counts_as_unfinished(target: Path, train) -> None:
    train().wait()
    (target / "done.json").write_text('{"run": "1')
    again = train()
    _, errors = again.communicate()
    assert again.returncode == 0
    assert "damaged; the stage counts as unfinished" in errors
    assert json.loads((target / "done.json").read_text())["summary"] == {"steps": 3}


def test_missing_file_of_a_finished_store_counts_as_unfinished(tmp_path: Path) -> None:
    target = tmp_path / "x"
    with Stage(target, {}) as stage:
        (stage.folder / "model.safetensors").write_bytes(b"weights")
        stage.finish()
    (target / "model.safetensors").write_bytes(b"wei")
    with Stage(target, {}) as stage:
        assert not stage.finished
        (stage.folder / "model.safetensors").write_bytes(b"weights")
        stage.finish()
    with Stage(target, {}) as stage:
        assert stage.finished


def test_store_of_another_fingerprint_is_set_aside_not_deleted(tmp_path: Path) -> None:
    target = tmp_path / "x"
    with Stage(target, {"lr": 1}) as stage:
        (stage.folder / "weights").write_text("old")
        (stage.folder / "stage.json").write_text('{"fingerprint": {"lr": 2}}')
        stage.finish()
    with Stage(target, {"lr": 1}) as stage:
        assert not stage.finished
        assert not (stage.folder / "weights").exists()
        stage.finish()
    [aside] = (tmp_path / ".store").glob("*.aside-*")
    assert (aside / "weights").read_text() == "old"


def test_set_aside_twice_keeps_both(tmp_path: Path) -> None:
    with Stage(tmp_path / "x", {}) as stage:
        for text in ("first", "second"):
            (stage.folder / "weights").write_text(text)
            stage.set_aside("its last checkpoint cannot be read")
        stage.finish()
    kept = sorted(path.read_text() for path in tmp_path.glob(".store/*.aside-*/weights"))
    assert kept == ["first", "second"]


def test_a_folder_of_someone_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(StageError, match="Move it away first"), Stage(tmp_path / "x", {}):
        pass


def test_leaving_without_finish_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="ended without finishing"), Stage(tmp_path / "x", {}):
        pass


def test_an_error_of_the_trainer_passes_through_and_frees_the_lock(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Stage(tmp_path / "x", {}):
        _ = 1 / 0
    with Stage(tmp_path / "x", {}) as stage:
        stage.finish()


def test_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match="no space left on this disk"), Stage(tmp_path / "x", {}):
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise RuntimeError("unexpected pos 576 vs 534") from error


def test_child_that_holds_the_descriptor_keeps_others_out(tmp_path: Path) -> None:
    with Stage(tmp_path / "x", {}) as stage:
        child = subprocess.Popen(["sleep", "1.5"], pass_fds=[stage.lock_descriptor])
        stage.finish()
    with Stage(tmp_path / "x", {}) as stage:
        assert stage.finished
        assert child.poll() is not None  # it was waited for


def test_on_stop_is_called_with_the_signal(tmp_path: Path) -> None:
    got: list[int] = []
    with pytest.raises(SystemExit), Stage(tmp_path / "x", {}) as stage:
        stage.on_stop = got.append
        os.kill(os.getpid(), signal.SIGUSR1)
        wait_for(lambda: stage.stop_requested)
    assert got == [signal.SIGUSR1]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_fingerprint_follows_content_and_hyperparameters(tmp_path: Path) -> None:
    data = tmp_path / "traces.jsonl"
    data.write_text("a\n")
    base = fingerprint({"traces": data}, {"lr": 0.1}, code="1")
    os.utime(data, (1, 1))
    assert fingerprint({"traces": data}, {"lr": 0.1}, code="1") == base
    assert fingerprint({"traces": data}, {"lr": 0.2}, code="1") != base
    assert fingerprint({"traces": data}, {"lr": 0.1}, code="2") != base
    data.write_text("b\n")
    assert fingerprint({"traces": data}, {"lr": 0.1}, code="1") != base
    with pytest.raises(FileNotFoundError):
        fingerprint({"traces": tmp_path / "absent"}, {}, code="1")
