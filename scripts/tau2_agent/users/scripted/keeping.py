"""What becomes of the requests of a clause: kept under its conditions, in order, or left alone."""

from __future__ import annotations

import re

from tau2_agent.users.scripted import grammar
from tau2_agent.users.scripted.lexicon import VERB_WORDS
from tau2_agent.users.scripted.message import Clause, Message, Sentence
from tau2_agent.users.scripted.request import Request


def keep(clause: Clause, text: str, sentence: Sentence, message: Message) -> None:
    """Put the requests of a clause into the message, in the order in which they are to be done."""
    found = sentence.added[-1]
    alternative = re.match(r"or (?:you can |to |else )?", clause.text)
    if alternative and VERB_WORDS.match(clause.text, alternative.end()):
        for request in [r for added in sentence.added[:-1] for r in added if not r.reads]:
            replace_request(message, request, None)
        found[:] = [request for request in found if request.reads]
        message.unclear.append(text)  # one or the other: nobody knows which
    if not found:
        sentence.first = bool(grammar.FIRST.search(clause.text))  # "but before that, ..."
        return
    if (sentence.first or grammar.FIRST.search(clause.text)) and message.requests:
        message.requests[:0] = found
    else:
        message.requests += found


def replace_request(message: Message, request: Request, by: Request | None) -> None:
    """Put another request in its place, or none."""
    for place, one in enumerate(message.requests):
        if one is request:
            message.requests[place : place + 1] = [by] if by else []
            return


def is_pair(requests: list[Request]) -> bool:
    """Whether a switch is to be thrown there and back."""
    wanted = [(request.tool, request.want) for request in requests if request.want is not None]
    return any((tool, not want) in wanted for tool, want in wanted)


def add(requests: list[Request], sentence: Sentence, message: Message) -> None:
    """Keep requests under the condition of their sentence."""
    if sentence.waits or sentence.mute:
        return
    for request in requests:
        under = request.under(sentence.guard) if sentence.guard else request
        if sentence.guard and is_pair(requests):
            under = None  # the second half would not know whether the first was done
        waits = sentence.presses_wait or message.put_off
        if under is None or (waits and not under.reads):
            message.unclear.append(request.tool)
        else:
            sentence.added[-1].append(under)
