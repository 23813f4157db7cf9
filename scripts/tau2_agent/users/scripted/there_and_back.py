"""Whether a message wants a thing changed and changed back, and only one half was understood.

"Set it to 3G only for a moment, then revert it." Half of such a pair leaves the phone as nobody
wants it, so neither half is pressed, nor named in a question.
"""

from __future__ import annotations

import re

from tau2_agent.users.scripted import grammar
from tau2_agent.users.scripted.keeping import is_pair
from tau2_agent.users.scripted.lexicon import MODES, TOGGLES, VERB_WORDS
from tau2_agent.users.scripted.message import Message, Said
from tau2_agent.users.scripted.request import Request
from tau2_agent.users.scripted.things import marked, state, things_in

MODE = re.compile("|".join(f"(?:{words})" for words, _ in MODES))
_PAIRS = frozenset(
    (*TOGGLES.values(), "connect_vpn", "disconnect_vpn", "set_network_mode_preference")
)
_JOINT = (
    r"(?:[,;:.(\u2013\u2014-]\W*+|\b(?:and|then|afterwards?|later|again|also|please|finally|next"
    r"|before)\W++)++"
)
_IT = r"(?:it|that|this|them|things|everything|(?:the|your|its) (?:\w+ ){0,2}\w+)"
_RETURN = re.compile(
    rf"{_JOINT}(?:\w+ly )?(?:back(?: (?:again|to|over)|\W*$)"
    rf"|(?:revert|restor|undo|revers|re-?establish)(?:e|ing)? (?:{_IT}|to\b)|(?:revert|undo)\b"
    rf"|(?:return|go|get|mov|com)(?:e|ing)? (?:{_IT} )?(?:back )?to (?:normal|(?:what|how"
    rf"|where) \w+|the"
    rf" (?:old|previous|original|former|first|earlier|initial)|[2345]g|lte)"
    rf"|(?:switch|turn|put|set|chang|bring|flip|mov|toggl|tak|do|go)(?:e"
    rf"|t?ing)? (?:{_IT} )?(?:back\b(?! (?:on|off"
    rf"|in|out)\b)|again\b|(?:once|one time|one) more\b|a second time\b|the other way"
    rf"|the opposite))"
    r"|\b(?:a second time|the (?:other|opposite) way again|and back)\b(?! (?:on|off|in|out)\b)"
)
_AGAINST = re.compile(  # a mode that is not wanted
    rf"\b(?:from|not|instead of|rather than|over|than|no longer"
    rf"|without) (?:\w+ )?(?:{MODE.pattern})"
    r"(?:[ _]only)?"
)
_PURPOSE = re.compile(r"\b(?:so (?:that|your|the|it|you)|because|as|since|in order|which)\b")
_FOR_A_TIME = re.compile(  # "turn off T_roaming for a few seconds"
    r"T_\w+(?: \w+){0,3}? for (?:about |around |at least |roughly |just |only )*(?:an?|\d+|\w+)"
    r"(?: \w+){0,2}? ?(?:seconds?|secs?|minutes?|mins?|hours?|moments?|bit|while)\b"
)
_AIM = re.compile(
    r"\b(?:should|must|ought|needs?|wants?|supposed|end(?:s|ing)? up|aim|goal|target|result)\b"
)
_NEXT_MODE = re.compile(
    r"(?:(?:wait|pause)\b(?: (?!and |then )[^, ]+)*|[\s,(]|and\b|then\b|later\b|finally\b|back\b"
    r"|after (?:an?|\d+|\w+) \w+|after\w*\b[^,]*,)*+"
    rf"(?:(?:(?:in)?to|on) )?(?:{MODE.pattern})"
)


def leaves_half(message: Message) -> bool:
    """Whether one half of a pair is missing among the requests of a message."""
    half = [request for request in message.requests if _lacks_its_other(request, message.requests)]
    if not half:
        return False
    modes = {dict(r.arguments).get("mode") for r in message.requests} - {None}
    behind = False
    for said in message.sentences:
        if (said.presses or behind) and _returns(said):
            return True
        if modes and said.presses and _modes_of(said) - modes:
            return True
        behind = behind or said.presses
    return False


def may_be_half(said: Said, requests: list[Request]) -> bool:
    """Whether a sentence that is not certain names both positions of its one switch.

    Or one of them for a time, or the goal of a toggle.
    """
    if names_the_goal(said, requests):
        return True
    named = {found.group() for found in grammar.PARTICLE.finditer(said.text)}
    verbs = {found.lastgroup for found in VERB_WORDS.finditer(said.text)}
    switches = {thing.topic for thing in things_in(said.text)} & {*TOGGLES, "vpn"}
    both = {"on", "off"} <= named and not re.search(r"\bnot o(?:n|ff)\b", said.text)
    both = both or {"on", "off"} <= verbs or {"connect", "disconnect"} <= verbs
    pairs = any(request.tool in _PAIRS for request in requests)
    both = both or bool(pairs and _FOR_A_TIME.search(marked(said.text)))
    return said.presses and both and len(switches) < 2 and not is_pair(requests)


def names_the_goal(said: Said, requests: list[Request]) -> bool:
    """Whether a sentence says where a switch should end up that is only to be toggled."""
    toggled = any(r.tool in TOGGLES.values() and r.want is None for r in requests)
    aims = toggled and not said.presses and _AIM.search(said.text)
    return bool(aims) and state(said.text) is not None


def _lacks_its_other(request: Request, requests: list[Request]) -> bool:
    if request.tool not in _PAIRS:
        return False
    tools = {request.tool}
    if request.topic == "vpn":
        tools = {"connect_vpn", "disconnect_vpn"} - tools
    other = (request.want is None, request.want, request.arguments)
    return not any(
        r.tool in tools
        and (request.topic == "vpn" or (r.want is None, r.want, r.arguments) != other)
        for r in requests
    )


def _returns(said: Said) -> bool:
    verb = VERB_WORDS.search(grammar.FILLERS.sub("", said.text)) if said.presses else None
    text = grammar.FILLERS.sub("", said.text)[verb.end() :] if verb else f". {said.text}"
    return bool(_RETURN.search(text))


def _modes_of(said: Said) -> set[str]:
    """The modes that a sentence asks for."""
    named: set[str] = set()
    for part in said.parts:
        text = _AGAINST.sub(" ", _PURPOSE.split(part.text)[0] if part.presses else part.text)
        if part.presses or _NEXT_MODE.match(text):
            named |= {mode_named(found.group()) for found in MODE.finditer(text)}
    return named


def mode_named(words: str) -> str:
    """The network mode, in the tool's own word, that such words name."""
    return next(name for pattern, name in MODES if re.search(pattern, words))
