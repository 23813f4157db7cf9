"""What "it" and "that" are: what was just proposed, the thing that fits the verb, the position."""

from __future__ import annotations

import re

from tau2_agent.users.scripted.actions import asked_for
from tau2_agent.users.scripted.lexicon import TOGGLES
from tau2_agent.users.scripted.message import Message
from tau2_agent.users.scripted.request import FACTS, Request
from tau2_agent.users.scripted.things import things_in

_PROPOSED = re.compile(
    r"(?:(?:i|we) (?:think|believe|suspect|expect)(?: that)? )?"
    r"(?:(?:one|another|the (?:best|next)) (?:\w+ )?(?:thing|step|fix|way)\b.*? (?:is|would be)"
    r" (?P<last>\w+ing\b.*)|(?P<first>\w+ing\b.*?) (?:should|may|might|could|will|would|can|often"
    r"|usually|normally|typically|sometimes) (?:\w+ly |also |well |often )*(?:help|fix|resolve"
    r"|solve|clear|restore|refresh|correct|improve)\w*\b.*"
    r"|your (?:phone|device) (?:\w+ ){0,2}needs? an? (?:\w+ )?(?P<again>restart|reboot))"
)
CASE = re.compile(r"\b(?:if|unless|when|once|until|after|before|only|later|next|or)\b")
_RECENT = 3  # sentences back that "it" may mean


def proposed(statement: str) -> list[Request]:
    """What a statement says would help, to which "please do that" comes back."""
    found = _PROPOSED.fullmatch(statement)
    deed = next(filter(None, found.groups())) if found else " and "
    return [] if " and " in deed else asked_for(deed, "") or []


def about_what_was_named(rest: str, message: Message) -> list[Request] | None:
    """What "it" can be done with: the one thing of the last sentences that fits the verb."""
    for topics in message.named[:_RECENT]:
        fitting = [found for topic in topics if (found := asked_for(rest, topic))]
        if fitting:
            return fitting[0] if len(fitting) == 1 else None
    return None


def in_the_other_position(
    found: list[Request] | None, rest: str, message: Message
) -> list[Request] | None:
    """ "Mobile data is off, unlike Wi-Fi. Turn it on": the switch that is said to be off."""
    if not found or len(found) > 1 or found[0].want is None or things_in(rest):
        return found
    want = found[0].want
    others = [fact for fact, seen in message.told.items() if seen is not want]
    if message.told.get(found[0].fact) is (not want) or len(others) != 1:
        return found
    topic = next((t for t, _ in TOGGLES.items() if FACTS.get(t, t) == others[0]), "")
    return asked_for(rest, topic) or found
