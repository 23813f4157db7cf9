"""What the clause of a request must be, to be certain: its words, and the position it wants.

"Turn on Wi-Fi Assist" names another thing than Wi-Fi, so every word of the object of a verb has to
be known (`vocabulary.OBJECT`), more strictly than the words around it (`accounting.py`). Here is
also the position that a switch is to have ("toggle it so that it is off").
"""

from __future__ import annotations

import re
from itertools import pairwise

from tau2_agent.users.scripted import grammar
from tau2_agent.users.scripted.lexicon import VERB_WORDS
from tau2_agent.users.scripted.set_aside import names_another_time
from tau2_agent.users.scripted.things import before, marked, state, things_in
from tau2_agent.users.scripted.vocabulary import OBJECT, OBJECT_VALUES, VERBS

OTHER_PHONE = re.compile(
    r"\b(?:old|other|previous|second|spare|former|backup|another|new|friend's|work)"
    r" (?:\w+ )?(?:phones?|devices?|handsets?|smartphones?|sims?|lines?|mobiles?(?! (?:data"
    r"|network|plan)))\b"
)
_BY_ITSELF = re.compile(
    r"\b(?:by (?:itself|themselves|(?:(?:call|text|phon|dial|contact|visit|ask)ing (?!T_|\w+_))"
    r")|(?:on|of) its own)\b"
)


def known_words(text: str, kind: str = "", menus: bool = False) -> bool:
    """Whether every word is a thing's, a value or harmless, or a verb's.

    kind: after a verb of that kind, of which verbs only those count ("remove and reinsert"), or
    ones that begin anew. menus: before a verb, where ways through menus are told.
    """
    if OTHER_PHONE.search(text):
        return False
    for thing in reversed(things_in(text)):
        text = f"{text[: thing.start]} {text[thing.end :]}"
    text = re.sub(r"(?<!\w)'s\b|\bonly (?=the\b|your\b)", " ", text)
    if kind:
        text = re.sub(
            VERB_WORDS,
            lambda verb: " " if _fits(text, verb, kind) else "riddle",
            text,
        )
    if menus:
        text = re.sub(r"[\w ]+(?=>)|(?<=>)[\w &]+", " ", text)
        text = re.sub(
            r"\b(?:general|system|connectivity|internet|sims?|privacy|manager)\b", " ", text
        )
    text = grammar.TOOL.sub(" ", text)
    text = VERB_WORDS.sub(" ", text)
    text = OBJECT_VALUES.sub(" ", text)
    words = re.findall(r"[^\W_][\w'/-]*", text)
    return all(part in OBJECT for word in words for part in re.split(r"[-/]", word) if part)


def _fits(text: str, verb: re.Match[str], kind: str) -> bool:
    """Whether a verb in the object of another is of its kind, no verb, or the next one."""
    if verb.lastgroup == kind or verb.group() in (
        "switch",
        "toggle",
        "set",
        "setting",
        "see",
        "check",
    ):
        return True
    return bool(
        re.search(r"(?:^|[,;(>-] ?|\b(?:and|then|to|or|by|please))\s*$", text[: verb.start()])
    )


_AS_A_NOUN = re.compile(  # "restart required", "reset pending", "turn off is the default"
    r" (?:is|was|means) (?!on\b|off\b)|  (?:is |was |has |been |not |no longer "
    r"|still )*(?:required|needed|necessary|pending"
    r"|completed?|done"
    r"|finished|optional|recommended|scheduled|successful|failed|possible|advised|in progress)\b"
)


_PART_OF_IT = re.compile(  # "the mobile data icon"
    r"\W?(?:icon|symbol|page|list|item|entry|screen|menu|line|profile|section|tab|bar|panel"
    r"|shade)s?\b"
)


_TYPED = re.compile(r"\b(?:press|dial|enter|type|send|say|text|hit)\W+(?:[\d\"'*#]|yes|ok)")
# Beside what is asked for these may be named: they are where it is done, or what it is good for.
_NEUTRAL = frozenset(
    ("phone", "data", "network_status", "network_type", "internet", "status_bar", "usage", "plan")
)
_TAIL = re.compile(rf"{grammar.TAIL.pattern}|\b(?:with|over|during|at)\b")
_PURPOSE = re.compile(r"(?:so|because|as|since|in order|which|to)\b")
_TO = re.compile(
    r"to (?:(?:the|a|an|its|their|your|default|defaults|original|factory|on|off|enabled|disabled"
    r"|lte|nr)\b|\d)"
)
_PRESS = ("on", "off", "switch", "reboot", "reseat", "reset", "disconnect", "grant")
_JOINT = re.compile(
    r"\W*(?:(?:,|and|to|also|then|the|your|both|mode|switch|settings?|on|off|back|again|now|feature"
    r"|is|are|enabled|disabled|turned|switched|for|first|wait|pause|\d+|seconds?|a|few|about|ten"
    r"|thirty)\W*)*"
)


def about_nothing_else(rest: str, topics: set[str]) -> bool:
    """Whether what follows a verb names other things only as a way, a purpose or one of a list.

    "Turn off mobile data for the messaging app" and "turn on Wi-Fi over roaming" do not.
    topics: of what is to be pressed.
    """
    rest = grammar.NOT_THAT.sub("", rest)
    end = _TAIL.search(rest)
    things = things_in(rest[: end.start()] if end else rest)
    others = [thing for thing in things if thing.topic not in topics | _NEUTRAL]
    named = [thing for thing in things if thing.topic in topics]
    between = [rest[one.end : two.start] for one, two in pairwise(named)]
    if others or not all(_JOINT.fullmatch(text) for text in between):
        return False
    if not end:
        return True
    tail = rest[end.start() :]
    here = {thing.topic for thing in named} or topics
    beside = {thing.topic for thing in things_in(tail)} - here - _NEUTRAL
    if re.search(r">|\bsettings?\b|\bmenu\b|\bto work\b", tail):
        return True
    if _PURPOSE.match(tail):
        aim = re.match(r"to (\w+)", tail)
        if aim and not _TO.match(tail) and aim[1] not in VERBS:
            return False
        press = any(verb.lastgroup in _PRESS for verb in VERB_WORDS.finditer(tail))
        return not (press and beside)
    if "permissions" not in topics and re.search(r"\bapps?\b|\bmessag", tail):
        return False
    return not beside


def certain(text: str, verb: re.Match[str]) -> bool:
    """Whether nothing in a request clause is unknown, up to a purpose or a means."""
    if grammar.FOR_AGENT.search(before(text, grammar.REASON, verb.end())) or re.search(
        r"\bour\b", before(text, _TAIL, verb.end())
    ):
        return False
    if names_another_time(text) or _BY_ITSELF.search(text):
        return False
    if re.match(r"\W*:", text[verb.end() :]) or re.search(r"\bwith (?:it|that|this)\W*$", text):
        return False  # "restart: 1 of 3"
    if _AS_A_NOUN.match(text, verb.end()) or _TYPED.search(text[: verb.start()]):
        return False
    phrase = before(text[verb.end() :], grammar.REASON)
    if any(_PART_OF_IT.match(phrase, thing.end) for thing in things_in(phrase)):
        return False
    place = grammar.TAIL.search(phrase)
    thing, where = (phrase[: place.start()], phrase[place.start() :]) if place else (phrase, "")
    return (
        known_words(text[: verb.start()], menus=True)
        and known_words(thing, kind=verb.lastgroup or "")
        and known_words(where, menus=True)
    )


def certain_call(text: str) -> bool:
    """Whether a clause that names a tool does nothing but call it."""
    return known_words(before(re.sub(r"\([^()]*\)", " ", text), grammar.PURPOSE), menus=True)


# --- The position of a switch ---
_NOW_IS = re.compile(
    r"\(|\b(?:since|because|as|which|who|currently|right now|at the moment|given that|it's|it is"
    r"|is showing|shows?|says?|is)\b"
)
_AIM = re.compile(
    r"\b(?:so (?:that )?|until |such that |in order (?:that |to )|(?:in)?to (?:the |an? )?|to be "
    r"|and (?:make sure|ensure|leave|keep)\b|(?:should|must|needs? to|has to|ought to)\b|make"
    r" sure\b|ensure\b|(?:want|need|prefer|require|like)(?:ed)? (?:it|that|this|the \w+|your \w+)"
    r"(?: to be)?\b)"
)
_WISH = re.compile(  # of a position; where it is not read as an aim, nobody knows which
    r"\b(?:want|need|wish|like|prefer|require|should|must|supposed|meant|ought|goal|aim|target"
    r"|desired?|intended|correct|proper|wanted|needed|end|final|result|after)\w*\b"
)
_VERB = re.compile(
    r"\b(?:put|turn(?:ing)?|(?<!the )(?<!data )(?<!mode )(?<!calling )switch(?:ing)?"
    r"|set(?:ting)?|(?:re-?)?(?:enabl|disabl|(?:de)?activat)(?:e|ing))\b"
)


_TOGGLED = re.compile(  # "toggle airplane mode off using ...", and not "off and on"
    r"toggl\w* (?:the |your |it|that)?(?:T_)?\w*(?: \w+)? (?:on|off)\b"
    r"(?!\W*(?:or|and|then|/|on|off|again|back)\b)"
)


def goal(text: str) -> bool | str | None:
    """The position that a text about toggling wants: True, False, None (it names none) or "unsure".

    "toggle it so that it is off" wants False, and so does "toggle it (it is currently on)".
    """
    now = _NOW_IS.search(text)
    if state(text) is not None and re.search(r"n't\b|\bnot\b", text) and _WISH.search(text):
        return "unsure"  # "we don't want it on"
    for pattern, end in ((_AIM, len(text)), (_VERB, now.start() if now else len(text))):
        aims = [text[m.start() : end] for m in pattern.finditer(text, 0, end)]
        aims = [aim for aim in aims if state(aim) is not None]
        if aims:
            return state(aims[-1])
    if now and (seen := state(text[now.start() :])) is not None:
        return "unsure" if _WISH.search(text, now.start()) else not seen
    if state(text) is None:
        return "unsure" if re.search(r"\b(?:until|so that|such that)\b", text) else None
    particle = re.search(r"\b(?:on|off)\b\W*$", text) or _TOGGLED.search(marked(text))
    return state(text) if particle else "unsure"


OPTIONS = re.compile(
    r"\b(?:(?:two|three|several|few|following|these|your|the|some) (?:\w+ )?(?:options?|choices?"
    r"|alternatives?|possibilities|ways)|either|which (?:one|of (?:these|them|the two)|option"
    r"|would you"
    r"|do you)|what would you (?:prefer|like)(?! to)|options are|would you rather|up to you"
    r"|your choice)\b"
)
