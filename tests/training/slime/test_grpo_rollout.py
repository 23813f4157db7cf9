"""A rollout of GRPO under slime: its groups, its rows, its line; and what a resume goes on with.

With SLIME_HOME set, slime's own rollout code plays the groups (Ray and its router are empty
modules), else the stand-in.
"""

import asyncio
import json
import logging
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from fake_sglang import FakeSGLang

from tau2_agent.benchmark.tasks import split_ids
from tau2_agent.records.counters import LOOPS
from tau2_agent.rollout.trajectory import EndReason, JobStop
from tau2_agent.training import objective
from tau2_agent.training.groups import Episode
from tau2_agent.training.slime import grpo_rollout, records
from tau2_agent.training.slime.log import JobLog, Start, drop_rows_from
from tau2_agent.training.slime.router import rollout_state

STAND_IN = Path(__file__).parents[2] / "slime_stand_in"
TASKS = split_ids("train")
SIZE = 2


@pytest.fixture(scope="module")
def slime():
    borrowed = ("slime", "ray", "sglang_router")
    path, before = list(sys.path), _modules(borrowed)
    if "SLIME_HOME" in os.environ:
        for name in borrowed[1:]:
            sys.modules[name] = ModuleType(name)
        places = SimpleNamespace(get_node_ip_address=lambda: "127.0.0.1")
        sys.modules["ray"]._private = SimpleNamespace(services=places)
    sys.path.insert(0, os.environ.get("SLIME_HOME", str(STAND_IN)))
    from slime.rollout import sglang_rollout

    assert os.environ.get("SLIME_HOME", str(STAND_IN)) in sglang_rollout.__file__
    yield sglang_rollout
    for name in _modules(borrowed):
        del sys.modules[name]
    sys.modules.update(before)
    sys.path[:] = path


def _modules(packages):
    return {k: v for k, v in sys.modules.items() if k.split(".")[0] in packages}


@pytest.fixture
def play(slime, random_model, tmp_path):
    """Plays a rollout whose groups have scripted rewards and seconds."""
    tasks = tmp_path / "tasks.jsonl"
    rows = [{"index": i, "metadata": {"task_id": task}} for i, task in enumerate(TASKS)]
    tasks.write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    with FakeSGLang([[1]]) as router:
        router.info = {"workers": []}
        args = SimpleNamespace(
            hf_checkpoint=str(random_model),
            sglang_router_ip="127.0.0.1",
            sglang_router_port=router.port,
            sglang_server_concurrency=64,
            sglang_dp_size=1,
            rollout_num_engines=1,
            rollout_temperature=1.0,
            rollout_top_p=1.0,
            rollout_top_k=-1,
            rollout_max_response_len=1000,
            rollout_stop=None,
            rollout_stop_token_ids=None,
            rollout_skip_special_tokens=False,
            rollout_batch_size=2,
            n_samples_per_prompt=SIZE,
            rollout_seed=3,
            use_distributed_post=False,
            partial_rollout=False,
            group_rm=False,
            custom_generate_function_path=f"{__name__}.scripted",
            tau2_tasks_path=str(tasks),
            tau2_rollouts_path=str(tmp_path / "rollouts.jsonl"),
        )
        if "SLIME_HOME" in os.environ:
            from slime.utils import http_utils

            http_utils.init_http_client(args)

        def rollout(number, script, **more):
            told = SimpleNamespace(**vars(args), **more)
            told.script = {
                **dict(enumerate(script)),
                "first": number * grpo_rollout.plan(told).most,
            }
            slime.GenerateState(told).args = told
            return grpo_rollout.generate_rollout(told, number, None)

        rollout.args = args
        yield rollout


async def scripted(args, sample, sampling_params, evaluation=False):
    """Take (rewards, seconds) of a group from the script; a reward of None is a lost episode."""
    import generate_with_tau

    assert not evaluation  # else slime would take other parameters for it
    number = sample.group_index - args.script["first"]
    rewards, seconds = args.script.get(number, ((0.0, 1.0), 0))
    for _ in range(int(seconds / 0.01)):
        if rollout_state(args).aborted:
            return generate_with_tau.give_up(args, sample, EndReason.POLICY_ERROR, "not needed")
        await asyncio.sleep(0.01)
    reward = rewards[sample.index % SIZE]
    if isinstance(reward, Exception):
        raise reward
    if reward is None:
        return generate_with_tau.give_up(args, sample, EndReason.POLICY_ERROR, "no route")
    sample.tokens = [1] * (100 + int(1000 * seconds))
    sample.response_length, sample.loss_mask, sample.rollout_log_probs = 2, [1, 1], [0.0, 0.0]
    sample.reward = {"reward": reward, "partial": 0.0, "shaped": reward}
    sample.status = type(sample).Status.COMPLETED
    sample.metadata |= {"end": "user_stop", "agent_turns": 3, "steps": 9} | dict.fromkeys(LOOPS, 0)
    return sample


def test_samples_of_a_group_are_numbered_and_name_their_task(play):
    samples = grpo_rollout.new_samples(play.args, 3, "a task")
    told = [(one.group_index, one.index, one.prompt, one.metadata) for one in samples]
    assert told == [
        (3, 3 * SIZE + number, "a task", {"task_id": "a task"}) for number in range(SIZE)
    ]


@pytest.mark.parametrize("status", ["COMPLETED", "TRUNCATED"])
def test_an_episode_that_was_cut_counts_as_any(play, status):
    (sample, _) = grpo_rollout.new_samples(play.args, 0, "a task")
    sample.status = getattr(type(sample).Status, status)
    sample.tokens, sample.reward = [1] * 7, {"reward": 0.0, "shaped": 0.25}
    sample.metadata["agent_turns"] = 3
    assert grpo_rollout.as_episode(sample) == Episode(sample, 0.0, 0.25, 7, 3)


@pytest.mark.parametrize("status", ["ABORTED", "PENDING", "FAILED"])
def test_a_lost_episode_has_no_reward_no_length_and_a_reason(play, status):
    (sample, _) = grpo_rollout.new_samples(play.args, 0, "a task")
    sample.status = getattr(type(sample).Status, status)
    sample.tokens, sample.reward = [0, 0], {"reward": 0.0, "shaped": 0.0}
    sample.metadata |= {"end": "timeout", "detail": "no end", "agent_turns": 3}
    assert grpo_rollout.as_episode(sample) == Episode(sample, None, None, 0, 0, "timeout: no end")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, ("none", "proportional")),
        (
            {"tau2_curriculum": "success_rate", "tau2_issues": "balanced"},
            ("success_rate", "balanced"),
        ),
    ],
)
def test_tasks_are_chosen_as_slime_was_told(play, monkeypatch, told, expected):
    """The seed is slime's; without it, and without a word on tasks, what the defaults are."""
    chosen = []
    choose = grpo_rollout._choice
    monkeypatch.setattr(grpo_rollout, "_choice", lambda *told: chosen.append(told) or choose(*told))
    play(0, [SPREAD, SPREAD], **told)
    del play.args.rollout_seed
    play(1, [SPREAD, SPREAD], **told)
    assert chosen == [(play.args.tau2_tasks_path, 2, seed, *expected) for seed in (3, 0)]


def test_slimes_own_functions_are_told_of_this_rollout(play, slime, monkeypatch):
    aborted, abort = [], slime.abort

    async def of_abort(args, rollout_id):
        aborted.append((args.tau2_rollouts_path, rollout_id))
        return await abort(args, rollout_id)

    async def of_evaluation(args, rollout_id):
        return (args.tau2_rollouts_path, rollout_id), []

    for name, put in (("abort", of_abort), ("eval_rollout", of_evaluation)):
        monkeypatch.setattr(slime, name, put)
    more = {"tau2_resampled_groups": 1, "tau2_over_sampling_groups": 1}
    play(4, [SPREAD, SPREAD, LONG], **more)
    path = play.args.tau2_rollouts_path
    assert aborted == [(path, 4)]
    assert grpo_rollout.generate_rollout(play.args, 7, None, evaluation=True) == (path, 7)


def rows(play):
    return [
        json.loads(line) for line in Path(play.args.tau2_rollouts_path).read_text().splitlines()
    ]


def line(caplog):
    """The rollout's line, as the job's reader takes it from the log."""
    log = JobLog(Start("/sft"))
    for message in caplog.messages:
        log.feed(f"(RolloutManager pid=1) {message}")
    return log.last["tau2"]


SOLVED, FAILED, SPREAD, LOST = ((1.0, 1.0), 0), ((0.0, 0.0), 0), ((0.0, 1.0), 0), ((None, None), 0)


def test_dropped_groups_are_replaced_recorded_and_counted(play, caplog):
    caplog.set_level(logging.INFO)
    output = play(0, [SOLVED, SPREAD, FAILED, LOST, SPREAD], tau2_resampled_groups=4)
    assert [[sample.group_index for sample in group] for group in output.samples] == [
        [1, 1],
        [4, 4],
    ]
    assert [row["dropped"] for row in rows(play)] == [
        *["all_solved"] * 2,
        *[None] * 2,
        *["all_failed"] * 2,
        *["not_finished"] * 2,
        *[None] * 2,
    ]
    told = line(caplog)
    assert told["dropped"] == {"all_solved": 1, "all_failed": 1, "not_finished": 1}
    assert (told["groups"], told["played_groups"], told["dropped_groups"]) == (2, 5, 3)
    assert told["episodes"] == 4 and told["reward"] == 0.5
    assert output.metrics["rollout/dropped/all_solved"] == 1


def test_without_dynamic_sampling_nothing_is_dropped(play, caplog):
    caplog.set_level(logging.INFO)
    output = play(0, [SOLVED, FAILED])
    assert [group[0].group_index for group in output.samples] == [0, 1]
    assert line(caplog)["groups_without_spread"] == 2


def test_indices_are_those_of_the_rollout_and_none_comes_twice(play):
    seen = []
    for number in range(3):
        for group in play(number, [], tau2_resampled_groups=3).samples:
            seen += [(sample.group_index, sample.index) for sample in group]
            assert len({sample.metadata["task_id"] for sample in group}) == 1
    assert len(set(seen)) == len(seen) == 12
    again = play(2, [], tau2_resampled_groups=3).samples
    assert [(s.group_index, s.index) for group in again for s in group] == seen[-4:]


LONG = ((0.0, 1.0), 0.4)


def test_a_long_group_keeps_its_place_in_the_order_drawn(play, caplog):
    caplog.set_level(logging.INFO)
    more = {"tau2_resampled_groups": 2, "tau2_over_sampling_groups": 2}
    output = play(0, [LONG, SPREAD, SPREAD, SPREAD], **more)
    assert [group[0].group_index for group in output.samples] == [0, 1]
    assert line(caplog)["dropped"] == {"surplus": 2}
    output = play(1, [LONG, SPREAD, SPREAD, SPREAD], **more, tau2_group_order="finished")
    numbers = [group[0].group_index - 4 for group in output.samples]
    assert len(numbers) == 2 and 0 not in numbers
    assert line(caplog)["tokens"] == 100
    assert not rollout_state(play.args).aborted  # the next rollout is played


def test_the_line_shows_the_length_bias(play, caplog):
    caplog.set_level(logging.INFO)
    more = {"tau2_resampled_groups": 2, "tau2_over_sampling_groups": 1}
    slow = ((0.0, 1.0), 0.2)
    play(0, [SPREAD, slow, ((1.0, 1.0), 0.1)], **more)
    told = line(caplog)
    assert (told["tokens"], told["tokens_played"]) == (200, 200)
    assert 0.2 <= told["seconds"] < 60
    play(1, [LONG, SPREAD, slow], **more, tau2_group_order="finished")
    told = line(caplog)
    assert told["tokens"] == 200 and told["tokens_played"] == 200  # the long one was cut short
    cut = [row for row in rows(play) if row["dropped"] == "surplus"]
    assert [row["status"] for row in cut] == ["aborted"] * 2


def test_tasks_are_those_of_the_rows_before_also_after_a_resume(play):
    """A training, and one that lost its last rollouts and plays them again: the same tasks."""
    more = {"tau2_resampled_groups": 3, "tau2_curriculum": "success_rate"}
    script = [SOLVED, SPREAD, FAILED]
    for number in range(4):
        play(number, script, **more)
    whole = rows(play)
    drop_rows_from(Path(play.args.tau2_rollouts_path), 2)
    grpo_rollout._choice.cache_clear()
    for number in (2, 3):
        play(number, script, **more)
    assert rows(play) == whole


def test_what_was_played_decides_what_is_played_next(play):
    drawn = []
    for script in ([SPREAD, SPREAD], [SOLVED, FAILED]):
        drop_rows_from(Path(play.args.tau2_rollouts_path), 0)
        for number in range(6):
            play(number, script, tau2_curriculum="success_rate")
        drawn.append([row["task_id"] for row in rows(play)])
    assert drawn[0][: 2 * SIZE] == drawn[1][: 2 * SIZE]
    assert drawn[0] != drawn[1]


def test_a_dead_server_ends_the_rollout_and_the_log_says_why(play, caplog):
    with pytest.raises(JobStop, match="policy_error: no route"):
        play(0, [LOST] * 9, tau2_resampled_groups=7)
    assert any(m.startswith("tau2 stops: no episode") for m in caplog.messages)
    assert play(0, []).samples  # nothing of it is left


def test_rollouts_that_train_nothing_say_so_and_end_the_job(play, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(grpo_rollout, "_flat", objective.FlatRollouts())
    monkeypatch.setattr(objective, "FLAT_GROUPS", 10)
    for rollout in range(4):
        play(rollout, [SOLVED, FAILED])
        said = f"trains nothing: no group has a spread ({rollout + 1} in a row)"
        assert line(caplog)["note"] == said
    with pytest.raises(JobStop, match="nothing was trained in the last 5 rollouts"):
        play(4, [FAILED, FAILED])
    assert [row["rollout"] for row in rows(play)][-1] == 4  # its rows are written
    log = JobLog(Start("/sft"))
    log.feed(caplog.messages[-1])
    assert log.stop.startswith("nothing was trained")
    caplog.clear()
    play(5, [SPREAD, FAILED])
    assert "note" not in line(caplog)
    play(6, [SOLVED, SOLVED])
    assert line(caplog)["note"] == "nothing to learn: every episode is solved"


def test_a_user_that_cannot_be_asked_ends_the_rollout_and_the_log_says_why(play, caplog):
    stop = ((JobStop("OPENAI_API_KEY is not set"), 1.0), 0)
    with pytest.raises(JobStop, match="OPENAI_API_KEY"):
        play(0, [LONG, stop])
    log = JobLog(Start("/sft"))
    for message in caplog.messages:
        log.feed(message)
    assert "OPENAI_API_KEY" in log.stop


def test_conversations_of_trained_episodes_are_kept_and_nothing_for_the_next_rollout(
    play, monkeypatch
):
    kept = []
    stand_in = SimpleNamespace(keep=lambda number, samples: kept.append((number, samples)))
    monkeypatch.setattr(records, "_samples", {"/there": stand_in})
    monkeypatch.setattr(records, "EPISODES", dict.fromkeys(range(10), "played"))
    play(0, [SOLVED, SPREAD, SPREAD], tau2_resampled_groups=1, tau2_transcripts_path="/there")
    assert kept == [(0, ["played"] * 4)]
    assert records.EPISODES == {}


def test_an_evaluation_that_the_user_asks_slime_for_is_slimes_own(play):
    told = SimpleNamespace(**vars(play.args), eval_datasets=[])
    assert grpo_rollout.generate_rollout(told, 0, None, evaluation=True).data == {}
    assert not Path(play.args.tau2_rollouts_path).exists()
