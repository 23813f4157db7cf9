"""A model plays with the whole prompt: policy, manual and tool schemas, as in a real run."""

from __future__ import annotations

import asyncio
import json

import pytest

from tau2_agent.benchmark.environment import (
    PROMPTS,
    assistant_tools,
    domain_policy,
    system_prompt,
)
from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.rollout import model_rollout
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.episode import GREETING, Limits
from tau2_agent.rollout.model_rollout import EpisodeSettings, play
from tau2_agent.rollout.policy import Sampling
from tau2_agent.rollout.trajectory import EndReason, Turn
from tau2_agent.users.registry import Users

TASK = load_tasks("train")[0]
LOOK = {"name": "get_customer_by_phone", "arguments": {"phone_number": "555-123-2002"}}
SAYS = [f"<tool_call>\n{json.dumps(LOOK)}\n</tool_call>", "Please check the status bar."]


class Says:
    """A policy that says one thing after the other and keeps what it was asked with."""

    def __init__(self, codec: ChatCodec) -> None:
        self.codec, self.asked = codec, []

    async def generate(self, prompt, sampling, session):
        said = SAYS[len(self.asked) % 2]
        self.asked.append((list(prompt), sampling, session))
        ids = self.codec.tokenizer(said, add_special_tokens=False)["input_ids"]
        ids = [*ids, self.codec.stop_id][: sampling.max_new_tokens]
        return Turn(ids, [-0.5] * len(ids), "stop" if ids[-1] == self.codec.stop_id else "length")


@pytest.fixture(scope="module")
def codec(tokenizer):
    return ChatCodec(tokenizer)


def run(codec, prompt, **more):
    policy = Says(codec)
    settings = EpisodeSettings(
        Users(),
        prompt=prompt,
        sampling=Sampling(0.3, max_new_tokens=200),
        limits=Limits(max_steps=8),
        **more,
    )
    return asyncio.run(play(TASK, policy, codec, settings, "a session", "0")), policy


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_first_prompt_is_the_whole_one(codec, prompt) -> None:
    trajectory, policy = run(codec, prompt, context_length=200_000)
    assert trajectory.end is EndReason.MAX_STEPS and len(policy.asked) > 2
    first = policy.asked[0][0]
    text = codec.decode(first)
    assert system_prompt(prompt) in text and GREETING in text
    schemas = [json.dumps(tool) for tool in assistant_tools()]
    full = prompt != "short"
    assert [schema in text for schema in schemas] == [full] * len(schemas)
    assert (domain_policy() in text) == full
    assert text.count(schemas[0]) == full and text.rstrip().endswith("<|im_start|>assistant")
    record = trajectory.tokens
    assert record.ids[: record.prompt_length] == first
    # What came back from the tool and from the user is in the later prompts.
    call = codec.decode(policy.asked[1][0][len(first) :])
    assert "get_customer_by_phone" in call and "John Smith" in call
    assert {(sampling.temperature, session) for _, sampling, session in policy.asked} == {
        (0.3, "a session")
    }


def test_the_window_ends_an_episode_with_the_whole_prompt(codec) -> None:
    whole = len(run(codec, "tau2", context_length=200_000)[1].asked[0][0])
    assert whole > 10_000  # nothing is left out of it
    for room, turns in ((0, 0), (1, 1), (3, 1)):
        trajectory, policy = run(codec, "tau2", context_length=whole + room)
        assert trajectory.end is EndReason.CONTEXT_LENGTH
        assert len(policy.asked) == turns
        assert [sampling.max_new_tokens for _, sampling, _ in policy.asked] == [room] * turns
        assert len(trajectory.tokens.ids) == whole + room


def test_what_follows_a_turn_is_in_the_stream_if_another_turn_fits(codec) -> None:
    """Else it ends with what the policy wrote: no tokens are trained beside that say nothing."""
    _, policy = run(codec, "short", context_length=200_000)
    (first, *_), (second, *_) = policy.asked[:2]
    trajectory, policy = run(codec, "short", context_length=len(second))
    record = trajectory.tokens
    assert trajectory.end is EndReason.CONTEXT_LENGTH and len(policy.asked) == 1
    written = record.ids[len(first) :]
    assert second[: len(record.ids)] == record.ids and len(written) > 0
    assert record.loss_mask[-len(written) :] == [1] * len(written)
    trajectory, policy = run(codec, "short", context_length=len(second) + 1)
    assert [sampling.max_new_tokens for _, sampling, _ in policy.asked][1:] == [1]
    assert trajectory.tokens.ids[:-1] == second and trajectory.tokens.loss_mask[-2:] == [0, 1]


def test_the_user_is_the_one_of_the_sample(codec) -> None:
    """Of a mixture, or with words of its own, each sample of a task has another one."""
    made = []

    class Source(Users):
        def make(self, task, sample):
            made.append((task.id, sample))
            return super().make(task, sample)

    settings = EpisodeSettings(Source(), prompt="short", limits=Limits(max_steps=2))
    asyncio.run(play(TASK, Says(codec), codec, settings, "7/1", "7"))
    assert made == [(TASK.id, "7")]


def test_text_is_read_as_it_was_written(codec, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(codec.tokenizer, "decode", lambda ids, **how: asked.append((ids, how)))
    codec.decode([1, 2])
    assert asked == [
        ([1, 2], {"skip_special_tokens": False, "clean_up_tokenization_spaces": False})
    ]


def test_the_response_has_a_bound_of_its_own(codec) -> None:
    trajectory, policy = run(codec, "short", context_length=200_000, response_length=80)
    record = trajectory.tokens
    assert trajectory.end is EndReason.CONTEXT_LENGTH
    assert 0 < len(record.ids) - record.prompt_length <= 80
    assert policy.asked[0][1].max_new_tokens == 80


async def test_episodes_start_one_by_one_in_passes_of_the_event_loop(codec, monkeypatch) -> None:
    """So that hundreds at once do not hold up what else runs in the loop."""
    passes, starts = 0, []

    async def count():
        nonlocal passes
        while True:
            passes += 1
            await asyncio.sleep(0)

    async def begun(*_, **__):
        starts.append(passes)

    monkeypatch.setattr(model_rollout, "run_episode", begun)
    counting = asyncio.create_task(count())
    settings = EpisodeSettings(Users(), prompt="short")
    await asyncio.gather(
        *(play(TASK, Says(codec), codec, settings, f"{i}", f"{i}") for i in range(20))
    )
    counting.cancel()
    assert len(starts) == len(set(starts)) == 20
    assert starts[-1] < 200  # nor do they wait for long
