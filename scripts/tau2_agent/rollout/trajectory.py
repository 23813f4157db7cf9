"""What an episode leaves behind: messages, tokens, and the reason why it ended.

Messages are tau2's own (`tau2.data_model.message`), so that tau2's evaluator can read them.
Nothing here knows of models, rewards or files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tau2.data_model.message import AssistantMessage, Message, ToolMessage, UserMessage

from tau2_agent.errors import PipelineError


class EndReason(StrEnum):
    """Why an episode ended. The first five are tau2's `TerminationReason`."""

    USER_STOP = "user_stop"
    AGENT_STOP = "agent_stop"  # of tau2's solo agents; no episode with a user ends so
    MAX_STEPS = "max_steps"
    TOO_MANY_ERRORS = "too_many_errors"
    AGENT_ERROR = "agent_error"  # an empty turn: neither text nor a tool call
    CONTEXT_LENGTH = "context_length"  # the next turn would not fit the model's window
    REPEAT_LIMIT = "repeat_limit"  # the same turns again and again; in training only
    TIMEOUT = "timeout"  # the episode's wall time: steps are limited, so the machine was slow
    USER_ERROR = "user_error"  # the user simulator failed
    POLICY_ERROR = "policy_error"  # the server behind the policy failed


# The only ends that tau2 scores above zero.
OFFICIAL_ENDS = frozenset({EndReason.USER_STOP, EndReason.AGENT_STOP})

# Not the agent's doing: such an episode is retried, then left out and counted.
INFRASTRUCTURE_ENDS = frozenset({EndReason.TIMEOUT, EndReason.USER_ERROR, EndReason.POLICY_ERROR})


@dataclass(eq=False)
class EpisodeEnd(Exception):
    """Raised by an agent that cannot take another turn, with the name of the end."""

    reason: EndReason
    detail: str = ""


class UserFailure(Exception):
    """The user simulator could not answer. `kind` is a short name that results are counted by."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind


class JobStop(PipelineError):
    """No further episode can count: no key, budget spent, no server, a user simulator that fails.

    Ends the job, not only the episode. What is done is kept; the message says what to do.
    """


class PolicyFailure(PipelineError):
    """The policy's server could not answer: dead, overloaded, or it aborted the request."""


@dataclass
class Turn:
    """One answer of a policy.

    `token_ids` and `log_probs` have the same length; log probs are natural logarithms under the
    distribution that was sampled from (temperature applied). `finish_reason` is "stop" (the last
    id is the stop token) or "length".
    """

    token_ids: list[int]
    log_probs: list[float]
    finish_reason: str


@dataclass
class TokenRecord:
    """The token stream of one episode, as the policy saw and wrote it.

    `ids`, `loss_mask` and `log_probs` are aligned; `loss_mask` is 1 on sampled tokens and 0 on
    everything else, where `log_probs` is 0.0. The first `prompt_length` ids are the first prompt.
    `cut_turns` were stopped by a limit of tokens.
    """

    ids: list[int] = field(default_factory=list)
    loss_mask: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    prompt_length: int = 0
    cut_turns: int = 0

    def append_context(self, ids: list[int]) -> None:
        """Append ids that the policy did not choose."""
        self.ids += ids
        self.loss_mask += [0] * len(ids)
        self.log_probs += [0.0] * len(ids)

    def append_sampled(self, turn: Turn) -> None:
        """Append what the policy sampled, as sampled."""
        self.ids += turn.token_ids
        self.loss_mask += [1] * len(turn.token_ids)
        self.log_probs += turn.log_probs
        self.cut_turns += turn.finish_reason == "length"


@dataclass
class Trajectory:
    """One finished episode. `steps` counts as tau2's orchestrator counts."""

    task_id: str
    messages: list[Message]
    end: EndReason
    detail: str = ""
    failure: str = ""  # of the user simulator: the kind of a USER_ERROR
    steps: int = 0
    tool_errors: int = 0
    agent_turns: int = 0
    seconds: float = 0.0
    tokens: TokenRecord | None = None
    user_report: dict[str, Any] = field(default_factory=dict)
    environment: Any = None  # the live TelecomEnvironment, for scoring; never serialised


def agent_view(messages: list[Message]) -> list[Message]:
    """What the agent has seen: no tool calls of the user, no results of them."""
    seen: list[Message] = []
    for message in messages:
        if isinstance(message, ToolMessage) and message.requestor != "assistant":
            continue
        if isinstance(message, UserMessage) and message.is_tool_call():
            continue
        seen.append(message)
    return seen


def as_chat(message: Message) -> dict[str, Any]:
    """A message in the form of chat templates and SFT trainers.

    Tool-call arguments become a JSON string: a table of dicts would be filled with nulls for
    every argument that another call has.
    """
    if isinstance(message, ToolMessage):
        return {"role": "tool", "content": message.content or "", "tool_call_id": message.id}
    chat: dict[str, Any] = {"role": message.role, "content": message.content or ""}
    if isinstance(message, AssistantMessage) and message.tool_calls:
        chat["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": json.dumps(call.arguments, ensure_ascii=False),
                },
            }
            for call in message.tool_calls
        ]
    return chat
