"""Whether a clause puts off what stands behind it: "wait until you are home, then turn it on".

The user cannot see what happens outside the call, so what waits for it is not pressed. The phone's
own reaction to what was just asked for ("until it is back on") is no such wait, nor is a pause.
"""

from __future__ import annotations

import re

from tau2_agent.users.scripted.known_phrases import DURATION

_ASKED = (
    r"^(?:(?:please|kindly|and|then|just|so|but|now|first|let's|let us|(?:we|you)(?:'ll| will)?"
    r" (?:need|have|want) to|(?:we|you) should|(?:can|could|would) you|make sure to) )*"
)
_WAITS = r"(?:wait|hold(?: on| off)?|hang (?:on|tight)|stand by|sit tight|pause|stay|keep|leave)"
_EVENT = re.compile(
    rf"{_ASKED}(?:{_WAITS}\b[^,;]*? until|(?:do nothing|(?:do not|don't)\b[^,;]*?) until"
    rf"|(?:await|{_WAITS} for)(?= (?:the|your|my|our|an?|it|that|this|me|us|\w+ing)\b))"
    r" (?P<event>.+)"
)
_ITSELF = (
    r"(?:it|this|that|they|everything|(?:the |your )?(?:\w+ )?(?:phone|device|handset|screen"
    r"|restart|reboot|reset|process|boot|changes?|settings?|icon|symbol|switch|toggle|connection"
    r"|signal|network|bars?))"
)
_RESTARTS = (
    r"(?:re-?start\w*|re-?boot\w*|boot\w*|starts?|started|back|power\w*|turned|turns|comes?|on|up"
    r"|finish\w*|complet\w*|done|ready)"
)
_RESTARTED = re.compile(
    r"(?:it|(?:the|your) (?:phone|device|restart|reboot))(?:'s| is| has| was| to)?"
    rf"(?: (?:been|be|all|fully|completely))* {_RESTARTS}(?: (?:back|on|up|again|fully"
    r"|completely))*\W*"
)
_REACTS = re.compile(rf"{_ITSELF}(?:'s| is| are| has| have| to)?(?: [\w-]+){{1,4}}\W*")
_THE_RESTART = re.compile(r"(?:the|your) (?:restart|reboot|reset|change|changes)\W*")
_OTHERS = re.compile(r"\b(?:you|you're|you've|i|i'm|i've|we|we're|we've|me|us|my|our)\b")
_RESOLVED = re.compile(
    r"(?:we|we've|we're|i|i've|it|it's|this|everything|the (?:issue|problem))(?: \w+){0,3}"
    r" (?:resolv|fix|sort|done|finish|figur|solv|work)\w*\b.*"
)
_PAUSE = re.compile(
    rf"(?:{DURATION}|\d+ ?s\b|\w+ (?:seconds?|minutes?|moments?))"
    r"(?: or so| at least| (?:have|has) (?:passed|gone by))?\W*$"
)


def waits_for_an_event(clause: str, pressed: bool) -> bool:
    """Whether a lower-case clause says to wait for what a look at the phone cannot show.

    pressed: something was asked to be pressed before it, to which the phone reacts.
    """
    found = _EVENT.match(clause)
    if not found:
        return False
    event = found["event"]
    if _PAUSE.match(event) or _RESTARTED.fullmatch(event) or _RESOLVED.match(event):
        return False
    if not pressed or _OTHERS.search(event):
        return True
    return not (_REACTS.fullmatch(event) or _THE_RESTART.fullmatch(event))
