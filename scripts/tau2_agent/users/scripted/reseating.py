"""A SIM card that is taken out and put back, in many words, is "reseated"."""

from __future__ import annotations

import re

_MEANWHILE = (
    r"(?: from (?:its|the|your) (?:\w+ )?(?:tray|slot|phone|device)| (?:gently|carefully|out)"
    r"|,? (?:and |then )*(?:wait|leave it out|pause)(?: for)?(?: about)? \w+(?: \w+)? (?:seconds?"
    r"|moments?|minutes?)"
    r"|,? (?:and |then )*(?:check|make sure)(?: that)? (?:it's|it is|the card is) (?:clean|dry"
    r"|undamaged)"
    r"|,? (?:and |then )*(?:clean|wipe|inspect|dust)(?: it| the card)?(?: off| gently| down)*(?:"
    r" with an? (?:\w+ )*cloth)?"
    r"|,? (?:and |then )*blow (?:on|off) (?:it|the card|any dust))*"
)
_OUT_AND_IN = re.compile(  # of a card, with a look or a wait between
    r"(?:remov|tak|eject|popp?|pull)(?:e|ing)? (?:out )?(?P<card>(?:the "
    r"|your )?(?:sim[ -]?card(?: tray)?|sim tray"
    r"|sim|card)|it)\b"
    rf"(?P<between>{_MEANWHILE})[,;]? (?:and |then )*"
    r"(?P<back>(?:re-?insert|re-?seat|putt?|insert|place|slide|pop|push)(?:ing)?"
    r" (?:it|the (?:sim )?card)(?: right)?(?: (?:carefully|firmly|securely|gently|properly))?"
    r"(?: (?:back(?: in(?:to)?)?|in|again|into)\b)*(?: (?:place|the tray|its (?:tray|slot)|the"
    r" slot))?)"
)


_OUT_AND_BACK = re.compile(  # "pop it out and back in"
    r"(?:remov|tak|eject|popp?|pull|slip|slid)(?:e|ing)? (?P<card>(?:the |your )?sim(?:[ -]?card)?"
    r"|it) out(?: of (?:the|your|its) \w+)?,? (?:and |then )+(?:straight |right )?back in(?:to)?\b"
    r"(?: (?:the|its) (?:tray|slot|phone))?(?: again)?"
)


def _reseated(found: re.Match[str]) -> str:
    """ "remove it, check that it's clean, and insert it again", "reseat it"."""
    if not re.match(r"re-?insert|re-?seat|.*\b(?:back|again)\b", found["back"]):
        return found.group()
    verb = "reseating" if "ing " in found.group() else "reseat"
    return f"{verb} it" if found["card"] == "it" else f"{verb} your sim card"


def reseated(text: str) -> str:
    """The lower-case text with such words said plainly."""
    text = _OUT_AND_BACK.sub(r"reseat \g<card>", text)
    return _OUT_AND_IN.sub(_reseated, text)
