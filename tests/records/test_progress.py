"""What a long stage says of itself while it runs."""

from __future__ import annotations

import json
import threading

import pytest

from tau2_agent.records import progress as module
from tau2_agent.records.progress import PROGRESS_FILE, Progress, read_progress


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "results" / "progress.json"
    monkeypatch.setenv(PROGRESS_FILE, str(path))
    monkeypatch.setattr(module, "SECONDS_BETWEEN_WRITES", 0.0)
    return path


def test_an_evaluation_tells_episodes_solved_tokens_and_the_time_left(file, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with Progress("evaluate x", 40, done=10) as progress:
        assert read_progress(file)["evaluate x"]["state"] == "running"
        progress.solved = 4
        for _ in range(10):
            now[0] += 2.0
            progress.episode(solved=True, tokens=50)
        entry = read_progress(file)["evaluate x"]
        assert (entry["done"], entry["total"], entry["solved"]) == (20, 40, 14)
        assert (entry["tokens_per_second"], entry["seconds_left"]) == (25.0, 40.0)
        assert progress.line() == "20/40 episodes, 14 solved, 25 tokens/s, 20 s, 40 s left"
    assert read_progress(file)["evaluate x"]["state"] == "stopped"  # 20 were left


def test_a_training_tells_its_reward_and_the_trend(file):
    with Progress("grpo x", 8, unit="rollouts", says=False) as progress:
        for rollout, reward in enumerate([0.1, 0.3, 0.2, 0.4, 0.5, 0.4, 0.6, 0.7]):
            progress.step(rollout + 1, reward, loss=0.5)
        # the least-squares slope of these eight
        assert progress.trend() == pytest.approx(3.2 / 42, abs=1e-9)
        assert progress.rises() == " (+0.076 a rollout)"
    entry = read_progress(file)["grpo x"]
    assert (entry["state"], entry["reward"], entry["trend"]) == ("done", 0.7, 0.0762)
    assert entry["loss"] == 0.5


def test_lines_are_rare_in_a_log_and_rarer_on_slurm(file, capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    def lines() -> int:
        with Progress("x", 60) as progress:
            for _ in range(60):
                now[0] += 10.0
                progress.episode(False, 1)
        return capsys.readouterr().out.count("episodes")

    assert lines() == 30  # one in 20 seconds
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert lines() == 2  # one in five minutes


def test_stages_side_by_side_do_not_lose_each_other(file):
    def stage(name):
        with Progress(name, 20, says=False) as progress:
            for _ in range(20):
                progress.episode(True, 1)

    threads = [threading.Thread(target=stage, args=(f"stage {i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stages = read_progress(file)
    assert {name: entry["done"] for name, entry in stages.items()} == {
        f"stage {i}": 20 for i in range(6)
    }
    assert json.loads(file.read_text())["stages"] == stages


def test_an_error_leaves_stopped_behind_and_a_file_that_cannot_be_written_stops_nothing(
    file, monkeypatch
):
    with pytest.raises(RuntimeError), Progress("x", 3):
        raise RuntimeError
    assert read_progress(file)["x"]["state"] == "stopped"
    file.with_name("blocked").write_text("")
    monkeypatch.setenv(PROGRESS_FILE, str(file.with_name("blocked") / "progress.json"))
    with Progress("y", 1, says=False) as progress:
        progress.episode(True, None)
    monkeypatch.delenv(PROGRESS_FILE)
    with Progress("z", 1, says=False) as progress:
        progress.episode(True, None)
    assert "z" not in read_progress(file)
