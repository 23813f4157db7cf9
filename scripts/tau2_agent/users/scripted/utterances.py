"""What an agent's message asks of the user: text in, requests and questions out.

Exact tool names first, otherwise plain language: sentences are cut into clauses (`grammar.py`), a
clause is a request, a question, an offer, a condition, an aside or a statement, and a request is
a verb with the things it governs (`lexicon.py`, `actions.py`). Negated, past and announced actions
are no requests. What is not certain is not asked for: the user rather says that he did not
understand than press something.

Left out on purpose: other languages, spelling correction, settings that the phone has no tool for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from tau2_agent.users.scripted import grammar
from tau2_agent.users.scripted.actions import asked_for, check_requests, needed, tool_requests
from tau2_agent.users.scripted.conditions import Guard, guard_of
from tau2_agent.users.scripted.lexicon import QUESTIONS, VERB_WORDS
from tau2_agent.users.scripted.request import Request, merge
from tau2_agent.users.scripted.things import things_in

MOST_CHARACTERS = 4000  # nobody listens longer


@dataclass(frozen=True)
class Utterance:
    """What was understood.

    `questions` are names from `lexicon.QUESTIONS`. `agreed` is a "yes" to the user's own
    question, `notice` tells something and asks nothing, `unclear` lists clauses that ask for
    something unknown, `topic` is what "it" means in the next message.
    """

    requests: tuple[Request, ...] = ()
    questions: tuple[str, ...] = ()
    transferred: bool = False
    agreed: bool = False
    notice: bool = False
    unclear: tuple[str, ...] = ()
    topic: str = ""

    @property
    def understood(self) -> bool:
        """Whether there is anything to answer, or at least nothing that stayed unclear."""
        asked = self.requests or self.questions or self.transferred or self.agreed
        return bool(asked) or (self.notice and not self.unclear)


@dataclass
class _Message:
    """Working state while one message is read."""

    topic: str
    requests: list[Request] = field(default_factory=list)
    headings: list[Request] = field(default_factory=list)  # "to turn X off, open the settings"
    questions: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    transferred: bool = False
    agreed: bool = False
    notice: bool = False
    listing: bool = False  # "please provide the following information"


@dataclass
class _Sentence:
    """Working state while one sentence is read."""

    is_question: bool = False
    guard: Guard | None = None
    waits: bool = False  # for an outcome that nobody knows yet: "if that does not help"
    mood: str = ""  # of the clause before: "request", "negated", "told" or ""


@lru_cache(maxsize=8192)
def parse(text: str, topic: str = "") -> Utterance:
    """Read a message. `topic` is what "it" means when the message itself does not say."""
    if grammar.MACHINE_TEXT.search(text):
        return Utterance(unclear=(text,), topic=topic)
    message = _Message(topic)
    for sentence in grammar.SENTENCES.split(_normalise(text[:MOST_CHARACTERS])):
        if sentence.strip():
            _read_sentence(sentence.strip(), message)
    requests = message.requests
    if not requests and not message.questions:
        requests = message.headings
    return Utterance(
        requests=tuple(merge(requests)),
        questions=tuple(dict.fromkeys(message.questions)),
        transferred=message.transferred,
        agreed=message.agreed,
        notice=message.notice,
        unclear=tuple(message.unclear),
        topic=message.topic,
    )


def _normalise(text: str) -> str:
    """Lower case, plain quotes, no markdown; idioms for which no single verb stands."""
    text = text.lower().replace("\u2019", "'").replace("\u2018", "'")
    text = re.sub(r"[\u201c\u201d\"]", '"', text)
    text = re.sub(r"[*`#]+|^[\s•-]+", "", text, flags=re.MULTILINE)
    for pattern, plain in grammar.IDIOMS:
        text = pattern.sub(plain, text)
    return text


def _read_sentence(text: str, message: _Message) -> None:
    sentence = _Sentence()
    clauses = [clause.strip(".!?,:; ") for clause in grammar.CLAUSES.split(text) if clause]
    for place, clause in enumerate(filter(None, clauses), start=1):
        sentence.is_question = text.endswith("?") and place == len(clauses)
        _read_clause(clause, sentence, message)


def _read_clause(clause: str, sentence: _Sentence, message: _Message) -> None:
    """Find out what kind of clause it is, and hand it on."""
    joined = bool(re.match(r"(?:and|or)\b(?! (?:then|please))", clause))
    before, sentence.mood = sentence.mood, ""
    if grammar.AGREED.fullmatch(clause.replace(",", "")):
        message.agreed = True
    body = grammar.FILLERS.sub("", clause)
    polite = grammar.POLITE.search(clause.removesuffix(body))
    if not body:
        message.notice = True
    elif grammar.TRANSFER.search(clause) and not (
        sentence.guard or sentence.waits or sentence.is_question or grammar.NOT_YET.search(clause)
    ):
        message.transferred = True
    elif grammar.OFFER.match(body):
        message.questions += _questions(body) or ["proceed" if "proceed" in body else "offer"]
    elif grammar.ELSE.match(body):
        sentence.waits = True
    elif grammar.CONDITION.match(body):
        _read_condition(body, sentence, message)
    elif grammar.ASIDE.match(body) and not (sentence.is_question and _questions(body)):
        _remember_topic(body, message, first=True)
        message.notice = True
    elif asks := grammar.ASKS.match(body):
        _read_request(body, asks.end(), sentence, message)
    elif grammar.HEADING.match(body):
        _read_heading(body, message)
    elif _starts_with_base_verb(body):
        if joined and before in ("negated", "told"):
            sentence.mood = before
        else:
            _read_request(body, 0, sentence, message)
    elif joined and before == "told" and grammar.TOOL.match(body):
        message.notice = True  # "I used check_status_bar and toggle_data"
    elif polite or (joined and before == "request" and VERB_WORDS.match(body)):
        _read_request(body, 0, sentence, message)
    elif grammar.QUESTION.match(body) or (sentence.is_question and not grammar.SUBJECT.match(body)):
        _read_question(body, message)
    else:
        _read_statement(body, sentence, message)


def _read_condition(body: str, sentence: _Sentence, message: _Message) -> None:
    end = grammar.CONDITION_END.search(body)
    condition = body[: end.end("end")] if end else body
    sentence.guard = guard_of(condition, message.topic)
    sentence.waits = sentence.guard is None
    _remember_topic(condition, message)
    message.notice = True
    if end:
        _read_clause(body[end.end() :], sentence, message)


def _starts_with_base_verb(body: str) -> bool:
    verb = VERB_WORDS.match(body)
    return bool(verb) and not verb.group().split()[0].endswith("ing")


def _read_request(body: str, start: int, sentence: _Sentence, message: _Message) -> None:
    marker, rest = body[:start], body[start:]
    while True:  # "could you please try to ..."
        rest = grammar.FILLERS.sub("", rest)
        again = grammar.ASKS.match(rest)
        if not again:
            break
        marker, rest = marker + rest[: again.end()], rest[again.end() :]
    for_agent = grammar.FOR_AGENT.search(rest) and re.search(r"\b(?:we|i|let)\b", marker)
    if for_agent or grammar.TOLD.match(rest):
        message.notice = True  # "we can enable roaming for you", "please note that ..."
        return
    questions = _questions(body)
    decision = grammar.DECISION.search(marker)
    if decision and questions:
        message.questions += questions
        return
    if _negated(rest):
        sentence.mood = "negated"
        message.notice = True
        return
    sentence.mood = "request"
    message.listing = message.listing or bool(grammar.LISTING.search(rest))
    if "sure" in marker and re.match(r"(?:have|are|'ve)\b", rest):
        rest = f"ensure {rest}"
    found = asked_for(rest, message.topic)
    _remember_topic(rest, message)
    if found is None and not questions:
        if sentence.is_question and (asked := check_requests(rest, message.topic, detail=True)):
            found = asked
        elif not grammar.COURTESY.search(rest):
            message.unclear.append(body)
            return
    message.notice = True
    message.questions += questions
    _add(found or [], sentence, message)


def _add(requests: list[Request], sentence: _Sentence, message: _Message) -> None:
    """Keep requests under the condition of their sentence."""
    for request in [] if sentence.waits else requests:
        message.requests.append(request.under(sentence.guard) if sentence.guard else request)


def _read_heading(body: str, message: _Message) -> None:
    """ "To turn off Wi-Fi calling" before a list of steps through the settings."""
    message.headings += asked_for(body[3:], message.topic) or []
    _remember_topic(body, message)
    message.notice = True


def _read_question(body: str, message: _Message) -> None:
    questions = _questions(body)
    message.questions += questions
    found = [] if questions else check_requests(body, message.topic, detail=True)
    _remember_topic(body, message)
    message.requests += found
    if not (found or questions):
        message.unclear.append(body)


def _read_statement(body: str, sentence: _Sentence, message: _Message) -> None:
    if (grammar.NEEDS_ANSWER.match(body) or message.listing) and (questions := _questions(body)):
        message.questions += questions
        return
    if grammar.WANTS_TO_KNOW.match(body) and not grammar.FOR_AGENT.search(body):
        _add(check_requests(body, message.topic, detail=True), sentence, message)
    if _negated(body):
        sentence.mood = "negated"
    elif grammar.SUBJECT.match(body):
        sentence.mood = "told"
    else:
        if tools := tool_requests(body):
            _add(tools, sentence, message)
            return
        if needs := grammar.NEEDS.search(body):
            done = needed(body[: needs.start()], needs["state"], message.topic)
            _remember_topic(body, message)
            message.notice = True
            _add(done, sentence, message)
            return
    if grammar.NOTICE.match(body) or things_in(body):
        message.notice = True
        _remember_topic(body, message, first=True)
    elif not message.agreed:
        message.unclear.append(body)


def _questions(body: str) -> list[str]:
    return [name for name, pattern in QUESTIONS.items() if pattern.search(body)]


def _negated(body: str) -> bool:
    """Whether the action of a request clause is denied: a negation before its verb."""
    plain = grammar.HARMLESS_NOT.sub(lambda found: "_" * len(found.group()), body)
    negation = grammar.NEGATION.search(plain)
    if not negation:
        return False
    verbs = [verb for verb in VERB_WORDS.finditer(plain) if verb.lastgroup != "nav"]
    return not verbs or negation.start() < verbs[0].end()


def _remember_topic(body: str, message: _Message, first: bool = False) -> None:
    topics = [thing.topic for thing in things_in(body) if thing.topic not in ("phone", "plan")]
    if topics:
        message.topic = topics[0 if first else -1]
