"""The programs of benchmarks/ with tiny numbers: their tables, and what must hold for them."""

from __future__ import annotations

import asyncio

import environment
import evaluation
import fleet
import measure
import peers
import policies
import pytest
import tokens
from stand_in_server import Speed, bound

from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.reward.scoring import score
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.episode import run_episode
from tau2_agent.rollout.trajectory import agent_view
from tau2_agent.teachers.baselines import make_agent
from tau2_agent.users.registry import make_user

FAST = Speed(0.002, 0.0001, 64)


def columns(text: str, first: str) -> list[list[str]]:
    """The rows of the table whose first column is called so."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first} |"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return [rows[0], *rows[2:]]


@pytest.fixture(scope="module")
def setting():
    return evaluation.make_setting(["train"], 4, FAST)


# --- measuring


def test_cases_take_turns_and_a_ratio_is_taken_inside_a_round():
    order = []
    cases = {name: lambda name=name: order.append(name) or 1.0 for name in "abc"}
    assert measure.interleaved(cases, 2) == {name: [1.0, 1.0] for name in "abc"}
    assert "".join(order) == "abcbca"
    # a machine three times as slow in one round
    assert measure.ratio([4.0, 12.0, 4.1], [2.0, 6.0, 2.0]) == 2.0
    assert measure.spread([3.0, 1.0, 2.0], 1) == "2.0 (1.0–3.0)"


# --- 1: the environment


@pytest.mark.parametrize("agent", ["scripted", "transfer_at_once", "do_nothing"])
def test_tau2_gives_the_same_rewards(agent):
    """Of agents that solve tasks and of agents that do not; tau2 ends the latter at 200 steps."""
    tasks = load_tasks("test")[::13]
    ours = [
        asyncio.run(run_episode(task, make_agent(agent), make_user("scripted", task)))
        for task in tasks
    ]
    rewards = [score(trajectory, task).reward for trajectory, task in zip(ours, tasks, strict=True)]
    assert rewards == [peers.orchestrated(task, make_agent(agent)) for task in tasks]


def test_the_gym_gives_the_same_reward(monkeypatch):
    task = load_tasks("test")[0]
    # it reads the file of all tasks at each step: 20 seconds
    monkeypatch.setattr(peers.ScriptedUserGym, "_get_task", lambda self: task)
    assert peers.in_gym(task, make_agent("scripted")) == 1.0
    assert environment.in_our_loop([task]) == [1.0]


def test_unequal_rewards_are_no_result():
    with pytest.raises(environment.UnequalRewards, match=r"\[1.0, 0.0\]"):
        environment.same_rewards({"a": [1.0, 1.0], "b": [1.0, 0.0]})


def test_tables_of_the_environment():
    head, ours, theirs, runner = columns(environment.compare("test", 2, 2), "way")
    assert head[1:] == ["CPU ms an episode", "episodes/s", "× ours", "solved"]
    assert ours[3:] == ["1.0", "2 of 2"] and theirs[4] == "2 of 2" and float(theirs[3]) > 2
    assert runner[4] == "2 of 2" and float(runner[3]) > float(theirs[3])
    rows = columns(environment.flat("small", 40, points=2), "episodes")
    assert [row[0] for row in rows[1:]] == ["20", "40"]
    assert all(float(cell) > 0 for row in rows[1:] for cell in row[1:])


# --- 2: tokens


def test_tables_of_tokens():
    codec = ChatCodec(policies.tokenizer())
    text = tokens.compare(load_tasks("test")[:1], codec, 1, "tau2")
    rows = {row[0]: row for row in columns(text, "episode")[1:]}
    assert rows[tokens.STREAM][3] == rows[tokens.WHOLE][3] == "1 of 1"
    assert float(rows[tokens.WHOLE][2]) > 3 > float(rows[tokens.PLAIN][2])
    for row in columns(tokens.every_template(load_tasks("train")[:1], 2), "chat template")[1:]:
        assert row[2] == "1 of 1"


def test_a_stream_with_another_token_is_seen():
    codec = ChatCodec(policies.tokenizer())
    (played,) = policies.recorded(load_tasks("train")[:1]).values()
    talk = tokens.chat(played, "short")
    ids = codec.trace(talk, []).ids
    tokens.check_stream(ids, talk, codec, "short")
    for wrong in ([*ids[:-2], ids[-2] + 1, ids[-1]], [*ids[:40], *ids[41:]], ids[:-30]):
        with pytest.raises(tokens.UnequalStreams):
            tokens.check_stream(wrong, talk, codec, "short")


def test_recorded_turns_are_what_the_agent_said():
    codec = ChatCodec(policies.tokenizer())
    (played,) = policies.recorded(load_tasks("train")[:1]).values()
    said = [m for m in agent_view(played.messages)[1:] if m.role == "assistant"]
    read = [codec.parse(ids, first_call=0) for ids in policies.answers(played, codec)]
    assert [(m.content, [c.name for c in m.tool_calls or []]) for m in read] == [
        (m.content, [c.name for c in m.tool_calls or []]) for m in said
    ]


# --- 3: evaluation


def test_the_bound():
    speed = Speed(request_s=1.0, token_s=0.1, slots=3)
    short, long = [[0] * 10], [[0] * 10, [0] * 20]  # 2 s; 2 s and 3 s
    assert bound(speed, [short], 8) == pytest.approx(2.0)
    assert bound(speed, [short, long], 8) == pytest.approx(5.0)  # the longest
    assert bound(speed, [short] * 9, 8) == pytest.approx(6.0)  # 18 s in three slots
    assert bound(speed, [short] * 9, 2) == pytest.approx(9.0)  # two at once


def test_shares_of_values():
    values = [float(i) for i in range(1001)]
    assert [evaluation.at_most(values, share) for share in (0.5, 0.99, 1)] == [500, 990, 1000]


def test_no_evaluation_beats_the_bound_and_capacity_is_kept(setting):
    slow = Speed(0.01, 0.0005, slots=2)
    run = setting.ours(4, 4, slow)
    episodes = [setting.turns[task.id] for task in setting.tasks]
    assert run.solved == run.episodes == 4
    assert run.turns == sum(map(len, episodes))
    assert run.tokens == sum(len(ids) for turns in episodes for ids in turns)
    assert run.wall >= bound(slow, episodes, 4)
    assert len(run.lags) == len(run.pieces) > 20 and sum(run.pieces) <= run.cpu


def test_tables_of_an_evaluation(setting):
    text = evaluation.against_tau2(setting, [(2, 2), (4, 4)], gym=0, rounds=1)
    rows = columns(text, "tasks")[1:]
    assert [row[:2] for row in rows] == [
        ["2", evaluation.OURS],
        ["4", evaluation.OURS],
        ["2", evaluation.ORCHESTRATOR],
        ["4", evaluation.ORCHESTRATOR],
        ["2", f"{evaluation.ORCHESTRATOR}, threads"],
    ]
    head, one, four = columns(evaluation.sweep(setting, [1, 4], least=2), "at once")
    assert (one[:2], four[:2]) == (["1", "2"], ["4", "4"]) and "lag ms, 99 %" in head
    (_, row) = columns(evaluation.ceiling(setting, 4), "at once")
    assert all(float(cell) > 0 for cell in row)


def test_an_episode_that_is_not_solved_is_no_measurement(setting):
    task = setting.tasks[0]
    broken = {**setting.turns, task.id: setting.turns[task.id][:1]}  # says one thing for ever
    with pytest.raises(evaluation.PipelineError, match="0 of 1 solved"):
        evaluation.Setting(setting.tasks, broken, setting.codec, FAST).ours(1, 1)


# --- 6: the fleet


def test_cores_of_a_fleet():
    # 8 GPUs × 1000 tokens/s / 100 tokens a turn = 80 turns/s, of 5 ms: 0.4 of a core
    assert fleet.cores(8, 1000, 0.005, 100, full=0.7) == 1
    assert fleet.cores(64, 1000, 0.005, 100, full=0.7) == 5  # 3.2 / 0.7
    assert fleet.cores(64, 1000, 0.005, 100, full=1.0) == 4
    assert fleet.cores(512, 2000, 0.005, 100, full=0.5) == 103


def test_a_server_of_so_many_tokens_a_second():
    speed = fleet.speed_of(6400, at_once=64, turn_tokens=20, request_s=0.05)
    assert speed.slots / speed.turn(20) * 20 == pytest.approx(6400)
    with pytest.raises(ValueError, match="cannot give"):
        fleet.speed_of(1e6, at_once=64, turn_tokens=20, request_s=0.05)


def test_tables_of_the_fleet(setting):
    rows = columns(fleet.on_paper(0.005, [100], [1000.0]), "tokens a turn")
    assert rows[1] == ["100", "1,000", "1", "5", "37"]
    text = fleet.simulated(setting, 4, 0.001, [0.2])
    (row,) = columns(text, "tokens/s of the server")[1:]
    assert row[2].endswith("%") and row[3].endswith("%")
