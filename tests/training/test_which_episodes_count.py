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
from tau2_agent.training.groups import Group
from tau2_agent.users.registry import Users

TASKS = [task.id for task in load_tasks("small")[:2]]
FLAGS = ["--model", "m", "--tasks", "t", "--output", "o", "--prompt", "short"]
FLAGS += ["--prompts-per-rollout", "2", "--samples-per-prompt", "3", "--no-dynamic-sampling"]


@pytest.fixture
def rollouts(monkeypatch, tmp_path, tokenizer):
    """Rollouts whose episodes end as `ends` says: session -> end; and are worth `worth`.

    silent: sessions in which the policy says nothing. policies, opened, weighed, kept: what the
    policies were made of, which ledgers of the user's calls were opened, what an episode was scored
    with, which samples a rollout gave to keep.
    """
    from tau2_agent.training import trl_rollouts

    opened = []
    monkeypatch.setattr(Users, "open", lambda self, *place: opened.append(place))
    made = trl_rollouts.Rollouts(
        train_grpo_trl.parse([*FLAGS, "--keep-episodes", "0"]),
        ChatCodec(tokenizer),
        tmp_path,
        Progress("grpo", 9, 0, "rollouts", says=False),
        TASKS,
    )
    made.ends, made.worth, made.played, made.silent = {}, {}, [], set()
    made.opened, made.policies, made.weighed, made.kept = opened, [], [], []
    made.tokenizer_of_samples = made.samples.tokenizer
    made.samples = SimpleNamespace(keep=lambda *kept: made.kept.append(kept))

    async def play(task, policy, codec, settings, session, sample, **_):
        made.played.append(session)
        record = TokenRecord()
        record.append_context([1, 2])
        record.prompt_length = 2
        if session not in made.silent:
            record.append_sampled(Turn([3, 4], [-1.0, -2.0], "stop"))
        end = made.ends.get(session, EndReason.USER_STOP)
        trajectory = Trajectory(task.id, [], end, tokens=record)
        trajectory.sample = sample
        trajectory.failure = "timed_out" if end is EndReason.USER_ERROR else ""
        return trajectory

    def score(trajectory, task, weights):
        made.weighed.append(weights)
        reward = made.worth.get(trajectory.sample, 0.0)
        return Score(reward, 0.0, {"reward": reward})

    monkeypatch.setattr(trl_rollouts, "play", play)
    monkeypatch.setattr(trl_rollouts, "score", score)
    make = trl_rollouts.LocalPolicy

    def policy(*told, **more):
        made.policies.append((told, more))
        return make(*told, **more)

    monkeypatch.setattr(trl_rollouts, "LocalPolicy", policy)
    return made


def play(rollouts, step=0):
    import torch

    trainer = SimpleNamespace(state=SimpleNamespace(global_step=step), model=torch.nn.Linear(1, 1))
    rollouts.model = trainer.model
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


def test_a_rollout_is_played_with_the_models_policy_and_the_trainings_settings(
    rollouts, tmp_path, tokenizer
) -> None:
    rollouts.args.seed, rollouts.weights = 17, (0.1, 0.2, 0.7)
    rollouts.worth = {"3/0": 1.0}
    columns = play(rollouts, step=3)
    stop_ids = rollouts.codec.stop_ids
    assert rollouts.policies == [((rollouts.model, stop_ids), {"seed": 17})]
    assert rollouts.opened == [(tmp_path / "user_calls.jsonl",)]
    assert rollouts.weighed == [(0.1, 0.2, 0.7)] * 6
    assert rollouts.tokenizer_of_samples is tokenizer
    ((step, samples),) = rollouts.kept
    assert step == 3 and [one.shaped for one in samples] == columns["shaped"]
    # TRL gives each column to the functions of that name in train_grpo_trl.py
    assert columns["official"] == [1.0, *[0.0] * 5] and columns["partial"] == [0.0] * 6
    tokens = {"prompt_ids", "completion_ids", "logprobs", "env_mask"}
    assert set(columns) == tokens | {"shaped", "official", "partial"}


def test_an_episode_in_which_the_policy_says_nothing_trains_nothing(rollouts) -> None:
    """Its first prompt was too long: no token of it is the policy's."""
    rollouts.ends, rollouts.silent = {"0/0/0": EndReason.CONTEXT_LENGTH}, {"0/0/0"}
    columns = play(rollouts)
    stop = rollouts.codec.stop_id
    names = ("prompt_ids", "completion_ids", "logprobs", "env_mask", "shaped", "official")
    assert [columns[name][0] for name in names] == [[stop], [stop], [0.0], [0], None, None]
    assert columns["shaped"][1:] == [0.0] * 5 and len(rollouts.played) == 6


def test_a_dropped_group_is_in_the_rows_and_in_the_line(rollouts, tmp_path, capsys) -> None:
    rollouts.worth = {"3/0": 1.0}
    rollouts.ends = {"3/1/0": EndReason.MAX_STEPS}
    names = (["3/0", "3/1"], ["3/2", "3/2"])
    played = [
        [asyncio.run(rollouts._play(task_id, name, None)) for name in of_group]
        for task_id, of_group in zip(TASKS, names, strict=True)
    ]
    groups = [Group(number, TASKS[number], episodes) for number, episodes in enumerate(played)]
    groups[1].dropped = "all_failed"
    rollouts._record(groups, 3, 12.34)
    rows = [json.loads(line) for line in (tmp_path / "rollouts.jsonl").read_text().splitlines()]
    assert [row.get("dropped") for row in rows] == [None, None, "all_failed", "all_failed"]
    assert ["dropped" in row for row in rows] == [False, False, True, True]
    assert [(row["group"], row["tokens"]) for row in rows] == [(0, 4), (0, 4), (1, 4), (1, 4)]
    said = capsys.readouterr().out
    assert "dropped {'all_failed': 1}  tokens 4 " in said
    assert "ends {'user_stop': 1, 'max_steps': 1}  12.3 s" in said


def test_seconds_are_those_of_the_episodes(rollouts, capsys, monkeypatch) -> None:
    from tau2_agent.training import trl_rollouts

    clock = iter([100.0, 112.34])
    monkeypatch.setattr(trl_rollouts, "time", SimpleNamespace(time=lambda: next(clock)))
    rollouts.worth = {"0/0": 1.0}
    play(rollouts)
    assert " 12.3 s" in capsys.readouterr().out


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
