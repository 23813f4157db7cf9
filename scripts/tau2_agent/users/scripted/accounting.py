"""Whether every word of a message is accounted for, before anything is pressed for it.

A look does no harm; a press does. The clause that asks for a press is read strictly: each of its
words is one that changes nothing (`vocabulary.py`), or part of a phrase that is known as a whole
(`known_phrases.py`). A word like "not", "if", "until", "you" or "later" may turn a request off, so
it is never safe by itself. What stands beside it has to be of a harmless shape (`harmless.py`).
Where either does not hold, the user asks whether the press is meant.
"""

from __future__ import annotations

import re

from tau2_agent.users.scripted import certainty, grammar, openings, set_phrases, shapes
from tau2_agent.users.scripted.harmless import (
    beside,
    harmless,
    invites,
    is_look,
    is_order,
    without_asides,
    without_reason,
)
from tau2_agent.users.scripted.known_phrases import DENIED, PHRASES
from tau2_agent.users.scripted.lexicon import QUESTIONS, TOOL_TOPICS, VERB_WORDS
from tau2_agent.users.scripted.message import Message, Part, Said
from tau2_agent.users.scripted.plain_words import plainly
from tau2_agent.users.scripted.set_aside import opens_with_a_time, waits_for_what_happened
from tau2_agent.users.scripted.there_and_back import names_the_goal
from tau2_agent.users.scripted.things import marked, state, things_in
from tau2_agent.users.scripted.vocabulary import QUESTION_WORDS, SAFE, VALUES, words
from tau2_agent.users.scripted.word_classes import letters

_PLACE = frozenset("TFPDAC#")  # letters of "in settings > network"
_WRONG = re.compile(r"\b(?:wrong|incorrect|mistaken|error)\b")
_ENDS_A_STATEMENT = re.compile(r"(?:after|before|until|when|once|as soon as|because|so that)\b")
_TIME = re.compile(r"(?:(?:and|but|then) )*(?:when|once|after|as soon as)\b(?! (?:i|we)\b)")
_NEEDS = re.compile(r"\b(?:needs?|works?|stays?)\b")
_THEN_LAST = re.compile(r"\bthen\W*$")
_DONE_BY_THE_USER = re.compile(
    r"\b(?:did|have|had) you\b(?! (?:see|notice|get|received?|now))|\bwhat you (?:did|do)\b"
    r"|\bwas that\b|\b(?:want|like|wish|prefer|willing|ready|happy) to\W*\?"  # asks for leave
)
_NOT_YET = re.compile(
    r"(?:it|this|that)(?:'s| is) (?:currently|still|presently) (?:\w+ )?(?:on|off|enabled"
    r"|disabled|active|inactive)(?: right now| at the moment)?"
)
_WITH_TOOL = re.compile(  # "you can do this with toggle_roaming"
    rf"you (?:can|may|could|should) (?:simply |just |also )?(?:do (?:this|that|so|it) )?(?:with|use"
    rf"|using|via|through|by (?:using|calling|running)) (?:the )?(?P<tool>{grammar.TOOL.pattern})"
    r"(?:\(\))?(?: (?:tool|function|command|action))?(?: (?:for|to do) (?:this|that|it|so))?\W*"
)
_OPENER = re.compile(
    r"(?:go ahead|right(?: then)?|(?:as|for) (?:a|the|our|your) (?:\w+ ){0,3}"
    r"(?:step|check|fix|measure|precaution|action)"
    r"|(?:on|in|from|under|at) (?:the|your) (?:(?:phone|device|handset)(?:'s)?\b ?)?"
    r"(?:side|end|settings?(?: app| menu)?)?)?"
)
_TITLE = re.compile(r"(?:the |your )?T_(?!call|look)\w+(?: (?:settings?|mode|check))?\W*")
_JOINTS = words("and but so then now please first next just also")
_TELLS = re.compile(r"\b(?:tell|let|know|see|check|report)\b[^,]*$")
_WORD = re.compile(r"[^\W\d_][\w']*|\d[\w.]*[a-z]\w*")


def unaccounted(message: Message) -> list[str]:
    """Sentences of a message because of which nothing may be pressed for it."""
    pressed = {request.topic for request in message.requests if not request.reads}
    wants = {request.want for request in message.requests if not request.reads}
    strange, asked, after, before = [], False, False, ""
    later = {request.tool for request in message.announced} & {r.tool for r in message.requests}
    if later or message.guessed:
        return [said.text for said in message.sentences]  # now, or later? which one?
    for place, said in enumerate(message.sentences):
        if asked and said.text == "why?" and place + 1 < len(message.sentences):
            continue  # the next sentence says it
        said = said._replace(
            parts=tuple(p for p in said.parts if not _repeats(p, asked, wants, pressed))
        )
        if said.presses and not said.parts:
            continue
        fits = _leaves_it(said, asked, after)
        if (
            _is_a_riddle(said, before, after, fits)
            or (said.presses and not asked and _is_sequel(said.text, before))
            or (after and _takes_back(said, pressed, fits))
            or names_the_goal(said, message.requests)
            or pressed & denied_in(said.text)
            or ("payment" in pressed and _WRONG.search(said.text))
            or not (fits or _is_known(said, asked))
        ):
            strange.append(said.text)
        before = said.text
        asked = asked or said.requests
        after = after or said.presses
    return strange


def _repeats(part: Part, asked: bool, wants: set[bool | None], pressed: set[str]) -> bool:
    """Whether a clause only says again what was asked for, or that it is not the case yet."""
    text = grammar.FILLERS.sub("", part.text)
    if asked and (named := _WITH_TOOL.fullmatch(text)):
        return pressed == {TOOL_TOPICS[named["tool"]]}
    if not asked or part.presses:
        return False
    yet = _NOT_YET.fullmatch(text)
    return bool(grammar.DO_IT.match(text)) or bool(yet and wants == {not state(text)})


def _is_known(said: Said, asked: bool) -> bool:
    """Whether each word of a sentence is known that asks for a look, or again for what was."""
    if said.presses or not (said.requests or grammar.DO_IT.match(_without_asking(said.text))):
        return False
    return set(words_left(said.text, asked)) <= (QUESTION_WORDS if said.text[-1] == "?" else SAFE)


def _without_asking(text: str) -> str:
    return grammar.ASKS.sub("", grammar.FILLERS.sub("", text))


def _is_a_riddle(said: Said, before: str, after: bool, fits: bool) -> bool:
    """Whether it asks, quotes, names another phone, or wants what the phone does not have."""
    understood = shapes.POLITE_QUESTION.search(said.text) if said.presses else said.asks
    understood = understood or shapes.OPENS_LIST.match(said.text) or (after and fits)
    return bool(
        (said.text.endswith("?") and not understood)
        or shapes.ASKS_LEAVE.search(said.text)
        or shapes.DID_OR_NOT.search(said.text)
        or _labelled(said.text)
        or not all(_is_nothing_new(riddle) for riddle in said.riddles)
        or (said.presses and any(map(_is_another_order, said.parts)))
        or (said.presses and waits_for_what_happened(said.text))
        or (said.presses and said.parts[-1].presses and _THEN_LAST.search(said.text))
        or (said.presses and before.endswith("?") and re.match(r"(?:if \w+,? )?then\b", said.text))
        or certainty.OTHER_PHONE.search(said.text)
    )


def _takes_back(said: Said, pressed: set[str], fits: bool) -> bool:
    """Whether a sentence after a request to press something may take it back."""
    text = said.text
    speaks_of_it = not said.asks and pressed & topics_in(text)
    return bool(
        (speaks_of_it and (not fits or _NEEDS.search(text)))
        or (not said.presses and shapes.OWN_FIRST.search(text))
        or shapes.DENIES.search(text)
        or any(shapes.WAITS.fullmatch(part.text) for part in said.parts if not said.presses)
        or (text.endswith("?") and _DONE_BY_THE_USER.search(text))
        or (text.endswith("?") and not said.presses and QUESTIONS["proceed"].search(text))
    )


def words_left(sentence: str, asked_before: bool = False) -> list[str]:
    """Words of a plain lower-case sentence that no thing, value or known phrase holds.

    asked_before: something was asked for before it, which "once that is done" may mean.
    """
    for then in reversed(list(shapes.THEN.finditer(sentence))):
        ends = not re.search(r"\w", sentence[then.end() :])  # "restart your phone once it is up"
        before = sentence[: then.start()]
        if asked_before or (_asks(before) and (not ends or _TELLS.search(before))):
            sentence = f"{sentence[: then.start()]} , {sentence[then.end() :]}"
    text = marked(sentence)
    for phrase in PHRASES:
        text = phrase.sub(" _ ", text)
    text = VALUES.sub(" ", re.sub(r"T_\w+", " ", text))
    return [word.strip("'") for word in _WORD.findall(text.replace("n't", " not"))]


def _leaves_it(said: Said, asked: bool, after: bool) -> bool:
    """Whether what a sentence says beside a request leaves the request as it is.

    asked: something was asked for before it. after: something was to be pressed.
    """
    if said.text.endswith(":"):  # the head of a list says what the list is
        return all(invites(_label(part.text)) for part in said.parts if _label(part.text))
    if not said.presses:
        return _is_beside(said, after)
    rest, case, after_press = "", False, False
    parts = _with_their_times(said.parts)
    for place, (joint, text, presses) in enumerate(parts):
        after = after or presses
        follows = [part.text for part in parts[place + 1 : place + 2]]
        ends = joint == " " and bool(follows) and follows[0].startswith("and ")
        if after and _TIME.match(text) and not ends and follows and is_look(marked(follows[0])):
            continue  # "and when it is back on, tell me ...", not "... once it fails and try again"
        polite = not grammar.FILLERS.sub("", text)
        goes_on = case and text.startswith(("and ", "or "))
        case = goes_on or bool(grammar.CONDITION.match(text) and not polite)
        if presses and grammar.DO_IT.match(_without_asking(text)):
            continue  # what was proposed before
        if presses:
            text = without_reason(without_asides(text))
        elif not case and shapes.WAITS.fullmatch(text) and place + 1 == len(parts):
            return False  # "..., (wait a moment)": for what?
        elif not (case or after_press) and opens_with_a_time(marked(text)):
            return False
        elif not case and beside(marked(text), after):
            continue
        elif "(" in joint and not (
            case or state(text) is not None or set(letters(marked(text))) <= _PLACE
        ):
            return False  # in brackets nothing but a condition, a position or a place
        elif not (presses or case or after_press or _is_opener(text, follows, asked)):
            return False  # whatever it is: "the next time it drops, ...", "homework: ..."
        after_press = after_press or presses
        rest += joint + text
    return set(words_left(rest, asked)) <= SAFE


def _is_opener(text: str, follows: list[str], asked: bool) -> bool:
    """Whether a clause in front of a request is one of few that change nothing about it.

    follows: the clause behind it.
    """
    plain, then = grammar.FILLERS.sub("", text), " ".join(follows)
    if _OPENER.fullmatch(plain) or is_look(marked(plain)):
        return True
    verb = VERB_WORDS.match(plain)
    if verb and verb.lastgroup == "check" and not set("XINW") & set(letters(marked(plain))):
        return True  # "review it and pay it"
    known = _JOINTS | set(words_left(then, asked))
    return any(known.issuperset(words_left(f"{one}, {then}", asked)) for one in (plain, text))


def _is_beside(said: Said, after: bool) -> bool:
    question = said.text.endswith("?")
    if not after and (
        set_phrases.LABEL.fullmatch(plainly(_label(said.text)))
        or _TITLE.fullmatch(marked(said.text))
    ):
        return True
    if grammar.ELSE.match(said.text) and set(words_left(said.text)) <= SAFE:
        return True  # of the case that is not this one
    several = any(is_look(marked(part.text)) for part in said.parts)
    return harmless(marked(said.text), question, after) or all(
        harmless(marked(part.text), question, after, several)
        or (not question and beside(marked(part.text), after))
        for part in said.parts
    )


def _with_their_times(parts: tuple[Part, ...]) -> list[Part]:
    """The parts with a time joined to the statement that it ends: "it takes effect after ..."."""
    joined: list[Part] = []
    for part in parts:
        ends = part.joint == " " and _ENDS_A_STATEMENT.match(part.text) and not part.presses
        if ends and joined and not joined[-1].presses:
            start = joined.pop()
            part = Part(start.joint, f"{start.text} {part.text}", False)
        joined.append(part)
    return joined


def _is_another_order(part: Part) -> bool:
    """Whether a clause asks for what the phone cannot do: "press 1 for this: restart it"."""
    text = marked(grammar.FILLERS.sub("", part.text))
    order = not part.presses and is_order(text) and not openings.LOOK.match(text)
    return order and not _is_nothing_new(part.text)


def _is_nothing_new(riddle: str) -> bool:
    """Whether a clause that asks for an unknown thing only says how, or what they do together."""
    marks = marked(riddle)
    return invites(marks) or any(beside(marks, after) for after in (False, True))


def _is_sequel(sentence: str, before: str) -> bool:
    """Whether it waits for something that the sentence before says is still under way."""
    sequel = shapes.SEQUEL.match(sentence)
    return bool(sequel and ((sequel["then"] and before) or shapes.UNDER_WAY.search(before)))


def _labelled(sentence: str) -> bool:
    """Whether a request stands behind a colon after something that is no invitation to do it."""
    found = shapes.LABEL.match(sentence)
    if not found or not VERB_WORDS.match(_without_asking(sentence[found.end() :])):
        return False
    label = _label(found["label"])
    return bool(label) and not (grammar.TOOL.search(label) or invites(label))


def _label(text: str) -> str:
    return marked(grammar.FILLERS.sub("", text))


def topics_in(sentence: str) -> set[str]:
    """Topics of the things that a sentence names, but the phone."""
    return {thing.topic for thing in things_in(sentence)} - {"phone"}


def denied_in(sentence: str) -> set[str]:
    """Topics of things that a sentence says to leave alone."""
    return {found["topic"] for found in DENIED.finditer(marked(sentence))}


def _asks(text: str) -> bool:
    return any(verb.lastgroup != "nav" for verb in VERB_WORDS.finditer(text))
