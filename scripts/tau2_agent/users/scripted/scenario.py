"""What the scripted user knows and who he is, read from the user scenario of a task.

Only telecom scenarios are understood. Nothing else of a task is looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Persona:
    """How a user talks and how much fits into one message."""

    max_actions: int
    opening: str
    looked: str
    did: str
    fears_reboot: bool = False


PERSONAS = {
    "none": Persona(2, "", "", "Done. "),
    "easy": Persona(2, "Hi, thank you for your help. ", "I checked. ", "Okay, I did that. "),
    "hard": Persona(
        1, "Oh dear, I am not good with phones. ", "I looked. ", "I think I did it. ", True
    ),
}


def persona_of(text: str | None) -> Persona:
    """The persona that a scenario describes."""
    if not text:
        return PERSONAS["none"]
    uneasy = re.search(r"flustered|overwhelmed|quite limited|uneasy", text)
    return PERSONAS["hard" if uneasy else "easy"]


@dataclass(frozen=True)
class Scenario:
    """What the user knows, parsed from the user scenario of a task."""

    issue: str  # "service", "data" or "mms"
    opening: str
    name: str
    phone_number: str
    location: str | None
    refuel_gb: str | None
    refuses_plan_change: bool
    pays_bills: bool
    since: str | None
    persona: Persona

    @classmethod
    def of(cls, user_scenario: Any) -> Scenario:
        """Raises ValueError when it is no telecom scenario."""
        told = user_scenario.instructions
        known, rules = told.known_info or "", told.task_instructions or ""
        person = re.search(r"You are (.+?) with phone number ([\d-]+)", known)
        location = re.search(r"You are currently ([^.]+)\.", known)
        refuel = re.search(r"willing to refuel ([\d.]+) GB", rules)
        since = re.search(r"for (the past [^.]+)\.", told.reason_for_call)
        issue = _issue_of(told.reason_for_call)
        if person is None or issue is None:
            raise ValueError(
                f"user 'scripted' knows only telecom scenarios; this one says "
                f"{told.reason_for_call!r}. Choose another user for it."
            )
        return cls(
            issue=issue,
            opening=_first_person(told.reason_for_call),
            name=person[1],
            phone_number=person[2],
            location=location[1] if location else None,
            refuel_gb=refuel[1] if refuel else None,
            refuses_plan_change="do not want to change your mobile data plan" in rules,
            pays_bills="pay a bill, you accept" in rules,
            since=since[1] if since else None,
            persona=persona_of(user_scenario.persona),
        )


def _issue_of(reason: str) -> str | None:
    for issue, words in (("mms", "MMS"), ("service", "No Service"), ("data", "mobile data")):
        if words in reason:
            return issue
    return None


def _first_person(reason: str) -> str:
    """The reason for the call in the user's own words; what he would settle for stays back."""
    told = ". ".join(reason.split(". ")[:2]).rstrip(".") + "."
    told = told.replace("You mobile data", "My mobile data")
    swaps = (("You are", "I am"), ("Your", "My"), ("your", "my"), ("You", "I"), ("you", "I"))
    for yours, mine in swaps:
        told = re.sub(rf"\b{yours}\b", mine, told)
    return told
