"""What must be the case before a request holds: "if your SIM card is missing, ..."."""

from __future__ import annotations

import re
from typing import Any

from tau2_agent.users.scripted.lexicon import PERMISSIONS, TOGGLES
from tau2_agent.users.scripted.request import AGREES, CONTEXT, CORRECT, FACTS, LACKS
from tau2_agent.users.scripted.things import state, things_in

# --- What a condition may say ---
_SIM_STATES = tuple(
    (re.compile(pattern), value)
    for pattern, value in (
        (r"missing|not (?:detected|inserted|recogni|found|seated|in)|no sim|isn't", "missing"),
        (r"lock|\bpin\b|\bpuk\b", "locked"),
        (r"active|working|detected|fine", "active"),
    )
)
_OUTCOME = re.compile(
    r"\bstill|work|help|persist|continu|fail|resolv|restor|problem|issue|error"
    r"|back\b"
)
_SHORT_CONDITION = re.compile(
    r"^(?:if|should)\b\W*(?:so|not|yes|(?:it|that|this|they)(?:'s| is| are) not|you are|you do"
    r"|you're|needed|necessary|required|(?:(?:it|that|this|they|one)"
    r"(?:'s| is| are| was| isn't| aren't)?)? ?(?:(?:not|currently|still|already|indeed)"
    r" )*(?:(?:on|off|enabled|disabled|active"
    r"|connected|missing|the case|needed|necessary|poor|slow|there|locked|(?:turned"
    r"|switched) (?:on|off)"
    r"|not set|broken|incorrect|detected|be (?:on|off|enabled|disabled|active"
    r"|connected)))?(?: already)?"
    r"|you(?:'re| are| have| do)? ?(?:currently |indeed )?(?:using|connected|on|have|running|run"
    r"|use)?(?: to)? ?(?:one|it|any)"
    r"(?: (?:active|connected|running|enabled|on))?)\W*$"
)
_CONSENT = re.compile(
    r"^(?:if|should) (?:you (?:decide|choose|opt)\b|the (?:amount|bill|details?) match(?:es)?\b"
    r"|(?:everything|all|the (?:amount|bill|price"
    r"|cost|details?)) ?(?:looks?|is|seems?|checks out)|(?:you|you'?re|you are|that|this|it"
    r"|it's) ?(?:are|is|'re)? ?(?:agree\w*|accept|consent|approve|want"
    r"(?: to)?|(?:would |'d )?(?:like|wish|prefer)(?: to)?|happy|willing|fine|ok|okay"
    r"|comfortable|ready|matches|adds up"
    r"|acceptable|sounds (?:good|ok|okay|fine|right)|works for you|looks? (?:right|correct|good"
    r"|fine)"
    r"|is (?:right|correct)))\b"
)

_APN_BAD = re.compile(r"incorrect|wrong|broken|not set|missing|empty|not correct|isn't set")
_RESULTS = ("speed", "internet", "mms")  # what a look at them shows is no guard: "if it is slow"

Guard = tuple[str, Any]  # a fact of `handset.read` (or "abroad", "context") and its value


def guard_of(text: str, context: str) -> Guard | None:
    """The fact behind a condition; None when it is about an outcome that nobody knows yet.

    `context` is the topic that "it" means. ("context", value) stands for "if it is".
    """
    if text.startswith("unless "):
        guard = guard_of(f"if {text.removeprefix('unless ')}", context)
        return _opposite(guard)
    if _CONSENT.match(text):
        looked_over = re.search(r"\b(?:looks?|seems?|checks out|correct|right)\b", text)
        return (CORRECT if looked_over else AGREES, True)
    denied = bool(re.search(r"\b(?:not|no|isn't|aren't|doesn't|don't|without|lacks?)\b", text))
    topics = [thing.topic for thing in things_in(text) if thing.topic != "phone"]
    if not topics and (context == "sim" or (context == "permissions" and permissions_named(text))):
        topics = [context]
    for topic in topics:
        if guard := _about(topic, text, denied):
            return guard
    if not topics and (old := re.search(r"\b[2345]g\b", text)):
        return ("old_mode", (old.group()[0] in "23") != denied)
    if re.search(r"\babroad\b|\btravel|\boutside\b", text):
        return ("abroad", not denied)
    if not topics and context == "apn" and _APN_BAD.search(text):
        return ("apn_ok", False)
    if not topics and context not in _RESULTS and _SHORT_CONDITION.match(text):
        seen = state(text)
        return (CONTEXT, seen if seen is not None else not denied)
    return None


def permissions_named(text: str) -> tuple[str, ...]:
    """Permissions that a text names: "if storage is missing"."""
    return tuple(name for name, words in PERMISSIONS.items() if re.search(words, text))


def _opposite(guard: Guard | None) -> Guard | None:
    if guard is None or not isinstance(guard[1], bool):
        return None
    return (guard[0], not guard[1])


def _about(topic: str, text: str, denied: bool) -> Guard | None:
    if topic in TOGGLES or topic == "vpn":
        seen = state(text)
        if seen is None and re.search(r"\bsee|\bicon|\bshows|\busing|\bpoor|\bslow", text):
            seen = not denied
        return None if seen is None else (FACTS.get(topic, topic), seen)
    if topic == "permissions":
        missing = denied or re.search(r"\bmissing|\boff\b|\bdisabled", text)
        return (LACKS, True) if missing else None
    if topic == "sim":
        for words, value in _SIM_STATES:
            if words.search(text):
                return ("sim", value)
    if topic == "apn":
        return ("apn_ok", not _APN_BAD.search(text))
    if topic in ("network_mode", "network_type"):
        return ("old_mode", bool(re.search(r"\b[23]g", text)) != denied)
    if topic == "status_bar" and not _OUTCOME.search(text):
        return ("signal", not denied)
    return None
