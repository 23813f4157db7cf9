"""Two user simulators side by side: the numbers by hand, and whole comparisons by the program."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_openai import FakeOpenAI, Simulator, says
from teacher_behind_api import teacher_answers

import compare_users
from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.errors import InputError
from tau2_agent.evaluation.statistics import wilson
from tau2_agent.evaluation.user_agreement import (
    cohens_kappa,
    compare,
    precision,
    summarise_side,
)
from tau2_agent.records.episode_log import read_rows
from tau2_agent.records.episode_row import EpisodeRow
from tau2_agent.records.transcripts import read_transcripts
from tau2_agent.rollout.trajectory import JobStop, UserFailure
from tau2_agent.users import registry as users
from tau2_agent.users.scripted.user import ScriptedUser

MODEL = "openai/stand-in"


def row(task, solved, trial=0, end="user_stop", **more):
    reward = None if end == "user_error" else float(solved)
    return EpisodeRow(
        task_id=task, trial=trial, end=end, reward=reward, partial=reward, steps=10, **more
    )


def rows(*given):
    return {(r.task_id, r.trial): r for r in given}


def agreement(a, b):
    sides = {"a": summarise_side("x", a, {}), "b": summarise_side("y", b, {})}
    return compare(a, b, sides)


# --- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "kappa"),
    [
        ([20, 5, 10, 15], 0.4),  # the textbook's: observed 0.7, by chance 0.5
        ([10, 0, 0, 10], 1.0),
        ([0, 10, 10, 0], -1.0),
        ([25, 25, 25, 25], 0.0),
        ([45, 15, 25, 15], 0.1304),
        ([20, 0, 0, 0], None),  # both always solve: chance alone agrees
        ([0, 0, 0, 0], None),
    ],
)
def test_cohens_kappa(table, kappa) -> None:
    assert cohens_kappa(table) == (None if kappa is None else pytest.approx(kappa, abs=1e-4))


def test_it_is_scikit_learns_where_that_is_installed() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    a, b = [1, 1, 0, 1, 0, 0, 1, 1], [1, 0, 0, 1, 1, 0, 1, 0]
    both = agreement(
        rows(*(row(str(i), x) for i, x in enumerate(a))),
        rows(*(row(str(i), x) for i, x in enumerate(b))),
    )
    assert both.kappa == pytest.approx(metrics.cohen_kappa_score(a, b))


def test_pairs_are_the_episodes_that_count_on_both_sides() -> None:
    a = rows(row("1", 1), row("2", 0), row("3", 1), row("4", 1, end="user_error", failure="x"))
    b = rows(row("1", 1), row("2", 1), row("3", 0), row("4", 1))
    both = agreement(a, b)
    assert (both.pairs, both.unpaired) == (3, 1)
    assert both.solved_by == {"both": 1, "a only": 1, "b only": 1, "neither": 0}
    assert both.agreement == pytest.approx(1 / 3)
    assert both.agreement_interval == wilson(1, 3)
    assert both.differences["pass_at_1"].mean == 0
    assert (both.a.episodes, both.a.excluded, both.a.failures) == (3, 1, {"x": 1})
    assert both.a.ends == {"user_stop": 3, "user_error": 1}


def test_a_task_has_one_vote_however_many_trials() -> None:
    a = rows(*(row("1", 1, trial) for trial in range(4)), *(row("2", 0, t) for t in range(4)))
    b = rows(
        *(row("1", trial < 2, trial) for trial in range(4)), *(row("2", 0, t) for t in range(4))
    )
    both = agreement(a, b)
    assert both.b.pass_at_1 == 0.25
    assert both.agreement == 0.75
    assert both.agreement_interval.method == "bootstrap over tasks"


def test_kappa_interval_holds_kappa_and_shrinks() -> None:
    def sides(n):
        pattern = [(1, 1)] * 4 + [(1, 0)] + [(0, 1)] * 2 + [(0, 0)] * 3
        pairs = pattern * n
        return (
            rows(*(row(str(i), x) for i, (x, _) in enumerate(pairs))),
            rows(*(row(str(i), y) for i, (_, y) in enumerate(pairs))),
        )

    few, many = agreement(*sides(2)), agreement(*sides(40))
    assert few.kappa == pytest.approx(many.kappa)
    for both in (few, many):
        assert both.kappa_interval.low < both.kappa < both.kappa_interval.high
    width = [x.kappa_interval.high - x.kappa_interval.low for x in (few, many)]
    assert width[1] < width[0] / 3


def test_unknown_rate_is_of_those_that_say_so() -> None:
    heard = {"utterances": 8, "unknown": 2}
    side = summarise_side("x", rows(row("1", 1, user_report=heard), row("2", 1)), {})
    assert side.unknown_rate == 0.25
    assert summarise_side("x", rows(row("1", 1)), {}).unknown_rate is None


def test_nothing_that_counts_is_no_error() -> None:
    nothing = rows(row("1", 0, end="user_error", failure="timed_out"))
    both = agreement(nothing, nothing)
    assert (both.pairs, both.agreement, both.kappa) == (0, None, None)
    assert both.differences == {}
    compare_users.show(both)


# --- the program ---------------------------------------------------------------------------------


def run(folder, *arguments):
    output = folder / "users.json"
    compare_users.main(["--output", str(output), *map(str, arguments)])
    return json.loads(output.read_text())


def llm_side(server, side="b"):
    name = f"--user-{side}"
    return [name, "llm", f"{name}-model", MODEL, f"{name}-api-base", server.url]


# Solves 12 of the 40 tasks of this split, so that there is something to agree on.
TASKS = ["--task-split", "test", "--agent", "transfer_at_once", "--concurrency", 8]


def test_the_same_customer_behind_a_protocol_agrees_in_everything(tmp_path, capsys) -> None:
    with FakeOpenAI(Simulator(load_tasks("test"))) as server:
        both = run(tmp_path, *TASKS, *llm_side(server))
        asked = len(server.requests)
        assert run(tmp_path, *TASKS, *llm_side(server)) == both
        assert len(server.requests) == asked  # the episodes are kept
    assert (both["agreement"], both["kappa"], both["same_end"]) == (1.0, 1.0, 1.0)
    assert both["solved_by"] == {"both": 12, "a only": 0, "b only": 0, "neither": 28}
    assert (both["a"]["user"], both["b"]["user"]) == ("scripted", "llm")
    assert both["a"]["unknown_rate"] is not None and both["b"]["unknown_rate"] is None
    assert both["b"]["usage"]["calls"] == asked and both["a"]["usage"] is None
    assert both["b"]["settings"]["model"] == MODEL
    assert (both["agent"], both["split"], both["seed"]) == ("transfer_at_once", "test", 0)
    text = capsys.readouterr().out
    assert "agreement 1.000 [0.91, 1.00], Cohen's kappa 1.000" in text
    assert "a: scripted" in text and "b: llm" in text


def test_another_reward_scores_the_kept_conversations(tmp_path, capsys) -> None:
    with FakeOpenAI(Simulator(load_tasks("test"))) as server:
        both = run(tmp_path, *TASKS, *llm_side(server))
        asked = len(server.requests)
        played = {r.seconds for r in read_rows(tmp_path / "users.a.episodes.jsonl")}
        other = run(tmp_path, *TASKS, *llm_side(server), "--weights", "0.1,0.1,0.8")
        assert len(server.requests) == asked
    assert other["solved_by"] == both["solved_by"]
    assert capsys.readouterr().out.count("40 episodes were scored by other code or weights") == 2
    rows = read_rows(tmp_path / "users.a.episodes.jsonl")
    assert len(rows) == 80 and {r.seconds for r in rows} == played
    assert len({r.scored_by for r in rows}) == 2
    said = list(read_transcripts(tmp_path / "users.b.transcripts.jsonl.gz"))
    assert len({one.task_id for one in said}) == 40 and said[0].messages

    # A conversation that is gone is played again.
    (tmp_path / "users.b.transcripts.jsonl.gz").unlink()
    with FakeOpenAI(Simulator(load_tasks("test"))) as server:
        assert run(tmp_path, *TASKS, *llm_side(server))["b"]["pass_at_1"] == 12 / 40
        assert len(server.requests) == asked


def test_a_customer_who_hangs_up_disagrees(tmp_path) -> None:
    with FakeOpenAI(lambda request: says("###STOP###")) as server:
        both = run(tmp_path, *TASKS, *llm_side(server))
    assert both["solved_by"] == {"both": 0, "a only": 12, "b only": 0, "neither": 28}
    assert both["agreement"] == pytest.approx(28 / 40)
    assert both["kappa"] == 0.0
    assert both["differences"]["pass_at_1"]["mean"] == pytest.approx(-12 / 40)
    assert both["differences"]["pass_at_1"]["interval"]["high"] < 0
    assert both["b"]["agent_turns"] < both["a"]["agent_turns"]


class Breaks(ScriptedUser):
    """Fails on every task with one fault of its own."""

    async def reply(self, new):
        if "airplane_mode_on" in self.name:
            raise UserFailure("timed_out", "scripted")
        return await super().reply(new)

    def __init__(self, task, **settings):
        super().__init__(task, **settings)
        self.name = task.id


def test_failures_are_counted_by_kind_and_left_out(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(users.USERS, "llm", lambda task, llm: Breaks(task))
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    side = ["--user-b", "llm", "--user-b-model", "openai/gpt-4o-mini"]
    both = run(tmp_path, *TASKS, *side, "--user-b-max-failure-share", 1)
    broken = sum("airplane_mode_on" in task.id for task in load_tasks("test"))
    assert both["b"]["failures"] == {"timed_out": broken}
    assert (both["pairs"], both["unpaired"]) == (40 - broken, broken)
    assert (both["agreement"], both["kappa"]) == (1.0, 1.0)
    (tmp_path / "users.b.episodes.jsonl").unlink()
    with pytest.raises(JobStop, match=r"user\.max_failure_share"):
        run(tmp_path, *TASKS, *side)


def test_a_checkpoint_and_two_evaluations(tmp_path, random_model) -> None:
    options = ["--checkpoint", random_model, "--backend", "cpu", "--prompt", "short"]
    options += ["--context-length", 310, "--max-new-tokens", 4]
    with FakeOpenAI(Simulator(load_tasks("extra_dev")[:4])) as server:
        both = run(tmp_path, *options, "--first", 4, *llm_side(server))
        # Episodes of other tasks that lie there count no more.
        assert run(tmp_path, *options, "--first", 2, *llm_side(server))["pairs"] == 2
        assert run(tmp_path, *options, "--first", 4, *llm_side(server)) == both
    assert both["pairs"] == 4 and both["agreement"] == 1.0
    assert both["same_end"] == 1.0
    # The two sides are evaluations like any other.
    files = [tmp_path / "users.a.json", tmp_path / "users.b.json"]
    again = run(tmp_path, "--results", *files)
    assert again.pop("results") == [str(path) for path in files]
    assert again == {key: both[key] for key in again}
    assert {r.end.value for r in read_rows(tmp_path / "users.a.episodes.jsonl")} == set(
        both["a"]["ends"]
    )
    other = json.loads(files[1].read_text())
    other["manifest"]["prompt"] = "tau2"
    files[1].write_text(json.dumps(other))
    with pytest.raises(InputError, match=r"differ in more than the user: prompt \(short and tau2"):
        run(tmp_path, "--results", *files)


def test_an_agent_a_checkpoint_or_results(tmp_path, capsys) -> None:
    with pytest.raises(SystemExit):
        run(tmp_path, "--task-split", "test")
    assert "one of the arguments --plan --agent --checkpoint --results" in capsys.readouterr().err


def test_help_shows_both_customers(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", [str(Path(compare_users.__file__))])
    with pytest.raises(SystemExit):
        compare_users.parse(["--help"])
    text = capsys.readouterr().out
    assert "--user-a-model" in text and "--user-b-budget-usd" in text


# --- a language model as the agent, and how many tasks it takes ----------------------------------


def test_a_language_model_as_the_agent(tmp_path) -> None:
    """Both sides are models behind servers; the agent's calls are paid and counted by side."""
    tasks = load_tasks("small")[:3]
    options = ("--task-split", "small", "--first", 3, "--agent", "llm")
    with FakeOpenAI(teacher_answers) as agent, FakeOpenAI(Simulator(tasks)) as user:
        model = ("--agent-model", MODEL, "--agent-api-base", agent.url)
        both = run(tmp_path, *options, *model, *llm_side(user))
        asked = len(agent.requests)
        assert run(tmp_path, *options, *model, *llm_side(user)) == both
        assert len(agent.requests) == asked  # the episodes are kept
        assert run(tmp_path, *options, *model, "--agent-temperature", 1, *llm_side(user)) != both
    assert both["solved_by"] == {"both": 3, "a only": 0, "b only": 0, "neither": 0}
    calls = [both[side]["agent_usage"]["calls"] for side in "ab"]
    assert sum(calls) == asked and calls[0] == calls[1]
    assert both["a"]["agent_usage"]["model"] == MODEL and both["a"]["usage"] is None


def test_an_agent_without_a_key_stops_before_anything(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(JobStop, match="the agent: openai/gpt-4o-mini needs OPENAI_API_KEY"):
        run(tmp_path, "--agent", "llm", "--agent-model", "openai/gpt-4o-mini")


@pytest.mark.parametrize("given", [["--agent", "llm"], ["--agent", "vague", "--agent-model", "x"]])
def test_agent_and_model_go_together(tmp_path, given, capsys) -> None:
    with pytest.raises(SystemExit):
        run(tmp_path, *given)
    assert "--agent llm and --agent-model go together" in capsys.readouterr().err


def test_the_plan_needs_nothing(capsys) -> None:
    assert compare_users.main(["--plan"]) == 0
    text = capsys.readouterr().out
    assert "  171    [0.85, 0.94]    ±0.09    ±0.047" in text


def test_the_documented_table_is_the_plan() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "language-models.md"
    found = re.findall(
        r"^\| (\d+) \(`\w+`\) \| \[(.*), (.*)\] \| ±(.*) \| ±(.*) \|$",
        page.read_text(encoding="utf-8"),
        re.M,
    )
    assert [int(row[0]) for row in found] == list(compare_users.PLANNED)
    for tasks, *figures in found:
        made = precision(int(tasks), compare_users.AGREEMENT, compare_users.PASS_AT_1)
        wanted = [made.agreement.low, made.agreement.high, made.kappa_half_width]
        wanted.append(made.difference_half_width)
        assert figures == [f"{value:.2f}" for value in wanted]


@pytest.mark.parametrize(("tasks", "rate", "solved"), [(74, 0.9, 0.5), (300, 0.8, 0.3)])
def test_precision_is_what_comparisons_scatter_by(tasks, rate, solved) -> None:
    cells = [solved - (1 - rate) / 2, (1 - rate) / 2, (1 - rate) / 2]
    tables = np.random.default_rng(0).multinomial(tasks, [*cells, 1 - sum(cells)], 4000)
    made = precision(tasks, rate, solved)
    kappas = [cohens_kappa(table) for table in tables]
    assert made.kappa_half_width == pytest.approx(1.96 * np.std(kappas), rel=0.1)
    differences = (tables[:, 2] - tables[:, 1]) / tasks
    assert made.difference_half_width == pytest.approx(1.96 * np.std(differences), rel=0.1)
    assert made.agreement == wilson(round(rate * tasks), tasks)
    assert precision(tasks, rate, 1.0).kappa_half_width is None
