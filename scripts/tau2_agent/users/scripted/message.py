"""What is gathered while a message is read: `Message`, and `Sentence` for one sentence of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

from tau2_agent.users.scripted import certainty, grammar, splitting
from tau2_agent.users.scripted.actions import switches
from tau2_agent.users.scripted.conditions import Guard, permissions_named
from tau2_agent.users.scripted.lexicon import QUESTIONS, TOGGLES, VERB_WORDS
from tau2_agent.users.scripted.request import Request
from tau2_agent.users.scripted.things import marked, things_in
from tau2_agent.users.scripted.word_classes import letters


class Part(NamedTuple):
    """A clause, what stands before it, and whether it asks to press something."""

    joint: str
    text: str
    presses: bool


class Said(NamedTuple):
    """A sentence: whether it asks to press something, to do anything, for an answer at all."""

    text: str
    presses: bool
    requests: bool
    asks: bool
    riddles: tuple[str, ...] = ()  # clauses that ask for what the phone does not have
    parts: tuple[Part, ...] = ()  # its clauses


Proposal = tuple[int, list[Request]]  # in which sentence, and what
NOTHING_PROPOSED: Proposal = (-2, [])  # in no sentence


@dataclass
class Message:
    """What was understood so far; see `understanding.Utterance`."""

    topic: str
    phone_named: bool = False  # the phone is what was named last
    requests: list[Request] = field(default_factory=list)
    headings: list[Request] = field(default_factory=list)  # "to turn X off, open the settings"
    questions: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    transferred: bool = False
    agreed: bool = False
    notice: bool = False
    guessed: bool = False  # "it" may be one thing or another
    put_off: bool = False  # until something happens that the phone does not show
    proposed: Proposal = NOTHING_PROPOSED  # "restarting may help"
    listing: bool = False  # "please provide the following information"
    permissions: tuple[str, ...] = ()  # that were spoken of last
    named: list[tuple[str, ...]] = field(
        default_factory=list
    )  # topics of sentences, the last first
    last: list[Request] = field(default_factory=list)  # of the sentence before
    told: dict[str, bool] = field(default_factory=dict)  # positions of switches, as the agent says
    announced: list[Request] = field(default_factory=list)  # "then I'll ask you to ..."
    sentences: list[Said] = field(default_factory=list)


@dataclass
class Sentence:
    """Working state while one sentence is read, or the items of a list under it.

    mute: nothing in it is asked for, since it asks whether it was done, denies or reports it.
    """

    is_question: bool = False
    guard: Guard | None = None
    waits: bool = False  # for an outcome that nobody knows yet: "if that does not help"
    riddles: list[str] = field(default_factory=list)
    presses_wait: bool = False  # for something that only a look can do without
    mute: bool = False
    first: bool = False  # what follows is to be done before what was asked for
    mood: str = ""  # of the clause before: "request", "negated", "told", "stated", "asked" …
    reports: bool = False  # "and tell me" stands before the clause
    timed: bool = False  # it began with what comes before: "once that is done"
    alone: bool = True  # nothing but fillers stands before the clause
    added: list[list[Request]] = field(default_factory=list)  # of each clause
    previous: list[Request] = field(default_factory=list)  # of the sentence before
    named: list[str] = field(default_factory=list)  # topics of the clauses before

    def for_items(self) -> Sentence:
        """The state in which the items of a list under this sentence are read."""
        mute = self.mute or self.mood in ("negated", "told", "asked")
        return Sentence(
            guard=self.guard, waits=self.waits, presses_wait=self.presses_wait, mute=mute
        )


class Clause(NamedTuple):
    text: str
    joint: str  # what stands before it
    last: bool


_TIME = re.compile(r"(?:once|after|when|as soon as|if|unless)\b")


def clauses_of(text: str) -> list[Clause]:
    cuts = [(0, 0), *(cut.span() for cut in splitting.CLAUSES.finditer(text)), (len(text),) * 2]
    parts = [
        (text[end:start].strip(".!?,:; "), text[begin:end])
        for (begin, end), (start, _) in pairwise(cuts)
    ]
    parts = [part for part in parts if part[0]]
    for place in reversed(range(len(parts) - 1)):  # "and once it is back, ..." is one clause
        (word, joint), (text, _) = parts[place : place + 2]
        if word in ("and", "but", "then", "and then") and _TIME.match(text):
            parts[place : place + 2] = [(f"{word} {text}", joint)]
    return [Clause(*part, last=part is parts[-1]) for part in parts]


def aimed(request: Request, text: str, message: Message) -> Request:
    """The request with the position that the sentence, or one before it, wants of a switch."""
    if request.tool not in TOGGLES.values() or request.want is not None or request.guard:
        return request
    want = certainty.goal(text)
    if want == "unsure":
        return replace(request, tool="")
    if want is None and request.fact in message.told:
        want = not message.told[request.fact]
    return replace(request, want=want)


def remember_position(body: str, message: Message) -> None:
    """ "Data saver is on": what a bare "toggle it" then is for; "it should be off" is the aim."""
    aim = re.search(r"\b(?:should|must|ought|needs?)\b", body)
    seen = switches(body, "" if things_in(body) else message.topic)
    for switch in (one for one in seen if one.topic in TOGGLES):
        message.told[switch.fact] = not switch.want if aim else bool(switch.want)


def questions_in(body: str) -> list[str]:
    """Names of the questions about the user that a clause asks."""
    return [name for name, pattern in QUESTIONS.items() if pattern.search(body)]


def negated(body: str) -> bool:
    """Whether the action of a request clause is denied: a negation before its verb."""
    plain = grammar.HARMLESS_NOT.sub(lambda found: "_" * len(found.group()), body)
    negation = grammar.NEGATION.search(plain)
    if not negation:
        return False
    verbs = [verb for verb in VERB_WORDS.finditer(plain) if verb.lastgroup != "nav"]
    return not verbs or negation.start() < verbs[0].end()


def remember_topic(body: str, message: Message, first: bool = False) -> None:
    said = grammar.NOT_THAT.sub("", body)
    named = [found.lastgroup for found in grammar.PHONE_OR_NOT.finditer(body)]
    if named:
        message.phone_named = named[-1] == "phone"
    if re.search("permission|access|allow", said) or message.topic == "permissions":
        message.permissions = permissions_named(said) or message.permissions
    topics = [thing.topic for thing in things_in(said) if thing.topic not in ("phone", "plan")]
    if topics:
        message.topic = topics[0 if first else -1]


_ORDER = re.compile(
    r"(?:^|[,;:] |\bplease )(?:please |kindly |just )*(?P<verb>[a-z]+) (?:(?:up|down|off|out|with)"
    r" )?(?:the |your |that )(?:\w+ )?T_"
)


def is_unknown_order(text: str) -> bool:
    """Whether a sentence that was not understood asks for something: "please mend your VPN"."""
    if not grammar.POLITE.search(text) or grammar.NEGATION.search(text):
        return False
    found = _ORDER.search(marked(text))
    return bool(found) and letters(found["verb"]) in "ovE"
