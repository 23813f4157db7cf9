"""A thing that is switched there and back at once, in many words: "toggle it off and on"."""

from __future__ import annotations

import re

PHONE = r"(?:(?:your|the) )?(?:phone|device)"
SWITCH = (
    r"(?:(?:your|the) )?(?:(?:airplane|flight)(?: mode)?|(?:mobile|cellular) data"
    r"|(?:data )?roaming"
    r"|data saver(?: mode)?|wi-?fi(?: calling)?|vpn)"
)
_PAUSED = (  # between two positions of a switch: "off, wait a few seconds, on"
    r"(?:[ ,:;()\u2013\u2014>/-]|\b(?:and|then|back|wait\w*|pause|for|a|an|the|few|couple of"
    r"|moment"
    r"|seconds?|secs?|s|bit|while|again|\d+ ?s?|five|ten|thirty|after)\b)++"
)
_CYCLES = tuple(
    (re.compile(pattern), plain)
    for pattern, plain in (
        (  # what a restart is: "power-cycle your phone: turn it off, wait, and turn it back on"
            rf"\b((?:re-?(?:start|boot)|power[ -]?cycl)(?:e|ing)? {PHONE})\s*[:,(\u2013\u2014-]+\s*"
            rf"(?:please |just |simply )?(?:turn|switch|power|shut)(?:ing)? (?:it|{PHONE})"
            r" (?:off|down)\b[^.?!\n]{0,60}?\b(?:back on|on again|(?:turn|switch|power) it on)\b"
            r"(?: again)?\)?",
            r"\1",
        ),
        (  # "cycle mobile data (off, wait, on)"
            rf"\b(?:cycl|toggl|flip|switch|turn)(?:e|p?ing)? ({SWITCH})\s*[ :,(\u2013\u2014-]\s*"
            rf"(on|off)\b{_PAUSED}\b(on|off)\b(?!\W*(?:and |then )*(?:on|off)\b)\)?",
            r"toggle \1 \2 and \3",
        ),
        (
            r"\bcycl(?:e|ing) ((?:(?:your|the) )?(?:air|flight)\w*(?: mode)?)",
            r"toggle \1 on and off",
        ),
        (r"\bcycl(?:e|ing) ((?:(?:your|the) )?vpn)\b", r"disconnect \1 and then connect \1"),
        (rf"\bcycl(?:e|ing) ({SWITCH})", r"toggle \1 off and on"),
        (r"\bre-?establish(ing)? (it|(?:the|your) vpn)\b", r"connect\1 \2"),
        (
            r"\b(on|off),? for (?:about |around |at least )?[\w-]+ (?:more )?(?:seconds?|secs?"
            r"|minutes?"
            r"|moments?|bit|while),? (?:and |then )+(?:back )?(on|off)\b(?: again)?",
            r"\1 and then \2",
        ),
        (
            r"(?:enable|(?:turn|switch|toggle) on) and (?:then )?"
            r"(?:disable|(?:turn|switch|toggle) (?:back )?off)( [\w -]+)",
            r"toggle\1 on and off",
        ),
        (
            r"(?:disable|(?:turn|switch|toggle) off) and (?:then )?"
            r"(?:re-?enable|(?:turn|switch|toggle) (?:back )?on)( [\w -]+)",
            r"toggle\1 off and on",
        ),
    )
)


def cycled(text: str) -> str:
    """The lower-case text with such words said plainly."""
    for pattern, plain in _CYCLES:
        text = pattern.sub(plain, text)
    return text
