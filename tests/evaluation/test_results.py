"""Results: rows that survive a kill, averages over what counts, the table."""

from __future__ import annotations

import csv
import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from made_results import lost, row, summary
from replays import gold_calls, play

import summarise_results
from tau2_agent import locks
from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.evaluation import results, table
from tau2_agent.evaluation import statistics as intervals
from tau2_agent.records import episode_log, episode_row
from tau2_agent.records.episode_log import EpisodeLog, read_rows
from tau2_agent.records.episode_row import EpisodeRow, ResultsError
from tau2_agent.rollout.trajectory import EndReason, TokenRecord, Turn

# Rows


def test_row_of_an_episode():
    task = max(load_tasks("test"), key=lambda task: len(task.evaluation_criteria.actions))
    trajectory = play(task, gold_calls(task))
    trajectory.tokens = TokenRecord()
    trajectory.tokens.append_context([1, 2, 3])
    trajectory.tokens.append_sampled(Turn([4, 5], [-0.1, -0.2], "stop"))
    trajectory.tokens.append_context([6])
    trajectory.tokens.append_sampled(Turn([7], [-0.1], "length"))
    made = episode_row.episode_row(task, trajectory, trial=2, attempts=3, keep_messages=True)
    assert (made.reward, made.partial, made.solved, made.excluded) == (1.0, 1.0, True, False)
    assert (made.trial, made.attempts) == (2, 3)
    assert (made.sampled_tokens, made.total_tokens) == (3, 7)
    assert made.counters["cut_turns"] == 1
    assert made.reward_info["action_checks"][0]["verified"] is True
    assert len(made.messages) == len(trajectory.messages)
    assert EpisodeRow.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize("end", [EndReason.USER_ERROR, EndReason.POLICY_ERROR])
def test_row_of_an_infrastructure_failure_has_no_score(end):
    task = load_tasks("test")[0]
    made = episode_row.episode_row(task, play(task, gold_calls(task), end))
    assert (made.reward, made.partial, made.solved, made.excluded) == (None, None, False, True)


# The log


def test_log_goes_on_where_it_was(tmp_path):
    path = tmp_path / "deep" / "rows.jsonl"
    with EpisodeLog(path, "run") as log:
        assert log.missing(["a", "b"], trials=2) == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
        log.append(row("a", 1.0))
        log.append(lost("b"))
    with EpisodeLog(path, "run") as log:
        assert log.missing(["a", "b"]) == [("b", 0)]  # the failure is played again
        log.append(row("b", 1.0))
        assert log.missing(["a", "b"]) == []
        assert {key: r.reward for key, r in log.rows.items()} == {("a", 0): 1.0, ("b", 0): 1.0}
    assert [r.task_id for r in read_rows(path)] == ["a", "b", "b"]


@pytest.mark.parametrize("cut", [1, 5, 60])
def test_half_a_last_line_is_dropped_and_the_next_row_starts_a_line(tmp_path, cut):
    path = tmp_path / "rows.jsonl"
    with EpisodeLog(path, "run") as log:
        log.append(row("a", 1.0))
        log.append(row("b", 1.0, detail="é"))
    path.write_bytes(path.read_bytes()[:-cut])
    assert [r.task_id for r in read_rows(path)] == ["a"]
    with EpisodeLog(path, "run") as log:
        assert log.missing(["a", "b"]) == [("b", 0)]
        log.append(row("b"))
    assert [(r.task_id, r.reward) for r in read_rows(path)] == [("a", 1.0), ("b", 0.0)]


def test_bad_line_in_the_middle_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "rows.jsonl"
    good = row("a").model_dump_json() + "\n"
    for bad in ('{"task_id": "b"\n', '{"task_id": "b"}\n', '{"task_id": "b", "end": "gone"}\n'):
        path.write_text(good + bad + good)
        with pytest.raises(ResultsError, match=r"rows\.jsonl, line 2: no row of this job"):
            read_rows(path)
        with pytest.raises(ResultsError, match="line 2"):
            EpisodeLog(path, "run")
        assert path.read_text() == good + bad + good  # nothing was thrown away


def test_rows_of_other_weights_or_settings_are_set_aside(tmp_path):
    path = tmp_path / "rows.jsonl"
    with EpisodeLog(path, "first-run-fingerprint") as log:
        log.append(row("a", 1.0))
    with EpisodeLog(path, "second") as log:
        assert log.missing(["a"]) == [("a", 0)]
        log.append(row("a", 0.0))
    assert [r.reward for r in read_rows(path)] == [0.0]
    assert [r.reward for r in read_rows(tmp_path / "rows.jsonl.first-run-fi")] == [1.0]
    # Going back to the first run finds what it had.
    with EpisodeLog(path, "first-run-fingerprint") as log:
        assert log.missing(["a", "b"]) == [("b", 0)]
        log.append(row("b", 1.0))
    assert [r.reward for r in read_rows(path)] == [1.0, 1.0]
    assert [r.reward for r in read_rows(tmp_path / "rows.jsonl.second")] == [0.0]


def test_rows_that_an_earlier_version_wrote_are_set_aside_too(tmp_path):
    path = tmp_path / "rows.jsonl"
    line = json.loads(row("a", 1.0).model_dump_json())
    del line["fingerprint"]
    path.write_text(json.dumps({**line, "run": "earlier"}) + "\n")
    with EpisodeLog(path, "now") as log:
        assert log.missing(["a"]) == [("a", 0)]
    assert [r.fingerprint for r in read_rows(tmp_path / "rows.jsonl.earlier")] == ["earlier"]


def test_who_is_overtaken_while_it_sets_rows_aside_finds_what_the_other_left(tmp_path, monkeypatch):
    """The lock is on the file that goes: the new one may be another's first."""
    path = tmp_path / "rows.jsonl"
    with EpisodeLog(path, "first") as log:
        log.append(row("a"))
    opened, overtaken = EpisodeLog._open, []

    def overtake(self):
        if path.exists() or overtaken:
            return opened(self)
        overtaken.append(True)
        with EpisodeLog(path, "second") as other:
            other.append(row("b"))
        return opened(self)

    monkeypatch.setattr(EpisodeLog, "_open", overtake)
    with EpisodeLog(path, "second") as log:
        assert log.missing(["a", "b"]) == [("a", 0)]
    assert overtaken == [True]


def test_evaluations_of_one_file_wait_for_each_other(tmp_path, monkeypatch):
    """Two of another run wait for the first: each gets what the one before it left."""
    path = tmp_path / "rows.jsonl"
    missing, said = [], []
    monkeypatch.setattr(locks, "_say", said.append)  # a captured stream may lose a thread's words

    def second():
        with EpisodeLog(path, "second") as log:
            missing.append(len(log.missing(["a", "b"])))
            log.append(row("ab"[len(log.rows)]))

    waiting = [threading.Thread(target=second) for _ in range(2)]
    with EpisodeLog(path, "first") as log:
        log.append(row("a"))
        for thread in waiting:
            thread.start()
        deadline = time.monotonic() + 60
        while len(said) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert ["another program writes it; waiting" in text for text in said] == [True, True]
        assert missing == []
        log.append(row("b"))
    for thread in waiting:
        thread.join(30)
    assert missing == [2, 1]
    assert [r.task_id for r in read_rows(path)] == ["a", "b"]
    assert [r.fingerprint for r in read_rows(tmp_path / "rows.jsonl.first")] == ["first", "first"]
    assert any("it ended; waited" in text for text in said)


def test_full_disk_is_an_error_and_costs_one_row(tmp_path, monkeypatch):
    path = tmp_path / "rows.jsonl"
    with EpisodeLog(path, "run") as log:
        log.append(row("a"))
        write = os.write
        monkeypatch.setattr(episode_log.os, "write", lambda handle, data: write(handle, data[:9]))
        with pytest.raises(OSError) as caught:
            log.append(row("b"))
        assert caught.value.errno == errno.ENOSPC
        monkeypatch.undo()
    with EpisodeLog(path, "run") as log:
        assert list(log.rows) == [("a", 0)]


@pytest.mark.slow
def test_kill_9_loses_no_row_that_was_written(tmp_path):
    path = tmp_path / "rows.jsonl"
    code = f"""
        import sys
        sys.path.insert(0, {str(Path(summarise_results.__file__).parent)!r})
        from tau2_agent.records.episode_log import EpisodeLog
        from tau2_agent.records.episode_row import EpisodeRow
        log = EpisodeLog({str(path)!r}, "run")
        for number in range(100_000):
            log.append(EpisodeRow(task_id=str(number), end="max_steps", detail="x" * 5000))
            print(number, flush=True)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            if int(line) == 50:
                process.send_signal(signal.SIGKILL)
                break
        said = 50 + len(process.stdout.readlines())
    with EpisodeLog(path, "run") as log:
        assert len(log.rows) >= said
        log.append(row("last"))
    assert read_rows(path)[-1].task_id == "last"


# The summary


def test_summary_counts_what_counts():
    rows = [
        row("a", 1.0, steps=20, user_report={"simulator": "scripted", "unknown": 1}),
        row("b", 0.0, partial=0.25, steps=40, user_report={"simulator": "scripted", "unknown": 2}),
        row("c", 0.0, end=EndReason.MAX_STEPS, partial=0.5, steps=200),
        lost("d").model_copy(update={"user_report": {"unknown": 50}}),
        lost("e", end=EndReason.POLICY_ERROR),
        row("not asked for", 1.0),
    ]
    made = summary(rows, ["a", "b", "c", "d", "e"])
    assert (made.total_tasks, made.evaluated, made.excluded, made.successes) == (5, 3, 2, 1)
    assert made.pass_at_1 == made.avg_reward == pytest.approx(1 / 3)
    assert made.avg_partial_score == pytest.approx(1.75 / 3)
    assert made.avg_steps == pytest.approx(260 / 3)
    assert (made.user_simulator_errors, made.policy_errors) == (1, 1)
    assert made.ends == {"user_stop": 2, "max_steps": 1, "user_error": 1, "policy_error": 1}
    assert made.user_report == {"unknown": 3}
    assert made.pass_at_1_interval == intervals.wilson(1, 3)
    assert made.avg_partial_score_interval.method == "bootstrap over tasks"
    assert [task.reward for task in made.tasks] == [1.0, 0.0, 0.0, None, None]
    assert results.task_values(made, "steps") == {"a": 20, "b": 40, "c": 200}
    assert made.manifest.versions["python"]
    assert len(made.manifest.tasks_sha256) == 64


def test_summary_names_failures_and_what_scored():
    failed = {"failure": "rate_limited", "scored_by": "of an excluded one"}
    rows = [
        lost("a").model_copy(update=failed),
        lost("b").model_copy(update={"failure": "broke_protocol"}),
        lost("c").model_copy(update=failed),
        row("d", 1.0, scored_by="digest"),
    ]
    made = summary(rows, ["a", "b", "c", "d"])
    assert made.user_errors == {"rate_limited": 2, "broke_protocol": 1}
    assert next(iter(made.user_errors)) == "rate_limited"  # most first
    assert made.scored_by == "digest"
    assert summary(rows[:3], ["a", "b", "c"]).scored_by == ""


def test_a_summary_names_the_commits_and_the_code_that_played():
    rows = [
        row("a", commit="aaa", clean=True, code="x"),
        row("b", commit="bbb", clean=False, code="y"),
        row("c", commit="bbb", clean=False, code="y"),
        row("d", code="y"),  # without git
    ]
    made = summary(rows, list("abcd"))
    assert list(made.played_at.items()) == [("bbb+", 2), ("aaa", 1), ("", 1)]
    assert made.commit == "bbb+" and list(made.played_by.items()) == [("y", 3), ("x", 1)]
    assert summary(rows, ["d"]).commit is summary([], []).commit is None


def test_summary_survives_its_file(tmp_path):
    made = summary([row("a", 1.0), row("b")], ["a", "b"])
    path = tmp_path / "eval_test.json"
    path.write_text(made.model_dump_json(indent=2))
    assert results.read_summary(path) == made
    path.write_text(path.read_text()[:-30])
    with pytest.raises(ResultsError, match=r"eval_test\.json: no summary"):
        results.read_summary(path)


def test_missing_episode_is_no_average():
    with pytest.raises(ResultsError, match="1 of 4 episodes are missing, b trial 1 first"):
        summary([row("a"), row("a", trial=1), row("b")], ["a", "b"], trials=2)


def test_nothing_counted_is_no_number():
    made = summary([lost("a"), lost("b")], ["a", "b"])
    assert (made.evaluated, made.excluded, made.successes) == (0, 2, 0)
    assert made.pass_at_1 is made.avg_reward is made.avg_steps is made.pass_at_1_interval is None
    assert made.pass_hat_k == made.pass_at_k == {}


def test_later_row_wins():
    assert summary([lost("a"), row("a", 1.0)], ["a"]).pass_at_1 == 1.0


def test_row_that_ended_normally_without_a_score_is_refused():
    for score in ({}, {"reward": 1.0}, {"partial": 1.0}):
        with pytest.raises(ResultsError, match="a trial 0: ended normally without a score"):
            summary([EpisodeRow(task_id="a", end=EndReason.USER_STOP, **score)], ["a"])


def test_several_trials_give_pass_hat_k_and_pass_at_k_and_no_wilson():
    trials = {"a": [1, 1, 1], "b": [1, 0, 0], "c": [0, 0, 0]}
    rows = [row(t, float(r), trial=i) for t, rs in trials.items() for i, r in enumerate(rs)]
    made = summary(rows, list(trials), trials=3)
    assert (made.evaluated, made.successes) == (9, 4)
    for same in (made.pass_at_1, made.pass_hat_k[1], made.pass_at_k[1]):
        assert same == pytest.approx(4 / 9)
    assert made.pass_hat_k[3] == pytest.approx(1 / 3)  # only a is always solved
    assert made.pass_at_k[3] == pytest.approx(2 / 3)  # a and b are solved at least once
    assert made.pass_hat_k[2] == pytest.approx(1 / 3)
    assert made.pass_at_k[2] == pytest.approx((1 + 2 / 3) / 3)
    assert made.pass_at_1_interval.method == "bootstrap over tasks"
    rows[-1] = lost("c", trial=2)  # k goes up to what every task has
    assert list(summary(rows, list(trials), trials=3).pass_hat_k) == [1, 2]


# The table


def write(folder: Path, name: str, made: results.EvaluationSummary) -> str:
    path = folder / name
    path.write_text(made.model_dump_json())
    return str(path)


def test_table_over_stages_and_splits(tmp_path, capsys):
    ids = [str(i) for i in range(40)]
    files = []
    for stage, solved in (("rl", 30), ("base", 0), ("sft", 20)):
        rows = [row(t, float(int(t) < solved)) for t in ids[:-1]] + [lost("39")]
        files.append(write(tmp_path, f"{stage}.json", summary(rows, ids, stage=stage)))
    train = summary([row("a", 1.0)], ["a"], stage="rl", split="train")
    files.append(write(tmp_path, "train.json", train))
    output = tmp_path / "out" / "summary.csv"
    summarise_results.main(["--results", *files, "--output", str(output)])
    table = list(csv.DictReader(output.open()))
    assert [(r["split"], r["stage"]) for r in table] == [
        ("test", "base"),
        ("test", "sft"),
        ("test", "rl"),
        ("train", "rl"),
    ]
    base, sft, rl, alone = table
    assert (rl["n"], rl["total_tasks"], rl["excluded"]) == ("39", "40", "1")
    assert float(rl["pass_at_1"]) == pytest.approx(30 / 39)
    assert float(rl["pass_at_1_low"]) < 30 / 39 < float(rl["pass_at_1_high"])
    assert float(rl["gain"]) == pytest.approx(10 / 39)
    assert float(sft["gain"]) == pytest.approx(20 / 39)
    assert float(rl["gain_low"]) > 0
    assert base["gain"] == alone["gain"] == ""
    assert rl["selection"] == "all" and rl["user_dollars"] == rl["user_prompt_tokens"] == ""
    shown = capsys.readouterr().out
    assert "excluded" in shown and "+0.256 [+0.13, +0.41]" in shown


def test_gain_pairs_the_seeds(tmp_path):
    ids = ["a", "b"]
    runs = [summary([row("a", float(s)), row("b")], ids, seed=s, stage="sft") for s in (0, 1)] + [
        summary([row("a", 1.0), row("b")], ids, seed=s, stage="rl") for s in (1, 2)
    ]
    gain = table.stage_gains(runs)["test", "rl"]
    assert (gain.difference.mean, gain.difference.seeds) == (0.0, 1)  # only seed 1 is on both sides


@pytest.mark.slow
def test_bad_results_file_ends_in_one_line(tmp_path):
    path = tmp_path / "eval.json"
    path.write_text(json.dumps({"stage": "base"}))
    program = [sys.executable, summarise_results.__file__, "--output", str(tmp_path / "s.csv")]
    done = subprocess.run([*program, "--results", str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "eval.json: no summary of an evaluation" in done.stderr
    assert not (tmp_path / "s.csv").exists()
