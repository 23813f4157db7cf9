"""When a GRPO run goes on and when it is another one, on both backends."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest
from replays import Plays

import generate_with_tau
import train_grpo_slime
import train_grpo_trl
from tau2_agent.benchmark.tasks import load_tasks, split_ids
from tau2_agent.records.progress import Progress
from tau2_agent.rollout.episode import run_episode
from tau2_agent.rollout.trajectory import EndReason, TokenRecord, Turn
from tau2_agent.training import trl_rollouts
from tau2_agent.training.groups import Episode, Group

PROGRAMS = {
    "cpu": (train_grpo_trl, ["--model", "m", "--tasks", "t", "--output", "o"]),
    "slime": (train_grpo_slime, ["--model", "m", "--sft", "s", "--tasks", "t", "--output", "o"]),
}


@pytest.fixture(params=PROGRAMS)
def fingerprint_fields(request):
    program, files = PROGRAMS[request.param]
    return lambda *flags: program.fingerprint_fields(program.parse([*files, *flags]))


def test_more_rollouts_continue_a_run_of_constant_learning_rate(fingerprint_fields) -> None:
    flags = ("--lr-schedule", "constant", "--rollouts")
    assert fingerprint_fields(*flags, "5") == fingerprint_fields(*flags, "9")


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_more_rollouts_are_another_run_where_the_rate_ends_with_them(
    fingerprint_fields, schedule
) -> None:
    flags = ("--lr-schedule", schedule, "--rollouts")
    assert fingerprint_fields(*flags, "5") != fingerprint_fields(*flags, "9")
    assert fingerprint_fields(*flags, "5") == fingerprint_fields(*flags, "5")
    constant = fingerprint_fields("--lr-schedule", "constant", "--rollouts", "5")
    assert fingerprint_fields(*flags, "5") != constant


@pytest.mark.parametrize("flags", [("--save-rollouts", "3"), ("--keep-checkpoints", "1")])
def test_how_much_is_kept_decides_nothing(fingerprint_fields, flags) -> None:
    assert fingerprint_fields(*flags) == fingerprint_fields()


LOOPS = ("--repeat-limit", "4", "--repeat-penalty", "0.03")
OFF = ("--repeat-limit", "0", "--repeat-penalty", "0")


@pytest.mark.parametrize("flags", [LOOPS[:2], LOOPS[2:]])
def test_what_is_done_about_loops_decides_the_weights(fingerprint_fields, flags) -> None:
    assert fingerprint_fields(*flags) != fingerprint_fields() == fingerprint_fields(*OFF)


def test_what_is_done_about_loops_reaches_slimes_hooks() -> None:
    program, files = PROGRAMS["slime"]
    settings = program.hook_settings(program.parse([*files, *LOOPS]), Path("/s"))
    args = SimpleNamespace(**settings | {"tau2_user_calls": None})
    sampling = {"temperature": 1.0, "max_new_tokens": 100}
    assert generate_with_tau.episode_settings(args, sampling).limits.repeat_limit == 4
    assert args.tau2_repeat_penalty == 0.03  # tests of the hooks show what it does


def rollouts(tmp_path, *flags) -> trl_rollouts.Rollouts:
    """TRL's rollout function, without a model."""
    program, files = PROGRAMS["cpu"]
    args = program.parse([*files, *flags])
    codec = SimpleNamespace(tokenizer=None, stop_id=0)
    return trl_rollouts.Rollouts(args, codec, tmp_path, Progress("x", 1), split_ids("train"))


def test_what_is_done_about_loops_reaches_trl(tmp_path, monkeypatch) -> None:
    """An episode that goes round ends, is scored as one without an end, and loses the penalty."""
    look = ("get_details_by_id", {"id": "L1002"})
    task = load_tasks("test")[0]

    async def play(task, policy, codec, settings, session, sample):
        agent = Plays([look] * 4)
        agent.tokens = TokenRecord()
        agent.tokens.append_sampled(Turn([1], [0.0], "length"))
        user = settings.users.make(task, sample)
        return await run_episode(task, agent, user, limits=settings.limits)

    monkeypatch.setattr(trl_rollouts, "play", play)
    made = rollouts(tmp_path, *LOOPS)
    episode = asyncio.run(made._play(task.id, "0/0", None))
    row = episode.made
    assert (row["end"], row["reward"]) == (EndReason.REPEAT_LIMIT, 0.0)
    assert row["shaped"] == pytest.approx(0.5 * row["partial"] - (3 + 1) * 0.03)
    assert (row["repeated_turns"], row["longest_loop"], row["cut_turns"]) == (3, 4, 1)
    free = asyncio.run(rollouts(tmp_path)._play(task.id, "0/0", None)).made
    assert free["end"] != EndReason.REPEAT_LIMIT
    assert free["shaped"] == free["reward"] + 0.5 * free["partial"]
    made._record([Group(0, task.id, [episode, episode])], 0, 1.0)
    lines = (tmp_path / "rollouts.jsonl").read_text().splitlines()
    assert len(lines) == 2 and '"longest_loop": 4' in lines[0]


def test_trl_plays_the_tasks_that_its_rows_speak_for(tmp_path, monkeypatch) -> None:
    """Groups without a spread are replaced; what is recorded of all decides the next tasks."""
    rule = {}

    async def play(self, task_id, name, policy):
        reward = float(rule["solved"](task_id, int(name.split("/")[1])))
        made = {"task_id": task_id, "end": "user_stop", "reward": reward, "partial": 0.0}
        made |= {"shaped": reward, "tokens": TokenRecord(), "sample": None}
        return Episode(made, reward, reward, 10, 2)

    monkeypatch.setattr(trl_rollouts.Rollouts, "_play", play)
    flags = ["--samples-per-prompt", "2", "--prompts-per-rollout", "4", "--keep-episodes", "0"]
    flags += ["--curriculum", "success_rate", "--max-resampled-groups", "3"]

    def rollout_of(solved, dynamic, count):
        rule["solved"] = solved
        (tmp_path / "rollouts.jsonl").unlink(missing_ok=True)
        made = rollouts(tmp_path, *flags, dynamic)
        for step in range(count):
            groups = asyncio.run(made._play_groups(None, step))
            made._record(groups, step, 1.0)
        return [group.task_id for group in groups]

    assert len(rollout_of(lambda task, number: number % 2, "--dynamic-sampling", 1)) == 4
    assert len(rollout_of(lambda task, number: True, "--dynamic-sampling", 1)) == 4 + 3
    assert len(rollout_of(lambda task, number: True, "--no-dynamic-sampling", 1)) == 4
    faults = ("bad_vpn", "data_mode_off")
    first, second = (
        rollout_of(lambda task, number, fault=fault: fault in task, "--no-dynamic-sampling", 6)
        for fault in faults
    )
    assert first != second
