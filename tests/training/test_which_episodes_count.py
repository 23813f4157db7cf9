"""The CPU's rollouts: which episodes are played again, dropped or trained on, and what is said."""

from __future__ import annotations

import asyncio
import json
import math
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

import train_grpo_slime
import train_grpo_trl
from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.records.progress import Progress
from tau2_agent.reward.scoring import Score
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.trajectory import EndReason, JobStop, TokenRecord, Trajectory, Turn

TASKS = [task.id for task in load_tasks("small")[:2]]
FLAGS = ["--model", "m", "--tasks", "t", "--output", "o", "--prompt", "short"]
FLAGS += ["--prompts-per-rollout", "2", "--samples-per-prompt", "3", "--no-dynamic-sampling"]


@pytest.fixture
def rollouts(monkeypatch, tmp_path, tokenizer):
    """Rollouts whose episodes end as `ends` says: session -> end; and are worth `worth`."""
    from tau2_agent.training import trl_rollouts

    made = trl_rollouts.Rollouts(
        train_grpo_trl.parse([*FLAGS, "--keep-episodes", "0"]),
        ChatCodec(tokenizer),
        tmp_path,
        Progress("grpo", 9, 0, "rollouts", says=False),
        TASKS,
    )
    made.ends, made.worth, made.played = {}, {}, []

    async def play(task, policy, codec, settings, session, sample, **_):
        made.played.append(session)
        record = TokenRecord()
        record.append_context([1, 2])
        record.prompt_length = 2
        record.append_sampled(Turn([3, 4], [-1.0, -2.0], "stop"))
        end = made.ends.get(session, EndReason.USER_STOP)
        trajectory = Trajectory(task.id, [], end, tokens=record)
        trajectory.sample = sample
        trajectory.failure = "timed_out" if end is EndReason.USER_ERROR else ""
        return trajectory

    def score(trajectory, task, weights):
        reward = made.worth.get(trajectory.sample, 0.0)
        return Score(reward, 0.0, {"reward": reward})

    monkeypatch.setattr(trl_rollouts, "play", play)
    monkeypatch.setattr(trl_rollouts, "score", score)
    return made


def play(rollouts, step=0):
    import torch

    trainer = SimpleNamespace(state=SimpleNamespace(global_step=step), model=torch.nn.Linear(1, 1))
    return rollouts([task_id for task_id in TASKS for _ in range(3)], trainer)


MACHINE = [EndReason.TIMEOUT, EndReason.POLICY_ERROR, EndReason.USER_ERROR]


@pytest.mark.parametrize("end", MACHINE)
def test_what_the_machine_ended_is_played_again_once_then_dropped(rollouts, end, tmp_path) -> None:
    rollouts.worth = {"0/0": 1.0, "0/1": 1.0, "0/3": 1.0}
    rollouts.ends = {"0/0/0": end, "0/1/0": end, "0/1/1": end}  # the first once, the second twice
    columns = play(rollouts)
    again = [session for session in rollouts.played if not session.endswith("/0")]
    assert again == ["0/0/1", "0/1/1"]
    assert columns["shaped"] == [1.0, None, 0.0, 1.0, 0.0, 0.0]
    assert [sum(mask) for mask in columns["env_mask"]] == [2, 0, 2, 2, 2, 2]
    # the group's mean and deviation are those of the two that were scored
    half = 0.5 / (math.sqrt(0.5) + 1e-6)
    third = 1 / 3 / (math.sqrt(1 / 3) + 1e-6)
    wanted = [half, 0.0, -half, 2 * third, -third, -third]
    assert rollouts.advantages == pytest.approx(wanted)
    rows = [json.loads(line) for line in (tmp_path / "rollouts.jsonl").read_text().splitlines()]
    assert [row["end"] for row in rows] == ["user_stop", end.value, *["user_stop"] * 4]
    assert [row["reward"] for row in rows] == [1.0, None, 0.0, 1.0, 0.0, 0.0]
    told = {"step", "group", "task_id", "end", "turns", "reward", "partial", "shaped", "tokens"}
    loops = {"repeated_calls", "repeated_turns", "longest_loop", "cut_turns"}
    assert set(rows[0]) == told | loops | {"penalty"}
    assert set(rows[1]) - {"failure"} == told


AGENTS = [EndReason.CONTEXT_LENGTH, EndReason.MAX_STEPS, EndReason.TOO_MANY_ERRORS]


@pytest.mark.parametrize("end", [*AGENTS, EndReason.AGENT_ERROR, EndReason.REPEAT_LIMIT])
def test_what_the_agent_ended_counts(rollouts, end) -> None:
    rollouts.worth = {"0/0": 1.0}
    rollouts.ends = {"0/1/0": end}
    columns = play(rollouts)
    assert len(rollouts.played) == 6
    assert columns["shaped"][:3] == [1.0, 0.0, 0.0] and sum(columns["env_mask"][1]) == 2
    assert rollouts.advantages[1] == rollouts.advantages[2] < 0


def test_a_rollout_that_trains_nothing_says_so_and_many_end_the_stage(rollouts, capsys) -> None:
    rollouts.worth = {"0/0": 1.0}
    play(rollouts)
    assert "nothing" not in capsys.readouterr().out
    said = "groups with a spread 0/2  trains nothing: no group has a spread (1 in a row)  tokens"
    play(rollouts, step=1)
    assert said in capsys.readouterr().out
    with pytest.raises(JobStop, match=r"nothing was trained in the last 20 rollouts.*reward.alpha"):
        for step in range(2, 30):
            play(rollouts, step)
    rollouts.worth = {f"30/{number}": 1.0 for number in range(6)}
    play(rollouts, step=30)
    assert "nothing to learn: every episode is solved" in capsys.readouterr().out


def test_a_lost_episode_has_no_length_and_says_why(rollouts) -> None:
    rollouts.ends = {f"0/0/{attempt}": EndReason.TIMEOUT for attempt in (0, 1)}
    lost = asyncio.run(rollouts._play(TASKS[0], "0/0", None))
    assert (lost.reward, lost.shaped, lost.tokens, lost.turns) == (None, None, 0, 0)
    assert lost.failure == "timeout: " and lost.made["sample"].task.id == TASKS[0]


def test_why_the_user_failed_is_said(rollouts, capsys) -> None:
    play(rollouts)
    assert "failures of the user" not in capsys.readouterr().out
    rollouts.ends = {f"1/0/{attempt}": EndReason.USER_ERROR for attempt in (0, 1)}
    play(rollouts, step=1)
    assert "failures of the user {'timed_out': 1}  " in capsys.readouterr().out


def test_failures_of_the_user_are_counted_over_four_rollouts(rollouts) -> None:
    assert rollouts.settings.users.failures.window == 4 * 6


def test_progress_is_the_rollouts_that_are_over(rollouts) -> None:
    rollouts.worth = {"4/0": 1.0}
    play(rollouts, step=4)
    assert rollouts.progress.done == 5
    assert rollouts.progress.values == {"reward": 0.1667}


def test_the_clocks_are_those_of_the_docs() -> None:
    from tau2_agent.evaluation import model_evaluation
    from tau2_agent.training import trl_rollouts

    text = (Path(__file__).parents[2] / "docs" / "objective.md").read_text(encoding="utf-8")
    said = r"clock \((\d+) s on the CPU, (\d+) s with\sslime, (\d+) s in an evaluation\)"
    players = (trl_rollouts, train_grpo_slime, model_evaluation)
    clocks = [float(seconds) for seconds in re.search(said, text).groups()]
    assert clocks == [player.EPISODE_TIMEOUT_S for player in players]
