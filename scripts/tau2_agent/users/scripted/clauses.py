"""One sentence of an agent's: what each of its clauses is, and what it adds to the message.

A clause is a request, a question, an offer, a condition, an aside or a statement. Conditions stand
before or after what they govern; a question, a denial, a report or another time than now holds for
the clauses joined to it. `Message` is what is gathered.
"""

from __future__ import annotations

import re

from tau2_agent.users.scripted import certainty, grammar
from tau2_agent.users.scripted.actions import asked_for, check_requests, needed, tool_requests
from tau2_agent.users.scripted.conditions import guard_of
from tau2_agent.users.scripted.keeping import add, is_pair, keep, replace_request
from tau2_agent.users.scripted.lexicon import VERB_WORDS
from tau2_agent.users.scripted.message import (
    NOTHING_PROPOSED,
    Clause,
    Message,
    Part,
    Said,
    Sentence,
    aimed,
    clauses_of,
    is_unknown_order,
    negated,
    questions_in,
    remember_position,
    remember_topic,
)
from tau2_agent.users.scripted.openings import TELL_ME
from tau2_agent.users.scripted.pronouns import (
    CASE,
    PRONOUN,
    meant,
    proposed,
)
from tau2_agent.users.scripted.request import Request
from tau2_agent.users.scripted.things import things_in
from tau2_agent.users.scripted.waiting import waits_for_an_event

_LOOKS = ("nav", "check", "ensure")  # verbs that press nothing
_THROWS = ("on", "off", "switch", "reboot", "reseat", "reset", "connect", "disconnect")


def read_sentence(text: str, message: Message, sentence: Sentence) -> Sentence:
    """Read a sentence into the message; returns its state, which a list under it inherits."""
    before, asked, headings = len(message.requests), len(message.questions), len(message.headings)
    unclear = len(message.unclear)
    sentence.previous = message.last
    topics = dict.fromkeys(thing.topic for thing in things_in(grammar.NOT_THAT.sub("", text)))
    clauses, parts = clauses_of(text), []
    for place, clause in enumerate(clauses):
        said = clause.text
        if place and said.startswith("until "):
            said = f"{clauses[place - 1].text} {said}"
        if waits_for_an_event(said, _asks_to_press(message, sentence)):
            message.put_off = True
        sentence.is_question = text.endswith("?") and clause.last
        sentence.reports = bool(place and TELL_ME.fullmatch(clauses[place - 1].text))
        sentence.added.append([])
        told = len(message.headings)
        _read_clause(clause, sentence, message)
        sentence.named += [t.topic for t in things_in(grammar.NOT_THAT.sub("", clause.text))]
        sentence.alone = sentence.alone and not grammar.FILLERS.sub("", clause.text)
        keep(clause, text, sentence, message)
        is_press = any(not request.reads for request in sentence.added[-1])
        parts.append(Part(clause.joint, clause.text, is_press or len(message.headings) > told))
    if CASE.search(text):
        message.proposed = NOTHING_PROPOSED
    if message.named and grammar.LAST_NAMED.search(text):
        message.topic = message.named[0][-1]
    message.named[:0] = [tuple(topics)] if topics else []
    found = [request for added in sentence.added for request in added]
    presses = any(not request.reads for request in found) or len(message.headings) > headings
    asks = bool(found) or len(message.questions) > asked
    message.sentences.append(
        Said(text, presses, bool(found), asks, tuple(sentence.riddles), tuple(parts))
    )
    if not any(sentence.added):
        nothing = not (asks or presses or len(message.unclear) > unclear)
        if nothing and sentence.mood != "negated" and is_unknown_order(text):
            message.unclear.append(text)
        return sentence
    asked = message.requests[before:]
    thrown = {request.tool for request in asked if request.want is not None}
    asked = [r for r in asked if r.want is not None or r.tool not in thrown]  # "toggle it: on, off"
    message.requests[before:] = [aimed(request, text, message) for request in asked]
    message.last = message.requests[before:]
    return sentence


def _read_clause(clause: Clause, sentence: Sentence, message: Message) -> None:
    """Find out what kind of clause it is, and hand it on."""
    text = clause.text
    joined = bool(re.match(r"(?:and|or|then)\b(?! please)", text))
    before, sentence.mood = sentence.mood, ""
    if grammar.AGREED.fullmatch(text.replace(",", "")):
        message.agreed = True
    body = grammar.FILLERS.sub("", text)
    prefix = text.removesuffix(body)
    polite = grammar.POLITE.search(prefix)
    if joined and before == "riddle":
        sentence.presses_wait = True  # "cancel the plan to turn it off and restart your phone"
    later = sentence.timed or grammar.DONE_FIRST.search(prefix)
    if not body:
        message.notice, sentence.timed = True, bool(later)
    elif message.requests and later and (announced := grammar.ANNOUNCES.match(body)):
        message.announced += asked_for(body[announced.end() :], message.topic) or []
        message.notice, sentence.mood = True, "told"
    elif grammar.TRANSFER.search(text) and not (
        sentence.guard or sentence.waits or sentence.is_question or grammar.NOT_YET.search(text)
    ):
        message.transferred = True
    elif grammar.OFFER.match(body):
        message.questions += questions_in(body) or ["proceed" if "proceed" in body else "offer"]
        sentence.mood = "asked"
    elif grammar.ELSE.match(body):
        sentence.waits = True
    elif grammar.CONDITION.match(body):
        _read_condition(body, clause, sentence, message)
    elif (grammar.ASIDE.match(body) or grammar.SO_THAT.match(text)) and not (
        sentence.is_question and questions_in(body)
    ):
        message.notice = True
        sentence.timed = bool(grammar.DONE_FIRST.match(body))
        remember_topic(body, message, first=True)
    elif asks := grammar.ASKS.match(body):
        _read_request(body, asks.end(), sentence, message)
    elif grammar.HEADING.match(body) and not grammar.IS_A_DEFINITION.search(body):
        _read_heading(body, message)
    elif _starts_with_base_verb(body):
        if (joined and before in ("negated", "told")) or before == "asked":
            sentence.mood = before
        else:
            _read_request(body, 0, sentence, message)
    elif joined and before == "told" and grammar.TOOL.match(body):
        message.notice = True  # "I used check_status_bar and toggle_data"
    elif polite or (joined and before == "request" and VERB_WORDS.match(body)):
        _read_request(body, 0, sentence, message)
    elif (
        grammar.QUESTION.match(body) and (sentence.is_question or not body.startswith("which"))
    ) or (sentence.is_question and not grammar.SUBJECT.match(body)):
        sentence.mood = "asked"
        _read_question(body, sentence, message)
    else:
        _read_statement(body, sentence, message)


def _asks_to_press(message: Message, sentence: Sentence) -> bool:
    """Whether anything said so far is to be pressed."""
    found = [*message.requests, *(request for added in sentence.added for request in added)]
    return any(not request.reads for request in found)


def _trails(clause: Clause, sentence: Sentence) -> bool:
    """Whether a condition or time stands after what it governs."""
    if not any(sentence.added):  # a fragment may be about the sentence before
        return clause.last and bool(sentence.previous) and sentence.alone
    if re.match(r"(?:and|but|then|or)\b", clause.text):
        return False
    return clause.last or not re.search(r"[,:-]", clause.joint)


def _governed_by(fact: str, sentence: Sentence, message: Message) -> list[Request]:
    """The requests before a condition that it is about: the last clause's, or all of them."""
    last = next((clause for clause in reversed(sentence.added) if clause), sentence.previous)
    about_last = not fact or any(fact in (r.fact, f"{r.fact}_ok") for r in last)
    return last if about_last else [request for clause in sentence.added for request in clause]


def _read_condition(body: str, clause: Clause, sentence: Sentence, message: Message) -> None:
    end = grammar.CONDITION_END.search(body)
    condition = body[: end.end("end")] if end else body
    guard = guard_of(condition, message.topic)
    message.notice = True
    if sentence.reports and not end and any(sentence.added):
        return  # "restart it and tell me when it is on"
    if _trails(clause, sentence) and not end:
        governed = _governed_by(guard[0] if guard else "", sentence, message)
        for request in list(governed):
            under = request.under(guard) if guard and not is_pair(governed) else None
            replace_request(message, request, under)
        sentence.presses_wait = sentence.presses_wait or guard is None
        return
    sentence.guard = guard
    sentence.waits = sentence.guard is None
    remember_topic(condition, message)
    if end:
        _read_clause(Clause(body[end.end() :], " ", clause.last), sentence, message)


def _starts_with_base_verb(body: str) -> bool:
    verb = VERB_WORDS.match(body)
    return bool(verb) and not verb.group().split()[0].endswith("ing")


def _read_request(body: str, start: int, sentence: Sentence, message: Message) -> None:
    marker, rest = body[:start], body[start:]
    while True:  # "could you please try to ..."
        rest = grammar.FILLERS.sub("", rest)
        again = grammar.ASKS.match(rest)
        if not again:
            break
        marker, rest = marker + rest[: again.end()], rest[again.end() :]
    rest = rest.replace("the latter", "it") if message.named else rest
    if grammar.GIVES_TIME.match(rest):
        remember_topic(rest, message)
        message.notice, sentence.mood = True, "request"
        return
    said_in, what = message.proposed
    if what and said_in == len(message.sentences) - 1 and grammar.DO_IT.match(rest):
        message.notice, sentence.mood, message.proposed = True, "request", NOTHING_PROPOSED
        add(what, sentence, message)
        return
    if message.requests and grammar.DO_IT.match(rest):
        message.notice = True
        return
    for_agent = grammar.FOR_AGENT.search(rest) and re.search(r"\b(?:we|i|let)\b", marker)
    if for_agent or grammar.TOLD.match(rest):
        message.notice = True  # "we can enable roaming for you", "please note that ..."
        sentence.mood = "told"
        return
    questions = questions_in(body)
    decision = grammar.DECISION.search(marker)
    if decision and questions:
        message.questions += questions
        return
    if negated(rest):
        sentence.mood = "negated"
        message.notice = True
        return
    sentence.mood = "request"
    message.listing = message.listing or bool(grammar.LISTING.search(rest))
    if "sure" in marker and re.match(r"'?(?:have|are|ve|re)\b", rest):
        rest = f"ensure {rest}"
    found = asked_for(rest, message.topic)
    if found is None and message.permissions and re.match(r"grant|allow|enabl|add|giv", rest):
        names = " and ".join(message.permissions)
        rest = re.sub(r"^add(?:ing)?\b", "grant", rest)
        plain = grammar.PERMISSIONS_NAMED_BEFORE.sub(f"the {names} permission", rest, count=1)
        found = asked_for(plain, "")
    latter = "the latter" in body
    if not latter and PRONOUN.search(rest) and not (things_in(rest) or (found and found[0].reads)):
        found, guess = meant(found, rest, sentence, message)
        message.guessed = message.guessed or guess
    if grammar.RESTARTS_IT.search(rest) and not message.phone_named:
        found = None  # "open the messaging app and restart it"
    remember_topic(rest, message)
    if found is None and any(verb.lastgroup in _THROWS for verb in VERB_WORDS.finditer(rest)):
        questions = [name for name in questions if name != "again"]  # "do this and retry"
    if found is None and not questions:
        if sentence.is_question and (asked := check_requests(rest, message.topic, detail=True)):
            found = asked
        elif not grammar.COURTESY.search(rest):
            if any(verb.lastgroup != "nav" for verb in VERB_WORDS.finditer(rest)):
                sentence.mood = "riddle"
            if any(verb.lastgroup not in _LOOKS for verb in VERB_WORDS.finditer(rest)):
                sentence.riddles.append(body)
            message.unclear.append(body)
            return
    message.notice = True
    message.questions += questions
    add(found or [], sentence, message)


def _read_heading(body: str, message: Message) -> None:
    """ "To turn off Wi-Fi calling" before a list of steps through the settings."""
    message.headings += asked_for(body[3:], message.topic) or []
    remember_topic(body, message)
    message.notice = True


def _read_question(body: str, sentence: Sentence, message: Message) -> None:
    questions = questions_in(body)
    message.questions += questions
    found = [] if questions else check_requests(body, message.topic, detail=True)
    remember_topic(body, message)
    if not sentence.mute:
        sentence.added[-1] += found
    if not (found or questions):
        message.unclear.append(body)


def _read_statement(body: str, sentence: Sentence, message: Message) -> None:
    message.proposed = (len(message.sentences), [] if sentence.is_question else proposed(body))
    if (
        grammar.NEEDS_ANSWER.match(body) or grammar.BARE_QUESTION.match(body) or message.listing
    ) and (questions := questions_in(body)):
        message.questions += questions
        return
    if grammar.WANTS_TO_KNOW.match(body) and not grammar.FOR_AGENT.search(body):
        add(check_requests(body, message.topic, detail=True), sentence, message)
    if negated(body):
        sentence.mood = "negated"
    elif grammar.SUBJECT.match(body):
        sentence.mood = "told"
    else:
        if (tools := tool_requests(body)) and certainty.certain_call(body):
            add(tools, sentence, message)
            return
        if needs := grammar.NEEDS.search(body):
            done = needed(body[: needs.start()], needs["state"], message.topic)
            done = done if grammar.NEEDED_HERE.fullmatch(body, needs.end()) else []
            remember_topic(body, message, first=True)
            message.notice = True
            add(done, sentence, message)
            return
        sentence.mood = "told" if things_in(body) else "stated"
    remember_position(body, message)
    if grammar.NOTICE.match(body) or things_in(body):
        message.notice = True
        if not body.startswith("which"):  # it tells more of what was just named
            remember_topic(body, message, first=True)
    elif not message.agreed:
        message.unclear.append(body)
