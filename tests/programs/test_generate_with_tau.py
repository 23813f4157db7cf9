"""slime's hooks against a Sample with slime's own fields and a server that misbehaves.

With SLIME_HOME set, slime's real Sample is used instead of the stand-in.
"""

import asyncio
import base64
import json
import os
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import replays
import torch
from fake_openai import FakeOpenAI
from fake_sglang import FakeSGLang
from replays import gold_calls
from transformers import AutoTokenizer

from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.llm.client import LLMSettings
from tau2_agent.records.transcripts import read_transcripts
from tau2_agent.reward.scoring import score
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.episode import STOP, Limits
from tau2_agent.rollout.policy import Sampling
from tau2_agent.rollout.trajectory import EndReason, JobStop, TokenRecord, Trajectory, Turn
from tau2_agent.training.groups import Group
from tau2_agent.training.slime import records, router
from tau2_agent.training.slime.grpo_rollout import as_episode
from tau2_agent.users.registry import Users, to_settings
from tau2_reward_shaping import PartialWeights, tau2_reward_post_process

STAND_IN = Path(__file__).parents[1] / "slime_stand_in"


@pytest.fixture(scope="module")
def slime():
    """slime's modules as the hooks import them: the real Sample where slime is installed."""
    before = dict(sys.modules)
    places = [os.environ["SLIME_HOME"]] if "SLIME_HOME" in os.environ else []
    sys.path[:0] = [*places, str(STAND_IN)]
    from slime.utils import types

    if places:
        for name in ("slime.rollout", "slime.rollout.sglang_rollout"):
            sys.modules.pop(name, None)
        import slime as package

        package.__path__.append(str(STAND_IN / "slime"))
        package.__path__.reverse()  # the rollout state comes from the stand-in, types are loaded
    from slime.rollout import sglang_rollout

    assert str(STAND_IN) in sglang_rollout.__file__
    assert str(places[0] if places else STAND_IN) in types.__file__
    yield SimpleNamespace(Sample=types.Sample, GenerateState=sglang_rollout.GenerateState)
    for name in [name for name in sys.modules if name.split(".")[0] == "slime"]:
        del sys.modules[name]
    sys.modules.update({k: v for k, v in before.items() if k.split(".")[0] == "slime"})
    sys.path[:] = [path for path in sys.path if path not in (*places, str(STAND_IN))]


@pytest.fixture
def hooks(slime, tokenizer, monkeypatch):
    import generate_with_tau

    monkeypatch.setattr(slime.GenerateState, "tokenizer", tokenizer)
    monkeypatch.setattr(slime.GenerateState, "aborted", False)
    monkeypatch.setattr(router, "PATIENCE_S", 0.0)
    for name in ("_policies", "_codecs", "_users"):
        monkeypatch.setattr(generate_with_tau, name, {})
    records.EPISODES.clear()
    return generate_with_tau


@pytest.fixture
def codec(tokenizer):
    return ChatCodec(tokenizer)


def arguments(fake=None, **more):
    return SimpleNamespace(
        sglang_router_ip="127.0.0.1",
        sglang_router_port=fake.port if fake else 9,
        reward_key="shaped",
        rollout_max_context_len=4096,
        tau2_prompt="short",
        tau2_max_new_tokens=64,
        tau2_episode_timeout_s=20.0,
        **more,
    )


PARAMETERS = {"temperature": 0.7, "top_p": 1.0, "top_k": -1, "max_new_tokens": 1000}


def new_sample(slime, number=0, task=0, **more):
    task_id = load_tasks("small")[task].id
    return slime.Sample(
        index=number, group_index=0, prompt=task, metadata={"task_id": task_id}, **more
    )


def play(hooks, fake, sample, **more):
    async def run():
        return await hooks.generate(arguments(fake, **more), sample, dict(PARAMETERS))

    made = asyncio.run(run())
    # slime asserts it of every sample of a rollout, long after this one was made
    assert len(made.loss_mask) == len(made.rollout_log_probs) == made.response_length
    return made


def check_alignment(sample):
    assert len(sample.loss_mask) == sample.response_length == len(sample.rollout_log_probs)
    assert len(sample.tokens) > sample.response_length
    for on, log_prob in zip(sample.loss_mask, sample.rollout_log_probs, strict=True):
        assert on or log_prob == 0.0
    assert isinstance(sample.tokens, list) and isinstance(sample.response, str)
    assert set(sample.reward) == {"reward", "partial", "penalty", "shaped"}


def talk(codec, text):
    return [*codec.tokenizer(text, add_special_tokens=False)["input_ids"], codec.stop_id]


TRANSFER = (
    '<tool_call>\n{"name": "transfer_to_human_agents", "arguments": {"summary": "s"}}\n</tool_call>'
)
GOODBYE = "YOU ARE BEING TRANSFERRED TO A HUMAN AGENT. PLEASE HOLD ON."


def test_an_episode_becomes_a_sample(hooks, slime, codec):
    turns = [
        talk(codec, "Please check the status bar."),
        talk(codec, TRANSFER),
        talk(codec, GOODBYE),
    ]
    with FakeSGLang(turns) as fake:
        sample = play(hooks, fake, new_sample(slime, session_id="session-7"))
    check_alignment(sample)
    assert sample.status is slime.Sample.Status.COMPLETED and not sample.remove_sample
    assert set(sample.metadata) == {
        *("task_id", "end", "steps", "agent_turns", "tool_errors", "seconds", "reward_info"),
        *("repeated_calls", "repeated_turns", "longest_loop", "cut_turns"),
    }
    assert (sample.metadata["end"], sample.metadata["agent_turns"]) == ("user_stop", 3)
    assert sample.metadata["steps"] > 4 and sample.metadata["tool_errors"] == 0
    assert 0 < sample.metadata["seconds"] == round(sample.metadata["seconds"], 3)
    assert sample.metadata["reward_info"]["reward"] == sample.reward["reward"]
    expected = sample.reward["reward"] + 0.5 * sample.reward["partial"]
    assert sample.reward["shaped"] == pytest.approx(expected)
    # exactly what was sampled carries loss, with the log probs it was sampled with
    response = sample.tokens[-sample.response_length :]
    aligned = zip(response, sample.rollout_log_probs, sample.loss_mask, strict=True)
    trained = [(token, log_prob) for token, log_prob, on in aligned if on]
    assert trained == [(token, -0.25) for turn in turns for token in turn]
    # token-in token-out: each prompt extends the one before by what was sampled
    prompts = [request["input_ids"] for request in fake.requests]
    for earlier, later, turn in zip(prompts, prompts[1:], turns, strict=False):
        assert later[: len(earlier) + len(turn)] == earlier + turn
    # one key an episode, so that the router keeps it where its prefix is cached
    assert {headers["X-SMG-Routing-Key"] for headers in fake.headers} == {"session-7"}
    assert sample.prefix_cache_info.total_prompt_tokens == sum(map(len, prompts))
    assert fake.requests[0]["sampling_params"]["temperature"] == 0.7


LOOK = '<tool_call>\n{"name": "get_details_by_id", "arguments": {"id": "L1002"}}\n</tool_call>'


def test_a_loop_ends_the_episode_and_costs_what_is_set(hooks, slime, codec):
    told = {"tau2_repeat_limit": 3, "tau2_repeat_penalty": 0.02}
    with FakeSGLang([talk(codec, LOOK)]) as fake:
        sample = play(hooks, fake, new_sample(slime), **told)
        free = play(hooks, fake, new_sample(slime))
    check_alignment(sample)
    assert (sample.metadata["end"], sample.metadata["agent_turns"]) == ("repeat_limit", 3)
    assert sample.status is slime.Sample.Status.TRUNCATED and not sample.remove_sample
    # tau2's reward and the partial score stay as they are
    found = (sample.reward["reward"], sample.reward["penalty"])
    assert found == (0.0, pytest.approx(2 * 0.02))
    shaped = 0.5 * sample.reward["partial"] - 2 * 0.02
    assert sample.reward["shaped"] == pytest.approx(shaped)
    raw, _ = tau2_reward_post_process(arguments(**told), [sample, free])
    assert raw[0] == pytest.approx(shaped)
    assert free.metadata["end"] == "context_length" and free.reward["penalty"] == 0.0
    rows = [records.episode_row(one) for one in (sample, free)]
    names = ("repeated_calls", "repeated_turns", "longest_loop", "cut_turns")
    assert [rows[0][name] for name in names] == [2, 2, 3, 0]
    assert rows[1]["longest_loop"] >= 4


def test_an_episode_that_is_out_of_steps_counts_as_cut(hooks, slime, codec):
    with FakeSGLang([talk(codec, "Please check the status bar.")]) as fake:
        sample = play(hooks, fake, new_sample(slime), tau2_max_steps=4)
    assert sample.metadata["end"] == "max_steps"
    assert 0 < sample.non_generation_time < 60
    assert sample.status is slime.Sample.Status.TRUNCATED and not sample.remove_sample


def test_the_response_budget_is_slimes(hooks, slime, codec):
    with FakeSGLang([talk(codec, "Please check the status bar. What does it show?")]) as fake:
        sample = play(hooks, fake, new_sample(slime), tau2_max_steps=400)
    check_alignment(sample)
    assert sample.status is slime.Sample.Status.TRUNCATED
    assert sample.response_length <= PARAMETERS["max_new_tokens"]
    assert sample.metadata["end"] in ("context_length", "max_steps", "user_stop")


@pytest.mark.parametrize("trouble", ["abort", "400", "no_logprobs"])
def test_a_failing_server_aborts_the_sample_only(hooks, slime, codec, trouble):
    with FakeSGLang([talk(codec, "Please check the status bar."), trouble]) as fake:
        sample = play(hooks, fake, new_sample(slime))
    check_alignment(sample)
    assert sample.status is slime.Sample.Status.ABORTED and sample.remove_sample
    assert sum(sample.loss_mask) == sum(sample.reward.values()) == 0
    assert sample.metadata["end"] == "policy_error" and str(fake.port) in sample.metadata["detail"]


def test_passing_trouble_costs_nothing(hooks, slime, codec):
    turns = ["500", talk(codec, TRANSFER), "drop", talk(codec, GOODBYE)]
    with FakeSGLang(turns) as fake:
        sample = play(hooks, fake, new_sample(slime))
    assert sample.status is slime.Sample.Status.COMPLETED
    assert sum(sample.loss_mask) == len(turns[1]) + len(turns[3])


@pytest.mark.parametrize("turns", [0, 1])
def test_an_episode_that_takes_too_long_is_aborted(hooks, slime, codec, turns):
    """Also after a turn that could be trained on."""
    said = [talk(codec, "Please check the status bar.")] * turns
    with FakeSGLang(2 * [*said, ("slow", 8.0)]) as fake:

        async def run():
            settings = arguments(fake)
            settings.tau2_episode_timeout_s = 2.5
            return await hooks.generate(settings, new_sample(slime), dict(PARAMETERS))

        sample = asyncio.run(run())
    assert len(fake.requests) == 2 * (turns + 1)  # it was played again once
    assert sample.status is slime.Sample.Status.ABORTED and sample.remove_sample
    assert sample.metadata["end"] == "timeout" and sample.loss_mask == [0]


@pytest.mark.parametrize("trouble", ["abort", "slow"])
def test_what_the_machine_ended_is_played_again_under_another_name(hooks, slime, codec, trouble):
    first = ("slow", 3.0) if trouble == "slow" else trouble
    with FakeSGLang([first, talk(codec, TRANSFER), talk(codec, GOODBYE)]) as fake:
        settings = arguments(fake)
        settings.tau2_episode_timeout_s = 1.0
        sample = asyncio.run(hooks.generate(settings, new_sample(slime), dict(PARAMETERS)))
    check_alignment(sample)
    assert sample.status is slime.Sample.Status.COMPLETED and sum(sample.loss_mask)
    keys = [headers["X-SMG-Routing-Key"] for headers in fake.headers]
    assert keys[0] != keys[1] == keys[2]  # the router may take another engine


@pytest.mark.parametrize("metadata", [{}, {"task_id": "no such task"}, None])
def test_a_mistake_in_the_data_never_leaves_the_hook(hooks, slime, metadata):
    with FakeSGLang([[1]]) as fake:
        sample = play(hooks, fake, slime.Sample(index=0, prompt="prompt", metadata=metadata))
    check_alignment(sample)
    assert sample.status is slime.Sample.Status.ABORTED and not fake.requests


def test_a_request_waits_as_long_as_slime_takes_to_remove_a_dead_engine(hooks, slime):
    watched = {"rollout_health_check_interval": 15.0, "rollout_health_check_timeout": 270.0}
    assert router.Router(arguments(use_fault_tolerance=True, **watched), (1,)).patience_s == 285.0
    assert router.Router(arguments(), (1,)).patience_s == 0.0  # PATIENCE_S, in these tests


@pytest.mark.parametrize("seeds", [(0, 0), (0, 1)])
def test_seeds_of_deterministic_inference_make_no_group_of_equal_episodes(
    hooks, slime, codec, seeds
):
    """slime gives the n-th sample of every group the same seed."""
    given = []
    for index, seed in enumerate(seeds):
        with FakeSGLang([talk(codec, TRANSFER), talk(codec, GOODBYE)]) as fake:

            async def run(fake=fake, index=index, seed=seed):
                parameters = {**PARAMETERS, "sampling_seed": seed}
                await hooks.generate(arguments(fake), new_sample(slime, index), parameters)

            asyncio.run(run())
            asyncio.run(run())  # the same sample again draws the same
        drawn = {request["sampling_params"]["sampling_seed"] for request in fake.requests}
        assert len(drawn) == 1 and all(0 <= one < 2**32 for one in drawn)
        given += drawn
    assert len(set(given)) == 2


LAYERS, EXPERTS = 3, 2


def routed(request, ids):
    """What an engine with experts says: int32, (tokens since the asked one) × layers × experts."""
    tokens = len(request["input_ids"]) + len(ids)
    places = range(request["routed_experts_start_len"], tokens - 1)
    rows = [place % 7 + 1 for place in places for _ in range(LAYERS * EXPERTS)]
    return base64.b64encode(struct.pack(f"{len(rows)}i", *rows)).decode()


def test_experts_that_were_sampled_with_are_replayed(hooks, slime, codec, monkeypatch):
    plain = FakeSGLang.generated

    def generated(request, ids):
        answer = plain(request, ids)
        answer["meta_info"]["routed_experts"] = routed(request, ids)
        return answer

    monkeypatch.setattr(FakeSGLang, "generated", staticmethod(generated))
    moe = {"use_rollout_routing_replay": True, "num_layers": LAYERS, "moe_router_topk": EXPERTS}
    turns = [
        talk(codec, "Please check the status bar."),
        talk(codec, TRANSFER),
        talk(codec, GOODBYE),
    ]
    with FakeSGLang(turns) as fake:
        sample = play(hooks, fake, new_sample(slime), **moe)
    assert all(request["return_routed_experts"] for request in fake.requests)
    # each turn only tells what the one before did not
    lengths = [len(request["input_ids"]) for request in fake.requests]
    ends = [length + len(turn) - 1 for length, turn in zip(lengths, turns, strict=True)]
    starts = [request["routed_experts_start_len"] for request in fake.requests]
    assert starts == [0, *ends[:-1]]
    experts = torch.as_tensor(sample.rollout_routed_experts)
    assert tuple(experts.shape) == (len(sample.tokens) - 1, LAYERS, EXPERTS)
    assert experts[:, 0, 0].tolist() == [i % 7 + 1 for i in range(len(sample.tokens) - 1)]
    # an aborted sample has a shape that slime's checks take, and no zeros only
    aborted = hooks.give_up(arguments(**moe), new_sample(slime), EndReason.POLICY_ERROR, "x")
    some = torch.as_tensor(aborted.rollout_routed_experts)
    assert tuple(some.shape) == (len(aborted.tokens) - 1, LAYERS, EXPERTS)
    assert all(torch.count_nonzero(some[:, layer]) for layer in range(LAYERS))


def test_a_full_rollout_stops_its_episodes(hooks, slime, codec, monkeypatch):
    monkeypatch.setattr(slime.GenerateState, "aborted", True)
    with FakeSGLang([talk(codec, GOODBYE)]) as fake:
        sample = play(hooks, fake, new_sample(slime))
    assert sample.status is slime.Sample.Status.ABORTED and not fake.requests


def test_a_sample_that_comes_again_begins_anew(hooks, slime, codec):
    with FakeSGLang(["abort", "abort", talk(codec, TRANSFER), talk(codec, GOODBYE)]) as fake:
        sample = play(hooks, fake, new_sample(slime))
        assert sample.status is slime.Sample.Status.ABORTED
        sample = play(hooks, fake, sample)
    check_alignment(sample)
    assert sample.status is slime.Sample.Status.COMPLETED and not sample.remove_sample


def test_cancelling_is_not_swallowed(hooks, slime):
    with FakeSGLang([("slow", 5.0)]) as fake:

        async def run():
            running = asyncio.create_task(
                hooks.generate(arguments(fake), new_sample(slime), dict(PARAMETERS))
            )
            await asyncio.sleep(0.3)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

        asyncio.run(run())


def test_many_episodes_share_the_loop(hooks, slime, codec):
    turns = [("slow", 0.3)] * 16 + [talk(codec, TRANSFER)] * 16 + [talk(codec, GOODBYE)]

    async def run(fake):
        jobs = [
            hooks.generate(arguments(fake), new_sample(slime, i, i % 4), dict(PARAMETERS))
            for i in range(16)
        ]
        return await asyncio.gather(*jobs)

    with FakeSGLang(turns) as fake:
        samples = asyncio.run(run(fake))
    for sample in samples:
        check_alignment(sample)
    assert all(s.status is not slime.Sample.Status.ABORTED for s in samples)


def test_a_router_has_a_policy_of_its_own(hooks):
    async def run():
        ports = [SimpleNamespace(port=port) for port in (1, 2, 1)]
        one, other, again = (hooks._policy(arguments(port))[0] for port in ports)
        return one is again and one is not other

    assert asyncio.run(run())


def test_a_tokenizer_has_a_codec_of_its_own(hooks, slime, monkeypatch, random_model):
    async def codec():
        return hooks._policy(arguments())[1]

    first = asyncio.run(codec())
    assert asyncio.run(codec()) is first
    other = AutoTokenizer.from_pretrained(random_model)
    monkeypatch.setattr(slime.GenerateState, "tokenizer", other)
    assert asyncio.run(codec()).tokenizer is other is not first.tokenizer


def test_settings_reach_the_episode(hooks):
    settings = hooks.episode_settings(
        SimpleNamespace(
            tau2_prompt="short",
            tau2_users=to_settings(Users("scripted", seed=3, max_failure_share=0.2)),
            tau2_max_new_tokens=128,
            tau2_max_steps=50,
            tau2_episode_timeout_s=7,
            tau2_repeat_limit=4,
            rollout_max_context_len=None,
        ),
        {**PARAMETERS, "max_new_tokens": 100},
    )
    assert (settings.prompt, settings.response_length, settings.context_length) == (
        "short",
        100,
        32768,
    )
    assert (settings.users.seed, settings.users.failures.most) == (3, 0.2)
    assert settings.sampling.max_new_tokens == 100  # a turn is never longer than the whole
    assert settings.limits == Limits(max_steps=50, timeout_s=7.0, repeat_limit=4)


def test_an_episode_that_is_told_nothing_plays_as_tau2_does(hooks):
    plain = {"temperature": 1, "max_new_tokens": 9000}
    settings = hooks.episode_settings(SimpleNamespace(), plain)
    assert (settings.prompt, settings.users.simulator) == ("tau2", "scripted")
    assert settings.sampling == Sampling(1.0, top_p=1.0, top_k=-1, max_new_tokens=1024, seed=None)
    assert (settings.context_length, settings.response_length) == (32768, 9000)
    assert settings.limits == Limits(max_steps=200, timeout_s=900.0, repeat_limit=0)
    told = hooks.episode_settings(SimpleNamespace(), plain | {"top_p": 0.9, "top_k": 20})
    assert (told.sampling.top_p, told.sampling.top_k) == (0.9, 20)
    told = hooks.episode_settings(SimpleNamespace(tau2_max_new_tokens=128), plain)
    assert told.sampling.max_new_tokens == 128


def test_calls_of_the_user_are_written_where_the_training_says(hooks, monkeypatch, tmp_path):
    opened = []
    monkeypatch.setattr(Users, "open", lambda self, *place: opened.append(place))
    for name in ("a.jsonl", "a.jsonl", "b.jsonl"):
        hooks.episode_settings(arguments(tau2_user_calls=str(tmp_path / name)), PARAMETERS)
    hooks.episode_settings(arguments(), PARAMETERS)
    assert opened == [(tmp_path / "a.jsonl",), (tmp_path / "b.jsonl",), (None,)]


def ends_with(hooks, monkeypatch, end, seen=None):
    """Episodes are over at once; of 10 seconds the policy took 4. An exception is raised."""

    async def play(task, policy, codec, settings, session, sample):
        if seen is not None:
            seen.append((session, sample))
        if isinstance(end, Exception):
            raise end
        policy.seconds += 4.0
        return Trajectory(task.id, [], end, "d" * 600, tokens=TokenRecord())

    clock = iter([100.0, 110.0])
    monkeypatch.setattr(hooks, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    monkeypatch.setattr(hooks, "play", play)


@pytest.mark.parametrize(("session", "name"), [("session-7", "session-7"), ("", "5")])
def test_an_episode_has_a_session_for_each_try_and_one_user(
    hooks, slime, monkeypatch, session, name
):
    """The sample's index draws who the user is: the second try must meet the same one."""
    seen = []
    ends_with(hooks, monkeypatch, EndReason.POLICY_ERROR, seen)
    sample = new_sample(slime, 5, session_id=session)
    asyncio.run(hooks.generate(arguments(), sample, dict(PARAMETERS)))
    assert seen == [(name, "5"), (f"{name}/1", "5")]


def test_what_the_policy_took_is_no_other_time(hooks, slime, monkeypatch):
    ends_with(hooks, monkeypatch, EndReason.USER_STOP)
    sample = asyncio.run(hooks.generate(arguments(), new_sample(slime), dict(PARAMETERS)))
    assert sample.non_generation_time == 6.0


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (EndReason.POLICY_ERROR, {"end": "policy_error", "detail": "d" * 500}),
        (RuntimeError("broken"), {"end": "policy_error", "detail": "RuntimeError: broken"}),
    ],
)
def test_an_aborted_sample_is_whole_for_slimes_checks(hooks, slime, monkeypatch, end, told):
    """Also with experts, whose shape slime looks at before it looks at the loss mask."""
    ends_with(hooks, monkeypatch, end)
    moe = {"use_rollout_routing_replay": True, "num_layers": LAYERS, "moe_router_topk": EXPERTS}
    sample = new_sample(slime)
    task = sample.metadata["task_id"]
    asyncio.run(hooks.generate(arguments(**moe), sample, dict(PARAMETERS)))
    assert sample.status is slime.Sample.Status.ABORTED and sample.remove_sample
    assert sample.metadata == {"task_id": task, **told, "failure": ""}
    assert sample.rollout_routed_experts == [[[0, 1]] * LAYERS]
    assert (len(sample.tokens), sample.response_length, sample.response) == (2, 1, "")
    assert (sample.loss_mask, sample.rollout_log_probs) == ([0], [0.0])


def test_without_a_failure_of_the_user_none_is_named(hooks, slime):
    sample = given_up(hooks, slime)
    assert sample.metadata["failure"] == "" and sample.rollout_routed_experts is None


def test_a_finished_episode_is_scored_as_the_training_was_told(hooks, slime):
    """Weights, alpha and penalty are not the defaults; one of its turns was cut."""
    sample = new_sample(slime)
    task = next(t for t in load_tasks("train") if len(gold_calls(t)) > 1)
    episode = replays.play(task, gold_calls(task)[:1])  # one of its actions, and it is not solved
    episode.seconds, episode.tokens = 1.23456, TokenRecord()
    episode.tokens.append_context([1, 2])
    episode.tokens.prompt_length = 2
    episode.tokens.append_sampled(Turn([3, 4], [-1.0, -2.0], "length"))
    weights = "0.1,0.2,0.7"
    told = {"tau2_alpha": 0.25, "tau2_partial_weights": weights, "tau2_repeat_penalty": 0.1}
    result = hooks.finish(arguments(**told), sample, episode, task)
    partial = score(episode, task, PartialWeights.read(weights)).partial
    assert result.partial == partial != score(episode, task).partial
    assert sample.reward == {
        "reward": 0.0,
        "partial": partial,
        "penalty": pytest.approx(0.1),
        "shaped": pytest.approx(0.25 * partial - 0.1),
    }
    assert (sample.metadata["cut_turns"], sample.metadata["seconds"]) == (1, 1.235)


def finished(slime, shaped, number=0):
    sample = slime.Sample(index=number, group_index=0, tokens=[1, 2], response_length=1)
    sample.reward = {"reward": 0.0, "partial": 0.0, "shaped": shaped}
    sample.loss_mask, sample.status = [1], slime.Sample.Status.COMPLETED
    return sample


def given_up(hooks, slime, number=0):
    return hooks.give_up(arguments(), new_sample(slime, number), EndReason.POLICY_ERROR, "no route")


def test_aborted_samples_pass_through_the_reward_hook(hooks, slime):
    samples = [finished(slime, 0.5), finished(slime, 1.0), given_up(hooks, slime)]
    samples[0].reward["reward"], samples[1].reward["reward"] = 0.0, 1.0
    raw, rewards = tau2_reward_post_process(arguments(), samples)
    assert len(raw) == len(rewards) == 3
    assert rewards[2] == 0.0 and rewards[0] < 0 < rewards[1]
    # and through slime's own reader, which takes the key without asking
    assert given_up(hooks, slime).get_reward_value(arguments()) == 0.0


def test_an_episode_is_held_for_the_records_of_its_rollout(hooks, slime, codec, tmp_path):
    path = tmp_path / "transcripts.jsonl.gz"
    told = {"tau2_transcripts_path": str(path), "tau2_keep_episodes": 3}
    told["tau2_rollouts_path"] = str(tmp_path / "rollouts.jsonl")
    samples = []
    for index in range(4):
        with FakeSGLang([talk(codec, TRANSFER), talk(codec, GOODBYE)]) as fake:
            sample = new_sample(slime)
            sample.index = index
            samples.append(play(hooks, fake, sample, **told))
    for sample in samples:
        assert records.EPISODES[sample.index].result.reward == sample.reward["reward"]
    samples[1] = given_up(hooks, slime)
    samples[1].index = 77
    group = Group(0, "task", [as_episode(sample) for sample in samples])
    records.record(arguments(**told), 5, [group], {}, 1.0)
    kept = read_transcripts(path)
    assert [(one.rollout, one.sample) for one in kept] == [(5, 0), (5, 2)]
    for one, sample in zip(kept, [samples[0], samples[2]], strict=True):
        assert (one.reward, one.shaped) == (sample.reward["reward"], sample.reward["shaped"])
        assert one.tokens.ids == sample.tokens[one.tokens.prompt_length :]
        assert one.tokens.mask == sample.loss_mask
        assert one.messages[2].tool_calls[0]["name"] == "transfer_to_human_agents"
    assert records.EPISODES == {}  # nothing is held for the next rollout
    first, second, *_ = map(json.loads, (tmp_path / "rollouts.jsonl").read_text().splitlines())
    assert first["rollout"] == 5 and first["end"] == "user_stop" and first["trained_tokens"] > 0
    assert second["status"] == "aborted" and second["detail"] == "no route"


def test_an_episode_of_an_evaluation_is_not(hooks, slime, codec):
    with FakeSGLang([talk(codec, TRANSFER), talk(codec, GOODBYE)]) as fake:

        async def run():
            args = arguments(fake)
            return await hooks.generate(args, new_sample(slime), dict(PARAMETERS), evaluation=True)

        assert asyncio.run(run()).status is slime.Sample.Status.COMPLETED
    assert records.EPISODES == {}


def test_spans_cut_where_the_mask_changes(hooks):
    record = TokenRecord()
    record.append_context([1, 2])
    record.prompt_length = 2
    record.append_sampled(Turn([3, 4], [-1.0, -2.0], "stop"))
    record.append_context([5])
    record.append_sampled(Turn([6], [-3.0], "stop"))
    assert list(hooks.spans(record)) == [
        (True, [3, 4], [-1.0, -2.0]),
        (False, [5], [0.0]),
        (True, [6], [-3.0]),
    ]


def simulators(server, **more):
    model = LLMSettings("openai/stand-in", api_base=server.url, retries=0, backoff_s=0.01)
    return {"tau2_users": to_settings(Users("llm", llm=model, **more))}


def test_a_failing_language_model_as_user_is_tried_twice_then_untrained(hooks, slime, codec):
    turns = [talk(codec, "Please check the status bar.")]
    with (
        FakeSGLang(turns) as fake,
        FakeOpenAI(behaviours=["My phone!", 500, "My phone!", 429]) as api,
    ):
        sample = play(hooks, fake, new_sample(slime), **simulators(api))
    assert sample.status is slime.Sample.Status.ABORTED and sample.remove_sample
    assert sample.loss_mask == [0]
    assert (sample.metadata["end"], sample.metadata["failure"]) == ("user_error", "rate_limited")
    assert records.episode_row(sample)["failure"] == "rate_limited"
    assert len(api.requests) == 4


def test_a_second_attempt_that_works_is_trained(hooks, slime, codec):
    turns = [talk(codec, "Please check the status bar.")]
    with FakeSGLang(turns) as fake, FakeOpenAI(behaviours=[500, "Hi.", STOP]) as api:
        sample = play(hooks, fake, new_sample(slime), **simulators(api))
    check_alignment(sample)
    assert sample.metadata["end"] == "user_stop" and sum(sample.loss_mask) > 0


def test_no_key_ends_the_rollout(hooks, slime, codec):
    with (
        FakeSGLang([talk(codec, "Hi.")]) as fake,
        FakeOpenAI(behaviours=[401]) as api,
        pytest.raises(JobStop, match="OPENAI_API_KEY"),
    ):
        play(hooks, fake, new_sample(slime), **simulators(api))


def test_an_evaluation_of_slime_s_own_leaves_the_training_s_counts_alone(hooks, slime, codec):
    """Its samples are numbered from 0, as those of a rollout are."""
    hooks.EPISODES.clear()
    with FakeSGLang([talk(codec, TRANSFER), talk(codec, GOODBYE)]) as fake:

        async def run():
            args = arguments(fake)
            return await hooks.generate(args, new_sample(slime), dict(PARAMETERS), evaluation=True)

        sample = asyncio.run(run())
    assert sample.reward["reward"] is not None and not hooks.EPISODES
    (users,) = hooks._users.values()
    assert not users.failures._failed


def test_too_many_failures_of_the_user_end_the_rollout(hooks, slime, codec):
    with FakeSGLang([talk(codec, "Hi.")]) as fake, FakeOpenAI(faults=lambda number: 400) as api:
        more = simulators(api, max_failure_share=0.5)

        async def run():
            for number in range(30):
                sample = new_sample(slime, number)
                await hooks.generate(arguments(fake, **more), sample, dict(PARAMETERS))

        with pytest.raises(JobStop, match="20 of 20 episodes"):
            asyncio.run(run())


def test_failures_of_the_user_are_counted_over_the_last_200_episodes(hooks):
    given = arguments(tau2_users=to_settings(Users("scripted", max_failure_share=0.5)))
    failures = hooks.episode_settings(given, PARAMETERS).users.failures
    for end in [EndReason.USER_STOP] * 300 + [EndReason.USER_ERROR] * 100:
        failures.count(Trajectory("t", [], end))
    with pytest.raises(JobStop, match="101 of 200 episodes"):
        failures.count(Trajectory("t", [], EndReason.USER_ERROR))
