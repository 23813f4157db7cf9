"""Positions of switches in a text: a label, whatever links it to its value, the value.

A denial may stand before the label ("I don't have airplane mode on"), one value may be that of
several labels ("airplane mode and data saver are both off"), and one may be left out ("mobile data
is on but roaming isn't").
"""

from __future__ import annotations

import re

# What may stand between a label and its value: "Airplane Mode: OFF", "airplane mode is currently
# turned off", '"airplane_mode": "OFF"'.
LINK = (
    r"(?:[\s:=|>,?-]|\([^()]*\)|'s\b|(?:is|are|was|it|it's|it is|its|i see|shows?|showing|says?"
    r"|reads?|that|appears|seems|to|be|now|currently|already|turned|switched|set|still|also|both"
    r"|as|has|have|been|being|just|at|the moment|right now|status|state|mode|setting|settings|value"
    r"|field|radio|option|feature|listed|marked|displayed|labelled|labeled|a|an|the|successfully"
    r"|enabled(?=(?: is)?\s*[:=?|-]?\s*(?:yes|no|on|off|true|false)\b))\b)*?"
)
POSITION = (
    r"(?P<denied>not |isn't |no longer |never )?(?:been |currently |turned |switched |set to )*"
    r"(?P<value>on|off|yes|no|true|false|active|inactive|activated|deactivated|disabled"
    r"|enabled(?!(?: is)?\s*[:=?|-]?\s*(?:yes|no|on|off|true|false)\b))\b"
)
_ON = frozenset({"on", "yes", "true", "active", "activated", "enabled", "connected"})
LABELS = {
    "airplane": r"(?:airplane|aeroplane|flight) mode",
    "mobile_data": r"(?:mobile|cellular) data",
    "roaming": r"(?:data |international )?roaming",
    "data_saver": r"data saver(?: mode)?",
    "wifi_calling": r"wi-?fi calling",
    "wifi": r"wi-?fi(?! calling)(?! connected)(?! network)",
}
_ALL = {**LABELS, "vpn": r"vpn"}
_ANY = "|".join(f"(?P<{fact}>{label})" for fact, label in _ALL.items())
_ONE = "|".join(_ALL.values())
_NAMED = re.compile(rf"\b(?:{_ANY})\b")
_STATED = re.compile(
    rf"\b(?P<label>{_ONE}){LINK}"
    rf"{POSITION.replace('on|off|', 'on|off|(?<=vpn )connected|', 1)}"
)
_SEVERAL = re.compile(  # "neither airplane mode nor data saver is on", "X, Y and Z are all off"
    rf"(?P<pair>\b(?:neither|both) (?:the |my |your )?)?\b(?P<labels>(?:{_ONE})"
    rf"(?:(?:,| and| or| nor| &)+ (?:the |my |your )?(?:{_ONE}))+)(?: mode| settings| switches)?"
    rf"(?P<plural> (?:are|were|have|both|all))?(?: both| all)?{LINK}{POSITION}"
)
_LEFT_OUT = re.compile(  # "mobile data is on but roaming isn't"
    rf"\b(?P<label>{_ONE})(?:'s not| isn't| is not| are not| aren't)"
    r"(?=\W*(?:$|[.;,!?]|and\b|but\b))"
)
# A denial holds from where its clause begins; "Wi-Fi: no" denies nothing behind it.
_CLAUSE = re.compile(r"[.;!?,|:=]| - |\b(?:but|and|though|although|because|since|so|while|yet)\b")
_DENIAL = re.compile(r"n't\b|\b(?:not|no|neither|nor|never|without|cannot|hardly)\b")
_UNSURE = re.compile(r"\b(?:if|whether|unless|when|would|should|could|why)\b")
_PROSE = re.compile(r"\b(?:i|you|we|there|it|neither)\b")
_DENIES_IT = frozenset(  # words that with a denial say what somebody does not have, see or think
    re.findall(
        r"\w+",
        """i you we it there they my your the this phone screen device that any a an no not neither
        nor never either do does did is are am was have has had having got see seeing think believe
        find show shows seem to as far can ca cannot could currently now actually well sorry right
        at moment in of with being be ve s m""",
    )
)


def position(found: re.Match[str]) -> bool:
    """Whether the value says that a switch is on."""
    return (found["value"] in _ON) != bool(found["denied"])


def positions(plain: str) -> dict[str, bool | None]:
    """What denials, lists and ellipses say of the switches of a plain lower-case text.

    None: the text speaks of the position of a switch and does not state it.
    """
    facts: dict[str, bool | None] = {}
    ends = 0
    for found in _STATED.finditer(plain):
        said = _under_denial(plain[ends : found.start()], position(found))
        facts.pop(_fact(found["label"]), None)  # what is said last holds
        if said is not position(found):
            facts[_fact(found["label"])] = said
        ends = found.end()
    for found in _SEVERAL.finditer(plain):
        if not (found["pair"] or found["plural"]):
            continue  # "I checked airplane mode, and data saver is on"
        said = _under_denial(plain[: found.start("labels")], position(found))
        facts |= {_fact(name.group()): said for name in _NAMED.finditer(found["labels"])}
    for found in _LEFT_OUT.finditer(plain):
        before = [one for one in _STATED.finditer(plain) if one.end() <= found.start()]
        if before and not re.search(r"[.;]", plain[before[-1].end() : found.start()]):
            facts[_fact(found["label"])] = not position(before[-1])
    return facts


def _under_denial(before: str, said: bool) -> bool | None:
    """What a position is worth behind such words: denied, open (None), or as it is said."""
    cuts = list(_CLAUSE.finditer(before))
    clause = before[cuts[-1].end() :] if cuts else before
    labelled = bool(cuts) and cuts[-1].group() in (":", "=", "|", " - ")
    labelled = labelled and not _PROSE.search(clause)
    if _UNSURE.search(clause):
        return None
    if not _DENIAL.search(clause) or labelled:
        return said
    words = re.findall(r"[a-z]+", clause.replace("n't", " not"))
    return False if said and _DENIES_IT.issuperset(words) else None


def _fact(name: str) -> str:
    return next(fact for fact, label in _ALL.items() if re.fullmatch(label, name))
