"""Whether every word of a message is accounted for, before anything is pressed for it.

A look does no harm; a press does. So a request to press counts only when each word of the whole
message is one whose meaning is known: a word that changes nothing (`vocabulary.py`), or part of a
phrase that is known as a whole (`known_phrases.py`). A word like "not", "if", "until", "you" or
"later" may turn a request off, so it is never safe by itself: some phrase has to hold it. Whatever
nobody thought of, another person, another time, a joke, has a word that is not there, and the user
asks what to do.
"""

from __future__ import annotations

import re

from tau2_agent.users.scripted import certainty, grammar
from tau2_agent.users.scripted.background_phrases import AFTER_PHRASES, BACKGROUND_PHRASES
from tau2_agent.users.scripted.known_phrases import DENIED, PHRASES
from tau2_agent.users.scripted.lexicon import VERB_WORDS
from tau2_agent.users.scripted.message import Message
from tau2_agent.users.scripted.shapes import (
    LABEL,
    OPENS_LIST,
    POLITE_QUESTION,
    QUOTED,
    SEQUEL,
    SETTLED,
    THEN,
    UNDER_WAY,
)
from tau2_agent.users.scripted.things import things_in
from tau2_agent.users.scripted.vocabulary import (
    BACKGROUND,
    OPERATORS,
    QUESTION_WORDS,
    SAFE,
    VALUES,
)

_WRONG = re.compile(r"\b(?:wrong|incorrect|mistaken|error)\b")
_OURS = re.compile(r"\b(?:your (?:line|account|bill|balance|refuel)|our network)\b")
_TELLS = re.compile(r"\b(?:tell|let|know|see|check|report)\b[^,]*$")
_WORD = re.compile(r"[^\W\d_][\w']*|\d[\w.]*[a-z]\w*")


def unaccounted(message: Message) -> list[str]:
    """Sentences of a message because of which nothing may be pressed for it."""
    pressed = {request.topic for request in message.requests if not request.reads}
    strange, asked_before, pressed_before, before = [], False, False, ""
    for said in message.sentences:
        is_question = said.text.endswith("?")
        understood = POLITE_QUESTION.search(said.text) if said.presses else said.asks
        understood = understood or OPENS_LIST.match(said.text)
        is_background = not (pressed_before or said.presses or said.text.endswith(":"))
        known, more = SAFE, () if said.presses else AFTER_PHRASES
        if is_background:
            known, more = BACKGROUND, BACKGROUND_PHRASES
        if is_question and not said.presses:
            known = QUESTION_WORDS
        left = set(words_left(said.text, asked_before, more))
        if (
            (is_question and not understood)
            or QUOTED.search(said.text)
            or _labelled(said.text)
            or pressed & denied_in(said.text)
            or (pressed_before and not said.asks and pressed & topics_in(said.text))
            or (pressed_before and not said.asks and SETTLED.search(said.text))
            or (said.presses and not asked_before and _is_sequel(said.text, before))
            or said.riddle
            or ("payment" in pressed and _WRONG.search(said.text))
            or certainty.OTHER_PHONE.search(said.text)
            or not (left <= known or (is_background and _is_about_the_phone(said.text, left)))
        ):
            strange.append(said.text)
        before = said.text
        asked_before = asked_before or said.requests
        pressed_before = pressed_before or said.presses
    return strange


def words_left(
    sentence: str, asked_before: bool = False, more: tuple[re.Pattern[str], ...] = ()
) -> list[str]:
    """Words of a plain lower-case sentence that no thing, value or known phrase holds.

    asked_before: something was asked for before it, which "once that is done" may mean.
    more: phrases that are known where it stands.
    """
    for then in reversed(list(THEN.finditer(sentence))):
        ends = not re.search(r"\w", sentence[then.end() :])  # "restart your phone once it is up"
        before = sentence[: then.start()]
        if asked_before or (_asks(before) and (not ends or _TELLS.search(before))):
            sentence = f"{sentence[: then.start()]} , {sentence[then.end() :]}"
    text = _with_marks(sentence)
    for phrase in (*more, *PHRASES):
        text = phrase.sub(" _ ", text)
    text = VALUES.sub(" ", re.sub(r"T_\w+", " ", text))
    return [word.strip("'") for word in _WORD.findall(text.replace("n't", " not"))]


def _is_about_the_phone(sentence: str, left: set[str]) -> bool:
    """Whether it tells something of a thing that is known, in words that need not be."""
    names = bool(things_in(sentence)) or bool(_OURS.search(sentence))
    turns_off = {word.removesuffix("'s") for word in left} & OPERATORS
    return names and not turns_off and not VERB_WORDS.match(sentence)


def _is_sequel(sentence: str, before: str) -> bool:
    """Whether it waits for something that the sentence before says is still under way."""
    sequel = SEQUEL.match(sentence)
    return bool(sequel and ((sequel["then"] and before) or UNDER_WAY.search(before)))


def _labelled(sentence: str) -> bool:
    """Whether a request stands behind a colon after something that is no invitation to do it."""
    found = LABEL.match(sentence)
    if not found or not VERB_WORDS.match(sentence, found.end()):
        return False
    label = grammar.FILLERS.sub("", found["label"])
    asks = grammar.ASKS.match(label) or grammar.STEPS.search(label)
    return bool(label) and not asks and not grammar.TOOL.search(label)


def topics_in(sentence: str) -> set[str]:
    """Topics of the things that a sentence names, but the phone."""
    return {thing.topic for thing in things_in(sentence)} - {"phone"}


def denied_in(sentence: str) -> set[str]:
    """Topics of things that a sentence says to leave alone."""
    return {found["topic"] for found in DENIED.finditer(_with_marks(sentence))}


def _asks(text: str) -> bool:
    return any(verb.lastgroup != "nav" for verb in VERB_WORDS.finditer(text))


def _with_marks(text: str) -> str:
    """The text with "T_vpn" for a VPN, and "T_call" for a call of a tool."""
    text = grammar.TOOL.sub("T_call", re.sub(r"(?<=\w)\([^()]*\)", "", text))
    for thing in reversed(things_in(text)):
        text = f"{text[: thing.start]}T_{thing.topic}{text[thing.end :]}"
    return re.sub(r"(?<=T_phone)'s\b", "", text)
