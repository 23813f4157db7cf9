"""Whole programs with a language model as the user: killed, out of money, locked out, gone on.

The policy is a tiny random model on the CPU: what it says is of no interest here.
"""

import json
import os
import re
import signal
import time
from collections import Counter

import pytest
from fake_openai import FakeOpenAI, Simulator, calls
from program_runs import Program, run_here

from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.llm.ledger import Ledger
from tau2_agent.users.llm_user import ATTEMPTS

pytestmark = pytest.mark.slow

KEY = "sk-planted-0123456789abcdef"
TASKS = load_tasks("small")  # 20
RARE = min(
    (str(task.user_scenario) for task in TASKS),
    key=Counter(str(task.user_scenario) for task in TASKS).get,
)
RARE_COUNT = sum(str(task.user_scenario) == RARE for task in TASKS)


def start(folder, program, *words, key):
    environment = {name: value for name, value in os.environ.items() if "_API_KEY" not in name}
    environment |= {"OPENAI_API_KEY": key} if key else {}
    return Program(program, *words, folder=folder, environment=environment)


def finish(process, status=0):
    text, _ = process.communicate(timeout=300)
    assert process.returncode == status, text
    assert "Traceback" not in text
    return text


@pytest.fixture
def run(monkeypatch, tmp_path, capfd):
    """Run a program in this process, which spares the seconds of its imports."""

    def run(program, *words, status=0, key=None):
        monkeypatch.chdir(tmp_path)
        for name in [name for name in os.environ if name.endswith("_API_KEY")]:
            monkeypatch.delenv(name)
        if key:
            monkeypatch.setenv("OPENAI_API_KEY", key)
        ended, text = run_here(monkeypatch, capfd, program, *words)
        assert ended == status, text
        return text

    return run


def user(server, *more):
    return [
        *("--user", "llm", "--user-model", "openai/stand-in", "--user-api-base", server.url),
        *("--user-concurrency", "8", "--user-timeout-s", "20", *more),
    ]


def evaluation(model, server, *more):
    return [
        "evaluate_tau2.py",
        *("--checkpoint", model, "--output-path", "results/eval.json", "--backend", "cpu"),
        *("--task-split", "small", "--prompt", "short", "--context-length", "500"),
        *("--max-new-tokens", "12", "--temperature", "1", "--concurrency", "6"),
        *user(server, *more),
    ]


def rows(folder):
    path = folder / "results/eval.episodes.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def everything(folder):
    """Every byte of every file below a folder."""
    return b"".join(
        path.read_bytes() + str(path).encode() for path in folder.rglob("*") if path.is_file()
    )


def break_protocol(request):
    """Plays right, but for one scenario, in which the user wants the agent's tool."""
    if f"<scenario>\n{RARE}\n" in request["messages"][0]["content"]:
        return calls(("enable_roaming", {}))
    return Simulator(TASKS)(request)


def test_a_key_is_found_nowhere(run, random_model, tmp_path):
    faults = {3: 500, 5: (429, {"Retry-After": "0"}), 8: "half", 11: "nonsense", 13: "drop"}
    with FakeOpenAI(Simulator(TASKS), faults=faults.get, authorize=KEY) as server:
        text = finish(start(tmp_path, *evaluation(random_model, server), key=KEY))
    summary = json.loads((tmp_path / "results/eval.json").read_text())
    assert (summary["evaluated"], summary["excluded"], summary["user_errors"]) == (20, 0, {})
    usage = summary["user_usage"]
    assert usage["calls"] == server.answered and usage["retries"] == len(faults)
    assert usage["dollars"] is None  # nobody knows the stand-in's price
    assert summary["manifest"]["user_settings"]["model"] == "openai/stand-in"

    with FakeOpenAI(Simulator(TASKS), authorize="another") as server:  # repeats what it was given
        words = evaluation(random_model, server, "--seed", "1")
        refused = finish(start(tmp_path, *words, key=KEY), status=2)
    assert "Is OPENAI_API_KEY right" in refused and len(server.requests) <= 8
    with FakeOpenAI(faults=lambda number: 400) as server:
        failed = run(*evaluation(random_model, server, "--seed", "2"), status=2, key=KEY)
    assert "20 of 20 episodes failed because of the user simulator (refused: 20)" in failed
    assert KEY not in text + refused + failed
    assert KEY.encode() not in everything(tmp_path)


def test_without_a_key_nothing_is_begun(run, random_model, tmp_path):
    with FakeOpenAI() as server:
        words = evaluation(random_model, server, "--user-model", "gemini/gemini-2.5-flash-lite")
        at = words.index("--user-api-base")
        text = run(*words[:at], *words[at + 2 :], status=2)
    assert "needs GEMINI_API_KEY" in text
    assert not rows(tmp_path)


def test_a_killed_evaluation_pays_nothing_twice(run, random_model, tmp_path):
    with FakeOpenAI(Simulator(TASKS), faults=lambda number: ("slow", 0.1)) as server:
        process = start(tmp_path, *evaluation(random_model, server), key=None)
        while len(rows(tmp_path)) < 5:
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    kept = rows(tmp_path)
    paid = Ledger(tmp_path / "results/eval.user_calls.jsonl", kept[0]["fingerprint"]).calls
    assert 5 <= len(kept) < 20
    with FakeOpenAI(Simulator(TASKS)) as server:
        text = run(*evaluation(random_model, server))
    assert f"{len(kept)} episodes of 20 are done already" in text
    after = rows(tmp_path)
    assert after[: len(kept)] == kept and len(after) == 20
    assert len({row["task_id"] for row in after}) == 20
    # The second run asked for what was missing, no more; and the bill has both.
    asked = sum(row["user_report"]["calls"] for row in after[len(kept) :])
    assert len(server.requests) == server.answered == asked
    summary = json.loads((tmp_path / "results/eval.json").read_text())
    assert summary["user_usage"]["calls"] == paid + asked


def test_a_budget_stops_cleanly_and_a_larger_one_continues(run, random_model, tmp_path):
    budget = ("--user-max-tokens", "300", "--user-budget-tokens")
    with FakeOpenAI(Simulator(TASKS)) as server:
        text = run(*evaluation(random_model, server, *budget, "150000"), status=2)
        assert "budget of 150000 tokens" in text and "run the same command again" in text
        assert not (tmp_path / "results/eval.json").exists()
        kept = rows(tmp_path)
        ledger = Ledger(tmp_path / "results/eval.user_calls.jsonl", kept[0]["fingerprint"])
        assert ledger.tokens <= 150000 and kept and not any(row["reward"] is None for row in kept)
        asked = len(server.requests)
        run(*evaluation(random_model, server, *budget, "150000"), status=2)
        assert len(server.requests) - asked <= 2  # nothing is left to be spent
        run(*evaluation(random_model, server, *budget, "5000000"))
    assert rows(tmp_path)[: len(kept)] == kept
    summary = json.loads((tmp_path / "results/eval.json").read_text())
    assert summary["evaluated"] == 20
    assert summary["user_usage"]["calls"] == server.answered


def test_a_failing_customer_is_excluded_and_counted(run, random_model, tmp_path):
    share = f"{RARE_COUNT / 20:.3f}"
    with FakeOpenAI(break_protocol) as server:
        words = evaluation(random_model, server, "--user-max-failure-share", share)
        text = run(*words)
    summary = json.loads((tmp_path / "results/eval.json").read_text())
    assert summary["user_errors"] == {"broke_protocol": RARE_COUNT}
    assert (summary["excluded"], summary["evaluated"]) == (RARE_COUNT, 20 - RARE_COUNT)
    assert f"{RARE_COUNT} broke_protocol" in text
    failed = [row for row in rows(tmp_path) if row["failure"]]
    assert all(row["attempts"] == 3 and row["reward"] is None for row in failed)
    assert {row["detail"] for row in failed} == {
        "broke_protocol: the agent's tool 'enable_roaming'"
    }


def grpo(model, tasks, server, output, *more):
    return [
        "train_grpo_trl.py",
        *("--model", model, "--tasks", tasks, "--output", output, "--prompt", "short"),
        *("--prompts-per-rollout", "4", "--samples-per-prompt", "2", "--micro-batch-size", "4"),
        *("--context-length", "320", "--max-new-tokens", "12", "--save-rollouts", "1"),
        *("--validation-every", "0"),
        *("--rollouts", "3", *user(server, *more)),
    ]


@pytest.fixture
def task_file(tmp_path):
    path = tmp_path / "tasks.jsonl"
    ids = [task.id for task in TASKS]
    lines = [{"index": i, "metadata": {"task_id": name}} for i, name in enumerate(ids)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_grpo_plays_a_failed_episode_again_and_leaves_it_untrained(run, random_model, tmp_path):
    """One task of four fails each time: every rollout of four prompts has it, and nothing else."""
    rare = next(task.id for task in TASKS if str(task.user_scenario) == RARE)
    others = [task.id for task in TASKS if str(task.user_scenario) != RARE][:3]
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text("".join(json.dumps({"task_id": name}) + "\n" for name in [rare, *others]))
    with FakeOpenAI(break_protocol) as server:
        words = grpo(random_model, tasks, server, "rl", "--user-max-failure-share", "1")
        text = run(*words)
    done = [json.loads(line) for line in (tmp_path / "rl/rollouts.jsonl").read_text().splitlines()]
    assert len(done) == 24
    failed = [row for row in done if row["task_id"] == rare]
    assert len(failed) == 6
    for row in failed:
        assert (row["end"], row["failure"]) == ("user_error", "broke_protocol")
        assert row["reward"] is row["shaped"] is None and row["tokens"] == 2
    for row in done:
        assert row["task_id"] == rare or ("failure" not in row and row["end"] != "user_error")
    assert text.count("failures of the user {'broke_protocol': 2}") == 3
    # Each was played twice, and the user asked anew as often as tau2 does; all of it was paid.
    usage = json.loads((tmp_path / "rl/done.json").read_text())["summary"]["user_usage"]
    assert usage["calls"] == server.answered
    asked = [r for r in server.requests if f"<scenario>\n{RARE}\n" in r["messages"][0]["content"]]
    assert len(asked) == 2 * ATTEMPTS * len(failed)


def test_grpo_stops_at_the_budget_and_goes_on(run, random_model, task_file, tmp_path):
    """No whole rollout is paid for twice, however seldom checkpoints are meant to be."""
    budget = ("--save-rollouts", "99", "--user-max-tokens", "300", "--user-budget-tokens")
    with FakeOpenAI(Simulator(TASKS)) as server:
        words = grpo(random_model, task_file, server, "rl", *budget, "150000")
        text = run(*words, status=2)
        assert "budget of 150000 tokens" in text and "rollout 0" in text
        done = len(re.findall(r"^rollout \d", text, re.M))
        text = run(*grpo(random_model, task_file, server, "rl", *budget, "9000000"))
    assert f"resumed its own run at rollout {done}" in text
    (ledger,) = tmp_path.glob("rl/user_calls.jsonl")
    assert Ledger(ledger).calls == server.answered
