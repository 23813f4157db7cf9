"""The least room of an episode is what the shortest solved conversation takes, to the token."""

from __future__ import annotations

import asyncio
import json

import pytest
from chat_tokenizers import byte_tokenizer, special_tokens

from tau2_agent.benchmark.environment import PROMPTS
from tau2_agent.benchmark.tasks import get_task, split_ids
from tau2_agent.errors import InputError
from tau2_agent.reward.scoring import score
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.episode import Limits, run_episode
from tau2_agent.rollout.model_rollout import EpisodeSettings, play
from tau2_agent.rollout.policy import Sampling
from tau2_agent.rollout.room import SHORTEST, fewest_steps, least, require_room
from tau2_agent.rollout.template_files import template_text
from tau2_agent.rollout.trajectory import EndReason, Turn, agent_view, as_chat
from tau2_agent.teachers.scripted import ScriptedTeacher
from tau2_agent.users.registry import Users, make_user

KEPT = json.loads(SHORTEST.read_text(encoding="utf-8"))
TASK = get_task(KEPT["task_id"])


@pytest.fixture(scope="module", params=[None, "hermes", "llama3"])
def codec(request, tokenizer):
    if request.param is None:
        return ChatCodec(tokenizer)
    text = template_text(request.param)
    return ChatCodec(byte_tokenizer(special_tokens([text])), text)


class SaysTheSame:
    """A policy with the words of the kept conversation."""

    def __init__(self, codec) -> None:
        said = [message for message in KEPT["messages"] if message["role"] == "assistant"]
        self.turns = iter([codec.answer(message) for message in said[1:]])

    async def generate(self, prompt, sampling, session):
        ids = next(self.turns)
        cut = len(ids) > sampling.max_new_tokens
        ids = ids[: sampling.max_new_tokens]
        return Turn(ids, [-0.5] * len(ids), "length" if cut else "stop")


def played(codec, prompt="short", steps=200, **lengths):
    settings = EpisodeSettings(
        Users(),
        prompt=prompt,
        sampling=Sampling(1.0, max_new_tokens=1000),
        limits=Limits(max_steps=steps),
        **lengths,
    )
    trajectory = asyncio.run(play(TASK, SaysTheSame(codec), codec, settings, "a session", "0"))
    return trajectory.end, score(trajectory, TASK).reward


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_task_is_solved_in_the_least_room_and_in_no_less(codec, prompt) -> None:
    head, whole = least(codec, prompt)
    assert played(codec, prompt, context_length=whole) == (EndReason.USER_STOP, 1.0)
    assert played(codec, prompt, context_length=whole - 1) == (EndReason.CONTEXT_LENGTH, 0.0)
    require_room(codec, prompt, whole, "a.key")
    for length in (1, head + 5, head + 100, whole - 1):
        with pytest.raises(InputError, match=f"^a.key {length}: .*takes {whole} tokens, {head} of"):
            require_room(codec, prompt, length, "a.key")


def test_the_room_after_the_prompt(codec) -> None:
    head, whole = least(codec, "short")
    room = whole - head
    for length, end in ((room, EndReason.USER_STOP), (room - 1, EndReason.CONTEXT_LENGTH)):
        assert played(codec, context_length=99999, response_length=length)[0] is end
    require_room(codec, "short", room, "a.key", after_prompt=True)
    with pytest.raises(InputError, match=f"^a.key {room - 1}: .* takes {room} tokens after the"):
        require_room(codec, "short", room - 1, "a.key", after_prompt=True)


def test_the_fewest_steps(tokenizer) -> None:
    codec = ChatCodec(tokenizer)
    assert played(codec, steps=fewest_steps()) == (EndReason.USER_STOP, 1.0)
    assert played(codec, steps=fewest_steps() - 1) == (EndReason.MAX_STEPS, 0.0)


def test_no_task_s_teacher_is_shorter_than_the_kept_conversation() -> None:
    def told(task):
        trajectory = asyncio.run(
            run_episode(task, ScriptedTeacher(), make_user("scripted", task), limits=Limits())
        )
        return trajectory.steps, [as_chat(one) for one in agent_view(trajectory.messages)]

    assert told(TASK) == (KEPT["steps"], KEPT["messages"])
    # of other issues the shortest has 33 steps
    services = [i for i in split_ids("full") if i.startswith("[service_issue]")]
    others = [told(get_task(i)) for i in [*services, *split_ids("base")]]
    assert min(steps for steps, _ in others) == KEPT["steps"]
    assert min(len(json.dumps(messages)) for _, messages in others) == len(
        json.dumps(KEPT["messages"])
    )
