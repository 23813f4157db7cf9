"""Traces of a teacher that is a language model: what is kept and paid, and what a fault costs."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace

import pytest
from fake_openai import FakeOpenAI, Simulator, says
from program_runs import Program
from teacher_behind_api import teacher_answers

import teacher_traces
from tau2_agent.benchmark.environment import prompt_tools, system_prompt
from tau2_agent.benchmark.tasks import load_tasks, split_ids
from tau2_agent.errors import InputError
from tau2_agent.files import read_jsonl, write_jsonl
from tau2_agent.rollout.episode import GREETING
from tau2_agent.rollout.trajectory import JobStop, UserFailure
from tau2_agent.teachers import collection as paid_traces
from tau2_agent.users import registry as users
from tau2_agent.users.scripted.user import ScriptedUser

MODEL = "openai/stand-in"
GIVING_UP = "YOU ARE BEING TRANSFERRED TO A HUMAN AGENT. PLEASE HOLD ON."


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Pauses between retries are short here."""
    settings = paid_traces.teacher_settings
    monkeypatch.setattr(
        paid_traces, "teacher_settings", lambda args: replace(settings(args), backoff_s=0.01)
    )


def tasks_file(folder, count=6, split="train"):
    path = folder / "tasks.jsonl"
    ids = split_ids(split)[:count]
    write_jsonl(path, [{"index": i, "metadata": {"task_id": t}} for i, t in enumerate(ids)])
    return path, ids


def arguments(folder, server, *more, count=6):
    path, _ = tasks_file(folder, count)
    return [
        *("--tasks", str(path), "--output", str(folder / "traces.jsonl"), "--prompt", "short"),
        *("--teacher", "llm", "--teacher-model", MODEL, "--teacher-api-base", server.url),
        *map(str, more),
    ]


def traces(folder):
    return list(read_jsonl(folder / "traces.jsonl"))


def usage(folder):
    return json.loads((folder / "traces.usage.json").read_text())


def begun(server):
    """How many episodes were begun: first requests, of system prompt, greeting and one message."""
    return sum(len(request["messages"]) == 3 for request in server.requests)


def test_traces_of_a_language_model(tmp_path, capsys) -> None:
    with FakeOpenAI(teacher_answers) as server:
        assert teacher_traces.main(arguments(tmp_path, server)) == 0
    ids = split_ids("train")[:6]
    rows = traces(tmp_path)
    assert [row["task_id"] for row in rows] == ids
    for row in rows:
        assert (row["reward"], row["tools"]) == (1.0, prompt_tools("short"))
        # The model that learns sees another prompt than the teacher saw.
        assert row["messages"][0]["content"] == system_prompt("short")
    asked = {request["messages"][0]["content"] for request in server.requests}
    assert asked == {system_prompt("tau2")}
    total = usage(tmp_path)
    assert (total["attempts"], total["kept"], total["excluded"]) == (6, 6, 0)
    assert total["teacher"]["calls"] == server.answered
    assert total["teacher"]["dollars"] is None
    text = capsys.readouterr().out
    assert "6/6 tasks, 6 solved" in text and "unknown price" in text


def test_they_are_those_of_the_scripted_teacher_but_for_names_of_calls(tmp_path) -> None:
    with FakeOpenAI(teacher_answers) as server:
        teacher_traces.main(arguments(tmp_path, server))
    paid = traces(tmp_path)
    free = arguments(tmp_path, server)
    free[free.index("--teacher") + 1] = "scripted"
    teacher_traces.main(free)

    def unnamed(rows):
        for row in rows:
            for message in row["messages"]:
                message.pop("tool_call_id", None)
                for call in message.get("tool_calls", []):
                    del call["id"]
        return rows

    assert unnamed(paid) == unnamed(traces(tmp_path))


def test_dollars_at_a_given_price(tmp_path, capsys) -> None:
    with FakeOpenAI(teacher_answers) as server:
        teacher_traces.main(arguments(tmp_path, server, "--teacher-price", 2, 8, count=1))
    total = usage(tmp_path)["teacher"]
    wanted = (2 * total["prompt_tokens"] + 8 * total["completion_tokens"]) / 1e6
    assert total["dollars"] == pytest.approx(wanted, abs=1e-5)
    assert f"${wanted:.2f}" in capsys.readouterr().out


class FailsFirst:
    """Gives up at once in the first `failures` episodes; for episodes one after another."""

    def __init__(self, failures):
        self.left = failures

    def __call__(self, request):
        if len(request["messages"]) == 3 and self.left:
            self.left -= 1
            return says(GIVING_UP)
        return teacher_answers(request)


def test_several_attempts_the_first_good_one_is_kept(tmp_path) -> None:
    one_at_a_time = ("--concurrency", 1, "--attempts", 3)
    with FakeOpenAI(FailsFirst(2)) as server:
        teacher_traces.main(arguments(tmp_path, server, *one_at_a_time, count=2))
    assert len(traces(tmp_path)) == 2
    rows = list(read_jsonl(tmp_path / "traces.attempts.jsonl"))
    assert all(row["code"] and row["scored_by"] for row in rows)  # what made them
    made = [(row["trial"], row["reward"]) for row in rows]
    assert sorted(made) in ([(0, 0), (0, 1), (1, 1)], [(0, 0), (0, 0), (1, 1), (1, 1)])


def test_unsolved_tasks_are_left_out_and_more_attempts_continue(tmp_path, capsys) -> None:
    with FakeOpenAI(FailsFirst(2)) as server:
        options = ("--concurrency", 1, "--attempts")
        with pytest.raises(InputError, match="solved none of 1 tasks"):
            teacher_traces.main(arguments(tmp_path, server, *options, 2, count=1))
        assert "not solved (user_stop, user_stop), left out: [" in capsys.readouterr().out
        assert begun(server) == 2
        teacher_traces.main(arguments(tmp_path, server, *options, 3, count=1))
        assert begun(server) == 3
    assert len(traces(tmp_path)) == 1


def test_another_prompt_or_shorter_traces_cost_nothing_more(tmp_path, tokenizer, capsys) -> None:
    tokenizer.save_pretrained(tmp_path / "model")
    with FakeOpenAI(teacher_answers) as server:
        teacher_traces.main(arguments(tmp_path, server))
        paid = len(server.requests)
        # One attempt a task is all there is, so what is too long is left out.
        again = arguments(tmp_path, server, "--prompt", "tau2", "--attempts", 1)
        teacher_traces.main(again)
        assert traces(tmp_path)[0]["messages"][0]["content"] == system_prompt("tau2")
        lengths = arguments(tmp_path, server, "--attempts", 1)
        lengths += ["--tokenizer", str(tmp_path / "model"), "--max-length"]
        with pytest.raises(InputError, match="none of 6 tasks in a way that can be learnt from"):
            teacher_traces.main([*lengths, "310"])
        assert "solved, but length: " in capsys.readouterr().out
        teacher_traces.main([*lengths, "100000"])
        assert len(traces(tmp_path)) == 6
        assert len(server.requests) == paid


def test_further_options_reach_the_model_and_are_part_of_the_run(tmp_path) -> None:
    with FakeOpenAI(teacher_answers) as server:
        teacher_traces.main(arguments(tmp_path, server, count=1))
        more = ["--teacher-options", '{"top_p": 0.5}', "--teacher-max-tokens", 99]
        teacher_traces.main(arguments(tmp_path, server, *more, count=1))
    assert begun(server) == 2
    assert "top_p" not in server.requests[0]
    assert (server.requests[-1]["top_p"], server.requests[-1]["max_tokens"]) == (0.5, 99)


def test_another_temperature_is_another_run_and_going_back_is_free(tmp_path) -> None:
    with FakeOpenAI(teacher_answers) as server:
        teacher_traces.main(arguments(tmp_path, server, count=2))
        first = traces(tmp_path)
        teacher_traces.main(arguments(tmp_path, server, "--teacher-temperature", 1, count=2))
        assert begun(server) == 4
        assert {request["temperature"] for request in server.requests} == {0.7, 1.0}
        teacher_traces.main(arguments(tmp_path, server, count=2))
        assert begun(server) == 4
    assert traces(tmp_path) == first


def both_sides():
    """Plays the agent and the user; tells them apart by the system prompt."""
    simulator = Simulator(load_tasks("train"))

    def answer(request):
        asked = "<scenario>" in request["messages"][0]["content"]
        return simulator(request) if asked else teacher_answers(request)

    return answer


@pytest.mark.parametrize("teacher", ["llm", "scripted"])
def test_a_customer_that_is_a_language_model_too(tmp_path, teacher, capsys) -> None:
    with FakeOpenAI(both_sides()) as server:
        command = arguments(tmp_path, server, "--user", "llm", "--user-model", MODEL, count=3)
        command += ["--user-api-base", server.url]
        command[command.index("--teacher") + 1] = teacher
        teacher_traces.main(command)
        paid = len(server.requests)
        (tmp_path / "traces.jsonl").unlink()
        teacher_traces.main(command)
        assert len(server.requests) == paid
    assert len(traces(tmp_path)) == 3
    total = usage(tmp_path)
    assert total["user"]["model"] == MODEL
    spent = total["user"]["calls"] + total.get("teacher", {"calls": 0})["calls"]
    assert spent == paid == server.answered
    assert ("teacher" in total) is (teacher == "llm")
    assert f"user {MODEL}: {total['user']['calls']} calls" in capsys.readouterr().out


# --- faults --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_bad_connection_loses_nothing(tmp_path) -> None:
    faults = [(429, {"Retry-After": "0"}), 500, "drop", "half", "nonsense", 503, "no_choices"]

    def fault(number):
        return faults[number // 5 % len(faults)] if number % 5 == 0 else None

    with FakeOpenAI(teacher_answers, faults=fault) as server:
        teacher_traces.main(arguments(tmp_path, server, count=12))
    assert len(traces(tmp_path)) == 12
    total = usage(tmp_path)
    assert (total["attempts"], total["excluded"]) == (12, 0)
    assert total["teacher"]["calls"] == server.answered
    assert set(total["teacher"]["failed_calls"]) >= {"rate_limited", "server_error"}


@pytest.mark.slow
def test_kill_9_and_again_pays_for_nothing_twice(tmp_path) -> None:
    """The server kills the program in the middle, twice; what was finished is not asked again."""
    process = None
    kills = [60, 130]

    def answer(request):
        if kills and len(server.requests) >= kills[0]:
            kills.pop(0)
            os.kill(process.pid, signal.SIGKILL)
        return teacher_answers(request)

    with FakeOpenAI(answer) as server:
        command = ["teacher_traces.py", *arguments(tmp_path, server, "--concurrency", 3, count=12)]
        done = []
        for _ in range(2):
            process = Program(*command)
            assert process.wait() == -signal.SIGKILL
            assert not (tmp_path / "traces.jsonl").exists()
            rows = (tmp_path / "traces.attempts.jsonl").read_bytes().splitlines(keepends=True)
            done.append(sum(row.endswith(b"\n") for row in rows))
        process = Program(*command)
        text, _ = process.communicate()
        assert process.returncode == 0, text
    assert 0 < done[0] < done[1] < 12
    assert f"{done[1]} attempts are done already" in text
    assert len(traces(tmp_path)) == 12
    # Every task once, and those again that were under way at a kill: three at a time.
    assert 12 < begun(server) <= 12 + 2 * 3
    total = usage(tmp_path)["teacher"]
    # The ledger lacks at most what was in flight at a kill.
    assert server.answered - 2 * 3 <= total["calls"] <= server.answered


@pytest.mark.slow
def test_a_budget_stops_the_job_in_time_and_a_larger_one_continues(tmp_path) -> None:
    budget = 800_000
    options = ("--teacher-max-tokens", 100, "--concurrency", 4, "--teacher-budget-tokens")
    with FakeOpenAI(teacher_answers) as server:
        with pytest.raises(JobStop, match=r"budget_spent: .* raise the budget and run"):
            teacher_traces.main(arguments(tmp_path, server, *options, budget, count=12))
        assert not (tmp_path / "traces.jsonl").exists()
        total = usage(tmp_path)["teacher"]
        assert 0 < total["prompt_tokens"] + total["completion_tokens"] <= budget
        before = sum(
            row["end"] == "user_stop" for row in read_jsonl(tmp_path / "traces.attempts.jsonl")
        )
        teacher_traces.main(arguments(tmp_path, server, *options, 100 * budget, count=12))
        # Those that the budget cut were begun twice.
        assert begun(server) <= 12 + 4
    assert before > 0
    assert len(traces(tmp_path)) == 12
    assert usage(tmp_path)["teacher"]["calls"] == server.answered


def test_a_wrong_key_stops_at_once_and_is_written_nowhere(tmp_path, monkeypatch, capfd) -> None:
    planted = "sk-planted-0123456789abcdef"
    monkeypatch.setenv("OPENAI_API_KEY", planted)
    with (
        FakeOpenAI(teacher_answers, authorize="another") as server,
        pytest.raises(JobStop, match="OPENAI_API_KEY") as caught,
    ):
        teacher_traces.main(arguments(tmp_path, server, "--concurrency", 2, count=10))
    assert server.headers[0]["Authorization"] == f"Bearer {planted}"
    assert len(server.requests) <= 2
    assert planted not in str(caught.value)
    assert planted not in "".join(capfd.readouterr())
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or planted not in path.read_text()


class Flaky(ScriptedUser):
    """Fails in the first `failures` episodes of the process."""

    failures = 0

    async def reply(self, new):
        if type(self).failures and any(
            m.role == "assistant" and m.content != GREETING for m in new
        ):
            type(self).failures -= 1
            raise UserFailure("timed_out", "scripted")
        return await super().reply(new)


def test_a_user_that_fails_costs_the_teacher_no_attempt(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(users.USERS, "scripted", Flaky)
    monkeypatch.setattr(Flaky, "failures", 2)
    with FakeOpenAI(teacher_answers) as server:
        options = ("--attempts", 1, "--concurrency", 1)
        teacher_traces.main(arguments(tmp_path, server, *options, count=2))
    assert len(traces(tmp_path)) == 2
    assert begun(server) == 4
    rows = list(read_jsonl(tmp_path / "traces.attempts.jsonl"))
    assert [row["end"] for row in rows] == ["user_error", "user_error", "user_stop", "user_stop"]
    assert usage(tmp_path)["attempts"] == 2


def test_a_user_that_only_fails_stops_the_job(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(users.USERS, "scripted", Flaky)
    monkeypatch.setattr(Flaky, "failures", 10**6)
    with (
        FakeOpenAI(teacher_answers) as server,
        pytest.raises(JobStop, match=r"20 of 20 episodes failed .*timed_out: 20"),
    ):
        teacher_traces.main(arguments(tmp_path, server, "--concurrency", 1, count=40))
    assert begun(server) == 20 * 3  # each is played again twice
    assert not (tmp_path / "traces.jsonl").exists()


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--teacher", "llm"], "--teacher llm needs --teacher-model"),
        (["--teacher", "nobody"], "invalid choice: 'nobody' (choose from 'scripted'"),
        (["--teacher-options", "[1]"], "--teacher-options: '[1]' must be a section of keys"),
        (["--max-length", "10"], "--tokenizer and --max-length go together"),
    ],
)
def test_options_that_do_not_fit(tmp_path, capsys, options, part) -> None:
    path, _ = tasks_file(tmp_path)
    with pytest.raises(SystemExit):
        teacher_traces.main(["--tasks", str(path), "--output", str(tmp_path / "x"), *options])
    assert part in capsys.readouterr().err
