"""What "it" and "that" are: what was just proposed, the thing that fits the verb, the position."""

from __future__ import annotations

import re

from tau2_agent.users.scripted.actions import asked_for
from tau2_agent.users.scripted.message import Message, Sentence
from tau2_agent.users.scripted.request import Request

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
_PLURAL = re.compile(r"\b(?:them|both|these|those)\b")
PRONOUN = re.compile(r"\b(?:it|that|this|them|both|these|those)\b")


def proposed(statement: str) -> list[Request]:
    """What a statement says would help, to which "please do that" comes back."""
    found = _PROPOSED.fullmatch(statement)
    deed = next(filter(None, found.groups())) if found else " and "
    return [] if " and " in deed else asked_for(deed, "") or []


def meant(
    found: list[Request] | None, rest: str, sentence: Sentence, message: Message
) -> tuple[list[Request] | None, bool]:
    """What "it" or "them" is in a request, and whether that is a guess. found: by the topic alone.

    It is the thing that fits the verb in the nearest sentence that names one; of several the one
    that is said to stand in the other position. "Data" alone is the thing only if nothing else is.
    """
    every: list[Request] = []
    for topics in (tuple(sentence.named), *message.named[:_RECENT]):
        fitting = _fitting(rest, topics)
        every += [request for request in fitting if request not in every]
        specific = [request for request in fitting if request.topic != "data"]
        if not specific:
            continue
        if _PLURAL.search(rest):
            return specific, len(specific) > 2
        open_ones = [r for r in specific if message.told.get(r.fact, not r.want) is not r.want]
        if len(open_ones) == 1:
            return open_ones, False
        if not open_ones:
            continue  # it is so already; another one may be meant
        other = [r for r in specific if message.told.get(r.fact) is (not r.want)]
        if len(other) == 1:
            return other, False
        return (found if found and found[0] in specific else specific[:1]), True
    return (every[:1] or found), len(every) > 1


def _fitting(rest: str, topics: tuple[str, ...]) -> list[Request]:
    """One request for each thing that the verb can be said of."""
    found: list[Request] = []
    for topic in topics:
        asked = asked_for(rest, topic) or []
        if len(asked) == 1 and not asked[0].reads and asked[0] not in found:
            found += asked
    return found
