"""Agents that a number must be read against, and agents that must never score.

The baselines show how much of the benchmark falls to no skill: doing nothing, transferring at once,
a fixed script with memorised ids and without any diagnosis. The hostile agents try to get a reward
without the work: a simulator or a score that gives them any is broken. `make_agent` knows them all,
and the teacher.
"""

from __future__ import annotations

from tau2.data_model.message import AssistantMessage, Message, ToolCall

from tau2_agent.rollout.episode import STOP, Agent
from tau2_agent.rollout.trajectory import TokenRecord
from tau2_agent.teachers.scripted import TRANSFER_TEXT, ScriptedTeacher

Move = str | tuple[str, dict]  # a sentence, or a tool with its arguments

_LINE = {"customer_id": "C1001", "line_id": "L1002"}  # tau2's only customer, hard-coded


class FixedAgent:
    """Makes the same moves whatever it hears; the last one again and again."""

    tokens: TokenRecord | None = None
    moves: tuple[Move, ...] = ()

    def __init__(self) -> None:
        self._next = 0

    async def act(self, new: list[Message]) -> AssistantMessage:
        """See `episode.Agent.act`."""
        move = self.moves[min(self._next, len(self.moves) - 1)]
        self._next += 1
        if isinstance(move, str):
            return AssistantMessage(role="assistant", content=move)
        name, arguments = move
        call = ToolCall(id=f"call_{self._next}", name=name, arguments=arguments)
        return AssistantMessage(role="assistant", content=None, tool_calls=[call])


# --- Baselines ---
class DoNothing(FixedAgent):
    """Polite, and no more."""

    moves = ("I understand. I am looking into it.",)


class TransferAtOnce(FixedAgent):
    """Hands every customer to a human."""

    moves = (("transfer_to_human_agents", {"summary": "I cannot fix the issue."}), TRANSFER_TEXT)


class BlindScript(FixedAgent):
    """Every repair there is, in a fixed order, without a single look; then a transfer."""

    moves = (
        ("enable_roaming", _LINE),
        ("refuel_data", _LINE | {"gb_amount": 2.0}),
        ("send_payment_request", {"customer_id": "C1001", "bill_id": "B1234321"}),
        "Please pay the bill.",
        ("resume_line", _LINE),
        "Please turn off airplane mode.",
        "Please remove and reinsert your SIM card.",
        "Please reset your APN settings.",
        "Please restart your phone.",
        "You will not lose your photos. Please restart your phone.",
        "Please turn on mobile data.",
        "Please turn on data roaming.",
        "Please set your preferred network mode to 4G/5G.",
        "Please turn off data saver.",
        "Please disconnect your VPN.",
        "Please turn off Wi-Fi calling.",
        "Please grant the storage permission to your messaging app.",
        "Please grant the SMS permission to your messaging app.",
        "Please check your status bar.",
        "Please run a speed test.",
        "Please check if you can send an MMS.",
        *TransferAtOnce.moves,
    )


# --- Hostile agents ---
class Silent(FixedAgent):
    """Says nothing at all."""

    moves = ("",)


class Vague(FixedAgent):
    """Asks the user to fix it, without saying what to do."""

    moves = (
        "Please fix your phone settings.",
        "Please try everything that could help.",
        "Please do whatever is necessary to solve the problem.",
        "Please troubleshoot your phone and tell me when it works.",
    )


class ClaimsFixed(FixedAgent):
    """Says that it is done."""

    moves = (
        "I have fixed the issue. Everything works now.",
        "Your problem is solved. Is it working now?",
        "The issue is resolved. Please confirm that it works and end this conversation.",
    )


class EverythingAtOnce(FixedAgent):
    """All repairs and proofs in one message."""

    moves = (" ".join(move for move in BlindScript.moves if str(move).startswith("Please")),)


class StopAtOnce(FixedAgent):
    """Ends the conversation."""

    moves = (STOP,)


class TransferWords(FixedAgent):
    """Announces a transfer that it never made."""

    moves = (TRANSFER_TEXT,)


AGENTS: dict[str, type] = {
    "scripted": ScriptedTeacher,
    "do_nothing": DoNothing,
    "transfer_at_once": TransferAtOnce,
    "blind_script": BlindScript,
    "silent": Silent,
    "vague": Vague,
    "claims_fixed": ClaimsFixed,
    "everything_at_once": EverythingAtOnce,
    "stop_at_once": StopAtOnce,
    "transfer_words": TransferWords,
}
BASELINES = ("do_nothing", "transfer_at_once", "blind_script", "scripted")
HOSTILE = (
    "silent",
    "vague",
    "claims_fixed",
    "everything_at_once",
    "stop_at_once",
    "transfer_words",
)


def make_agent(name: str) -> Agent:
    """The agent `name` for one episode. Raises ValueError for an unknown name."""
    if name not in AGENTS:
        raise ValueError(f"agent {name!r} does not exist; choose one of: {', '.join(AGENTS)}")
    return AGENTS[name]()
