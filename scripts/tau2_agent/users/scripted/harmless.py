"""Whether a sentence beside a request leaves the request as it is, told by its shape.

Each word gets the letter of its class (`word_classes.py`), and the letters of a sentence have to
match a shape (`shapes.py`): a statement about a thing of the phone, about the agent's own
deed, a reason, an effect, a courtesy, a look. A sentence needs an anchor: it names a thing of the
phone or the account, and then open words are free in their places ("the missing MMSC URL is what
trips up your messages"); or every word of it is one of a few (`vocabulary.AROUND`), since what
names no thing may as well speak of the request, or of the call. A dangerous word (another person,
another time, what is said or put off) fits no shape, and fewer shapes fit after a request, which
they might take back. What does not fit is asked about, so that strictness here costs one turn.
"""

from __future__ import annotations

import re
from functools import lru_cache

from tau2_agent.users.scripted import grammar, openings, set_phrases, shapes
from tau2_agent.users.scripted.lexicon import VERB_WORDS
from tau2_agent.users.scripted.plain_words import plainly
from tau2_agent.users.scripted.things import marked
from tau2_agent.users.scripted.word_classes import anchored, letters, mild_letters, names_a_thing

_MOST_CHARACTERS = 400  # of a sentence that is plain
_SPLIT = re.compile(  # where the agent or the user is the subject of what follows
    r"(?<!far)(?<!soon)(?<!long)[,;]?(?: -)? (?:and|but|so|because|since|as|while|which is why"
    r"|although|though)(?: that)? (?=(?:i|we|you)\b)|[;,] (?=(?:i|we|you)\b)"
)
_PRESSES = frozenset(
    ("on", "off", "switch", "reboot", "reseat", "reset", "disconnect", "grant")
)  # fmt: skip


@lru_cache(maxsize=8192)
def harmless(sentence: str, question: bool, after: bool, case: bool = False) -> bool:
    """Whether a lower-case sentence, with marks for things, changes nothing about a request.

    after: it follows a request to press something. case: a condition or a time may stand alone,
    since what it governs presses nothing.
    """
    if len(sentence) > _MOST_CHARACTERS:
        return False
    text = plainly(sentence)
    if after and _announces(text):
        return True
    if found := set_phrases.NO_HARM.match(text):
        return not set("XIWM") & set(_rest(text, found))
    parts = [part.strip(" ,;") for part in _SPLIT.split(text)]
    return all(_clause(part, question, after, case) for part in parts if part)


def invites(label: str) -> bool:
    """Whether a label in front of a request says to do it: "next step:", "Data Saver is on:"."""
    if set_phrases.LABEL.fullmatch(label.strip(" ,.:")):
        return True
    shape = set(letters(label))
    told = (bool(set("BsMIl") & shape) and names_a_thing(label)) or openings.PLAN.match(label)
    return bool(told) and not set("X!") & shape and beside(label, False)


def without_label(sentence: str) -> str:
    """The sentence without a label that only says to do it: "next step: restart it"."""
    label, _, rest = sentence.partition(":")
    plain = grammar.FILLERS.sub("", label).strip(" ,.")
    return rest.strip() if rest.strip() and set_phrases.LABEL.fullmatch(plain) else sentence


def is_look(clause: str) -> bool:
    """Whether a clause asks for a look or a report, or promises something."""
    text = plainly(clause)
    found = openings.LOOK.match(text) or openings.PROMISE.match(text)
    return bool(found) and beside(clause, True)


def is_order(sentence: str) -> bool:
    """Whether a sentence begins as an order does, and is not the head of a list."""
    text = plainly(grammar.FILLERS.sub("", sentence))
    order = shapes.ORDER.match(letters(text)) or VERB_WORDS.match(text)
    return bool(order) and not openings.NO_ORDER.match(text)


def without_reason(clause: str) -> str:
    """The clause of a request without what it is good for, and why."""
    for found in openings.WHY.finditer(clause):
        tail = clause[found.start() :]
        aims = openings.PURPOSE.match(tail)
        if aims and not set("XI") & set(letters(tail)):
            if not any(verb.lastgroup in _PRESSES for verb in VERB_WORDS.finditer(tail)):
                return clause[: found.start()]
        elif not openings.TO.match(tail) and beside(marked(tail), False):
            return clause[: found.start()]
    return clause


def without_asides(text: str) -> str:
    """The text without what stands in brackets and changes nothing: "(the reset needs it)"."""
    return re.sub(r"\s*\(([^()]{8,})\)", lambda aside: _aside(aside[1]) or aside[0], text)


def _aside(text: str) -> str:
    known = beside(marked(text), True) and not shapes.WAITS.fullmatch(text)
    return " " if known and not _POSITION.search(text) else ""


_POSITION = re.compile(r"\bo(?:n|ff)\W*$|\b(?:is|it's|now|currently) (?:\w+ )?o(?:n|ff)\b")


def _clause(text: str, question: bool, after: bool, case: bool) -> bool:
    lead = openings.AFTER_LEAD if after else openings.LEAD
    while text:
        if _is_known(text, question, after, case):
            return True
        found = lead.match(text)
        if not found:
            return False
        if set("XI") & set(letters("".join(filter(None, found.groupdict().values())))):
            return False
        text = text[found.end() :]
    return not (question and after)


def _rest(text: str, found: re.Match[str]) -> str:
    return letters(text[found.end() :])


def _is_known(text: str, question: bool, after: bool, case: bool) -> bool:
    if openings.UNDONE_AGAIN.fullmatch(text):
        return True
    if set_phrases.HELP.fullmatch(text) or (
        not after
        and any(
            known.fullmatch(text)
            for known in (set_phrases.STATUS, set_phrases.AMOUNT, set_phrases.CORRECTS)
        )
    ):
        return True
    if not after and (found := set_phrases.GREETING.match(text)):
        return not set("XIM!W") & set(_rest(text, found))
    if not (anchored(text) or set_phrases.GRATITUDE.match(text)):
        return False
    if (
        shapes.QUOTES.search(text)
        or shapes.SHOWS_THE_USER.search(text)
        or shapes.DENIES.search(text)
    ):
        return False
    if after and set_phrases.CORRECTS_ITSELF.match(text):
        return False
    shape = letters(text)
    if found := openings.COURTESY.match(text):
        rest = _rest(text, found)
        if not set("XIM!W,") & set(rest) and not (after and "N" in rest):
            return True
    if case and (shape[:1] == "W" or text.startswith("should ")) and not set("XI") & set(shape):
        return not shapes.LEAVE.search(text)
    if found := openings.LOOK.match(text):
        rest = _rest(text, found)
        free = "" if case or openings.REPORT.match(text) else re.sub(r"^[^W]{0,10}W", "", rest)
        asks_leave = shapes.LEAVE.search(text, found.end())
        return not asks_leave and not set("XI") & set(rest) and "W" not in free
    if after and "Z" in shape and not re.search(r"[!N][^,]*Z", shape):
        return False
    if question:
        of_it = re.search("P[tS]$", shape)  # "what are the risks of that?"
        return after and not of_it and bool(shapes.AFTER_QUESTION.fullmatch(shape))
    return _is_told_after(text, shape) if after else _is_told_before(text, shape)


def _is_told_before(text: str, shape: str) -> bool:
    if shapes.POINTS_AHEAD.search(text):
        return False
    if shapes.AGENT_TOLD.fullmatch(shape):
        return True
    if found := openings.HOW.match(text):
        return _on_the_phone(text, found, "X")
    if found := openings.PLAN.match(text):
        return not set("XI") & set(_rest(text, found))
    if found := set_phrases.AGENT_SEES.match(text) or set_phrases.IN_ORDER.match(text):
        return not set("XI") & set(_rest(text, found))
    if shapes.CASE_OF_WHAT_COMES.match(shape):
        return bool(shapes.HAS_EFFECT.fullmatch(shape))
    if shapes.OF_IT.fullmatch(shape):
        return True
    told = shapes.OF_A_THING.fullmatch(mild_letters(text)) or shapes.STATEMENT.fullmatch(shape)
    return bool(told) and names_a_thing(text)


def _announces(text: str) -> bool:
    """Whether it says what the agent will ask for next: "then I'll have you restart it"."""
    found = openings.ANNOUNCES.match(text)
    if not found or openings.PUT_OFF.search(text):
        return False
    return not set("XIW!N") & set(_rest(text, found))


def _on_the_phone(text: str, found: re.Match[str], danger: str) -> bool:
    """Whether a way leads through the phone: "go to the settings", and not "go home"."""
    rest, way = set(_rest(text, found)), found["way"] or "swipe"
    there = way in ("swipe", "scroll", "tap", "pull down") or set("TF") & rest
    return bool(there) and not set(danger) & rest


def beside(clause: str, after: bool) -> bool:
    """Whether a clause in the sentence of a request leaves it as it is: a reason, a look.

    Nothing that could be its time, place or condition: that is for the request's own words.
    """
    text = plainly(clause)
    if aim := openings.AIM.match(text):
        purpose = aim.group().startswith("so that")
        return not set("XINW," if purpose else "XINW!,") & set(_rest(text, aim))
    given = openings.REASON.match(text)
    if given and given.group().strip().endswith("which"):
        rest = text[given.end() :]
        return not set("XIW") & set(letters(rest)) and not shapes.DENIES.search(rest)
    if given and openings.HEARSAY.fullmatch(text, given.end()):
        return False
    if given:
        return _clause(text[given.end() :], False, False, False)
    if text in ("but", "so", "and", "then"):
        return True
    while text and (lead := openings.AFTER_LEAD.match(text)):
        text = text[lead.end() :]
    if not after and openings.AGENTS_OWN.match(text):
        return False  # "let me look first, then restart it"
    if not text or (
        not after and (openings.ONE_TASK.fullmatch(text) or set_phrases.INVITES.fullmatch(text))
    ):
        return True
    return _is_known(text, False, after, False)


def _is_told_after(text: str, shape: str) -> bool:
    if shapes.TAKES_BACK.search(text) or shapes.PASSIVE.search(text):
        return False
    if found := openings.PROMISE.match(text):
        return not openings.PUT_OFF.search(text) and not set("XIW") & set(_rest(text, found))
    if found := openings.HOW.match(text):
        return _on_the_phone(text, found, "XIW")
    if openings.IS_SET_TO.fullmatch(text):
        return True
    if found := set_phrases.YOU_SEE.match(text):
        return names_a_thing(text) and not set("XIW!N") & set(_rest(text, found))
    if set_phrases.SHOWS.fullmatch(text):
        return True
    if "!" in shape and not (shape.startswith("hM!B") or shapes.HARMLESS_NOT.search(text)):
        return False
    if shapes.DOES_IT.search(shape) or re.search(r"\bfor you\b", text):
        return False
    shape = shape.replace("K!", "")
    if re.match(openings.SAFE_TO_BE, text):
        return not set("XIWM!") & set(shape)
    if re.search(r"Y[BH]|YE?Y", shape):
        return False
    return any(one.fullmatch(shape) for one in shapes.AFTER)
