"""What a run will cost: lengths against real requests, numbers of episodes, prices, words."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from fake_openai import FakeOpenAI, Simulator
from teacher_behind_api import teacher_answers

import estimate_cost
import teacher_traces
from tau2_agent.benchmark.tasks import load_tasks, split_ids
from tau2_agent.config.layers import ConfigError
from tau2_agent.evaluation.results import Manifest, summarise
from tau2_agent.evaluation.token_estimates import counted, paid_user
from tau2_agent.files import write_json, write_jsonl
from tau2_agent.llm import ledger as costs
from tau2_agent.llm.quiet import quiet_litellm
from tau2_agent.records.episode_row import EpisodeRow

MODEL = "openai/stand-in"
PRICE = "price: {input: 1.0, output: 10.0}"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The program in an empty folder; returns what it writes."""
    monkeypatch.chdir(tmp_path)

    def main(*config: str) -> dict:
        estimate_cost.main(["--output", "estimate.json", "--config", "preset=demo", *config])
        return json.loads(Path("estimate.json").read_text())

    return main


def by_stage(estimate):
    return {(row["stage"], row["side"]): row for row in estimate["stages"]}


# --- lengths -------------------------------------------------------------------------------------


async def test_counted_lengths_are_those_of_the_requests_that_are_sent(tmp_path) -> None:
    tasks = load_tasks("train")[:3]
    simulator = Simulator(tasks)

    def answer(request):
        asked = "<scenario>" in request["messages"][0]["content"]
        return simulator(request) if asked else teacher_answers(request)

    path = tmp_path / "tasks.jsonl"
    write_jsonl(path, [{"index": i, "metadata": {"task_id": t.id}} for i, t in enumerate(tasks)])
    with FakeOpenAI(answer) as server:
        options = ["--tasks", str(path), "--output", str(tmp_path / "traces.jsonl")]
        for side in ("teacher", "user"):
            options += [f"--{side}", "llm", f"--{side}-model", MODEL]
            options += [f"--{side}-api-base", server.url]
        await asyncio.to_thread(teacher_traces.main, options)
    lengths = await counted(tasks, MODEL, "train")
    for side in ("teacher", "user"):
        requests = [
            r
            for r in server.requests
            if ("<scenario>" in str(r["messages"][0])) == (side == "user")
        ]
        count = quiet_litellm().token_counter
        sent = sum(count(MODEL, messages=r["messages"], tools=r["tools"]) for r in requests)
        assert lengths[side].calls * 3 == pytest.approx(len(requests))
        # A count of parts differs from a count of the whole by a token or two a message.
        assert lengths[side].prompt_tokens * 3 == pytest.approx(sent, rel=0.04)
        assert lengths[side].completion_tokens > 0


# --- numbers of episodes -------------------------------------------------------------------------


def test_scripted_runs_cost_nothing(run, capsys) -> None:
    estimate = run()
    assert estimate["stages"] == [] and estimate["dollars"] == [0, 0]
    assert "asks no language model: nothing is paid" in capsys.readouterr().out


def test_every_stage_with_a_language_model_counts_its_episodes(run) -> None:
    rows = by_stage(
        run(
            "user={simulator: {scripted: 0.75, llm: 0.25}, model: openai/stand-in, " + PRICE + "}",
            "traces={teacher: llm, model: openai/other, attempts: 3}",
            "grpo={rollouts: 5, prompts_per_rollout: 4, samples_per_prompt: 4}",
            "evaluation={user: llm, compare_with: [sft], num_tasks: 10, trials: 2,"
            " splits: [test, train]}",
        )
    )
    assert rows["traces", "teacher"]["episodes"] == [74, 74 * 3]
    assert rows["traces", "user"]["episodes"] == [74 / 4, 74 * 3 / 4]
    assert rows["grpo", "user"]["episodes"] == [20, 20]
    # after 0, 4 and 5 rollouts, 24 tasks each
    assert rows["validate", "user"]["episodes"] == [3 * 24 / 4, 3 * 24 / 4]
    for stage in ("sft test", "sft train", "rl test", "rl train"):
        assert rows[f"evaluate {stage}", "user"]["episodes"] == [20, 20]
    assert len(rows) == 8


@pytest.mark.parametrize(
    ("backend", "more", "groups"),
    [
        ("cpu", "dynamic_sampling: false", (4, 4)),
        ("cpu", "dynamic_sampling: true, max_resampled_groups: 6", (4, 10)),
        ("slime", "dynamic_sampling: true, max_resampled_groups: 6", (4, 10)),
        ("slime", "max_resampled_groups: 6, over_sampling_groups: 2", (6, 10)),
        ("slime", "dynamic_sampling: false, max_resampled_groups: 6", (4, 4)),
    ],
)
def test_groups_that_are_resampled_are_counted(run, backend, more, groups) -> None:
    grpo = f"grpo={{rollouts: 5, prompts_per_rollout: 4, samples_per_prompt: 2, {more}}}"
    preset = "demo" if backend == "cpu" else "qwen3-4b"
    user = "user={simulator: llm, model: openai/stand-in, " + PRICE + "}"
    rows = by_stage(run(f"preset={preset}", user, grpo))
    assert rows["grpo", "user"]["episodes"] == [5 * 2 * number for number in groups]


def test_rejection_sampling_counts_its_episodes_where_it_is_on(run) -> None:
    values = ("user={simulator: llm, model: openai/stand-in, " + PRICE + "}",)
    sampling = "rejection_sampling={samples_per_task: 3, num_tasks: %d}"
    for number, count in ((10, 10), (-1, 1600)):
        rows = by_stage(run(*values, sampling % number, "tasks={rejection_sampling: extra_train}"))
        assert rows["rejection sampling", "user"]["episodes"] == [3 * count, 3 * count]
        assert ("evaluate rejection test", "user") in rows
    assert not any("rejection" in stage for stage, _ in by_stage(run(*values)))


def test_a_price_makes_dollars_and_none_makes_none(run, capsys) -> None:
    estimate = run(f"user={{simulator: llm, model: {MODEL}, {PRICE}}}")
    for row in estimate["stages"]:
        assert row["dollars"][0] == pytest.approx(
            (row["prompt_tokens"][0] + 10 * row["completion_tokens"][0]) / 1e6
        )
        assert not row["measured"] and "scripted conversations" in row["lengths"]
    assert estimate["dollars"][0] == pytest.approx(sum(r["dollars"][0] for r in estimate["stages"]))
    text = capsys.readouterr().out
    assert "not measured, lengths from scripted conversations on 40 tasks of train" in text
    assert "assumed: no discount for cached prompts" in text
    unknown = run(f"user={{simulator: llm, model: {MODEL}}}")
    assert unknown["dollars"] is None
    assert "in all: unknown price" in capsys.readouterr().out


def test_litellms_prices_are_known(run) -> None:
    known = run("user={simulator: llm}")  # Gemini, as in the published recipe
    assert 0 < known["dollars"][0] < 100


def test_a_model_that_is_served_here_costs_no_dollars(run, capsys) -> None:
    estimate = run("user={simulator: llm, serve: {source: a/b, revision: c}}")
    assert estimate["dollars"] == [0, 0]
    assert all(row["own_server"] for row in estimate["stages"])
    assert "own server" in capsys.readouterr().out


def test_runs_side_by_side_pay_for_what_they_do_not_share(run) -> None:
    rows = by_stage(
        run(
            f"user={{simulator: llm, model: {MODEL}}}",
            "runs={low: {grpo: {lr: 1.0e-5}}}",
            "evaluation={compare_with: [sft]}",
        )
    )
    stages = {stage for stage, _ in rows}
    assert stages == {
        *("traces", "grpo", "evaluate sft test", "evaluate rl test"),
        *("validate", "low: grpo", "low: validate", "low: evaluate rl test"),
    }


def test_traces_from_a_file_ask_nobody(run) -> None:
    Path("x.jsonl").touch()
    rows = by_stage(run("user={simulator: llm}", "traces={teacher: file, source: x.jsonl}"))
    assert not any(stage == "traces" for stage, _ in rows)


# --- what was paid before ------------------------------------------------------------------------


def test_what_a_teacher_took_before_wins(run, capsys) -> None:
    teacher = {"model": MODEL, "calls": 400, "prompt_tokens": 8000, "completion_tokens": 80}
    usage = {"stage": "traces", "tasks": 10, "attempts": 20, "teacher": teacher | {"dollars": 2.0}}
    write_json("data/teacher_traces.usage.json", usage)
    row = by_stage(run(f"traces={{teacher: llm, model: {MODEL}}}"))["traces", "teacher"]
    # Two attempts a task, as before; a tenth of a dollar each.
    assert row["episodes"] == [148, 148]
    assert row["calls"][0] == pytest.approx(20 * 148)
    assert row["prompt_tokens"][0] == pytest.approx(400 * 148)
    assert row["dollars"][0] == pytest.approx(14.8)
    assert row["measured"]
    text = capsys.readouterr().out
    assert "measured, lengths from data/teacher_traces.usage.json, 20 attempts: traces" in text
    other = by_stage(run("traces={teacher: llm, model: openai/other}"))["traces", "teacher"]
    assert not other["measured"]


def test_what_a_user_took_before_wins(tmp_path) -> None:
    ids = split_ids("test")[:4]
    usage = {"model": MODEL, "calls": 60, "prompt_tokens": 6000, "completion_tokens": 600}
    for name, simulator, dollars in (
        ("eval_test", "llm", 1.0),
        ("base/eval_test", "llm=0.5,scripted=0.5", 0.5),
    ):
        summary = summarise(
            [EpisodeRow(task_id=i, end="user_stop", reward=1, partial=1) for i in ids],
            task_ids=ids,
            trials=1,
            stage="rl",
            checkpoint="x",
            split="test",
            user_usage=usage | {"dollars": dollars},
            manifest=Manifest(
                versions={},
                backend="cpu",
                prompt="short",
                prompt_sha256="",
                user_simulator=simulator,
                seed=0,
                sampling={},
                limits={},
                partial_weights={},
            ),
        )
        path = tmp_path / "results" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(summary.model_dump_json())
    (tmp_path / "results" / "eval_cut.json").write_text("{")
    # 4 episodes and half of 4 were the language model's.
    lengths = paid_user(MODEL, tmp_path / "results")
    assert lengths.calls == pytest.approx(120 / 6)
    assert lengths.dollars == pytest.approx(1.5 / 6)
    assert lengths.source.endswith("results/, 2 evaluations, 6 episodes")
    assert paid_user("openai/other", tmp_path / "results") is None


# --- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "unknown price"),
        (0, "$0.00"),
        (0.00123, "$0.0012"),
        (0.5, "$0.50"),
        (1234, "$1,234.00"),
    ],
)
def test_dollars(amount, text) -> None:
    assert costs.dollars(amount) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (999, "999"), (1234, "1.23 k"), (4.56e6, "4.56 M"), (2e9, "2 G")]
)
def test_tokens(count, text) -> None:
    assert costs.tokens(count) == text


def test_mistakes_are_the_workflows(run) -> None:
    with pytest.raises(ConfigError, match="unknown key usr"):
        run("usr=1")
    with pytest.raises(ConfigError, match="write KEY=VALUE"):
        run("seed")
