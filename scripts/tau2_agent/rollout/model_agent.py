"""A model as an agent of the episode: keeps the token stream, speaks in messages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tau2.data_model.message import AssistantMessage, Message

from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.policy import Policy, Sampling
from tau2_agent.rollout.trajectory import EndReason, EpisodeEnd, TokenRecord, as_chat


class ModelAgent:
    """One episode's agent. Make a new one for each episode.

    `context_length` bounds prompt and answer together, `response_length` everything after the
    first prompt; both in tokens, both end the episode with `context_length` when no further turn
    fits. A single turn is bounded by `sampling.max_new_tokens`: text that is cut there goes on as
    it is, as with tau2's own agent, and is counted in `tokens.cut_turns`.
    """

    def __init__(
        self,
        policy: Policy,
        codec: ChatCodec,
        sampling: Sampling,
        *,
        system_prompt: str,
        tools: list[dict[str, Any]],
        session: str,
        context_length: int,
        response_length: int | None = None,
    ) -> None:
        self.policy = policy
        self.codec = codec
        self.sampling = sampling
        self.system_prompt = system_prompt
        self.tools = tools
        self.session = session
        self.context_length = context_length
        self.response_length = response_length
        self.tokens = TokenRecord()
        self._calls = 0

    async def act(self, new: list[Message]) -> AssistantMessage:
        """See `episode.Agent.act`."""
        record = self.tokens
        if not record.ids:
            talk = [{"role": "system", "content": self.system_prompt}, *map(as_chat, new)]
            record.append_context(self.codec.prompt(talk, self.tools))
            record.prompt_length = len(record.ids)
            room = self._room(0)
        else:
            context = self.codec.increment(new, record.ids[-1])
            room = self._room(len(context))
            if room > 0:  # else the stream ends with what the policy wrote last
                record.append_context(context)
        if room <= 0:
            raise EpisodeEnd(EndReason.CONTEXT_LENGTH, f"{len(record.ids)} tokens, no turn fits")
        limit = min(self.sampling.max_new_tokens, room)
        turn = await self.policy.generate(
            record.ids, replace(self.sampling, max_new_tokens=limit), self.session
        )
        record.append_sampled(turn)
        if turn.finish_reason == "length" and limit < self.sampling.max_new_tokens:
            raise EpisodeEnd(EndReason.CONTEXT_LENGTH, f"cut after {len(record.ids)} tokens in all")
        message = self.codec.parse(turn.token_ids, first_call=self._calls)
        self._calls += len(message.tool_calls or [])
        return message

    def _room(self, context: int) -> int:
        """Tokens left for a turn after `context` more tokens of prompt."""
        used = len(self.tokens.ids) + context
        room = self.context_length - used
        if self.response_length is not None:
            room = min(room, self.response_length - (used - self.tokens.prompt_length))
        return room
