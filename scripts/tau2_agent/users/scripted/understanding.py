"""What an agent's message asks of the user: text in, requests and questions out.

Typography is taken away first (`typography.py`). Exact tool names count as they are, otherwise
plain language: sentences are cut into clauses (`clauses.py`, `grammar.py`), and a request is a verb
with the things it governs (`lexicon.py`, `actions.py`), every word of which is known
(`certainty.py`). A press also needs every word of the message accounted for (`accounting.py`).
Where only that fails, the user asks whether the press is meant; where the request itself is not
certain, he says that he did not understand.

Left out on purpose: other languages, spelling but for slips in long key words (`spelling.py`),
settings that the phone has no tool for.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from functools import lru_cache

from tau2_agent.users.scripted import certainty, grammar, splitting
from tau2_agent.users.scripted.accounting import unaccounted
from tau2_agent.users.scripted.agreement import is_plain_yes
from tau2_agent.users.scripted.clauses import read_sentence
from tau2_agent.users.scripted.harmless import without_label
from tau2_agent.users.scripted.idioms import in_plain_words
from tau2_agent.users.scripted.lexicon import VERB_WORDS
from tau2_agent.users.scripted.message import Message, Sentence, aimed, questions_in
from tau2_agent.users.scripted.request import Request, merge
from tau2_agent.users.scripted.set_aside import sets_aside
from tau2_agent.users.scripted.there_and_back import leaves_half, may_be_half
from tau2_agent.users.scripted.typography import Line, lines

MOST_CHARACTERS = 4000  # nobody listens longer


@dataclass(frozen=True)
class Utterance:
    """What was understood.

    `questions` are names from `lexicon.QUESTIONS`. `doubted` are requests, from the first press
    on, that something beside them may take back: `requests` has none of their presses. `agreed` is
    a plain "yes" to the user's own question and nothing else, `notice` tells something and asks
    nothing, `unclear` lists clauses that ask for something unknown, `topic` is what "it" means in
    the next message.
    """

    requests: tuple[Request, ...] = ()
    doubted: tuple[Request, ...] = ()
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


@lru_cache(maxsize=8192)
def parse(text: str, topic: str = "") -> Utterance:
    """Read a message. `topic` is what "it" means when the message itself does not say."""
    if grammar.MACHINE_TEXT.search(text):
        return Utterance(unclear=(text,), topic=topic)
    message = Message(topic)
    told = lines(text[:MOST_CHARACTERS])
    place = 0
    while place < len(told):
        items = _items_under(told, place)
        _read_block(told[place], items, message)
        place += 1 + len(items)
    message.requests[:] = [aimed(request, "", message) for request in message.requests]
    whole = "\n".join(line.text for line in told)
    if certainty.OPTIONS.search(whole):
        _read_options(whole, message)
    _drop_half_pairs(whole, message)
    if leaves_half(message) or _is_quotation(told):
        message.requests[:] = [request for request in message.requests if request.reads]
        message.unclear.append(whole)
    requests = message.requests
    if not requests and not message.questions:
        requests = message.headings
    doubted: list[Request] = []
    if any(not request.reads for request in requests) and (strange := unaccounted(message)):
        message.unclear += strange
        if not (_is_set_aside(message, strange) or any(line.quoted for line in told)):
            doubted = list(itertools.dropwhile(lambda request: request.reads, merge(requests)))
        requests = [request for request in requests if request.reads]
    return Utterance(
        requests=tuple(merge(requests)),
        doubted=tuple(doubted),
        questions=tuple(dict.fromkeys(message.questions)),
        transferred=message.transferred,
        agreed=is_plain_yes([line.text for line in told]),
        notice=message.notice,
        unclear=tuple(message.unclear),
        topic=message.topic,
    )


# --- Lists ---
_OPENS_LIST = re.compile(r"[:?]\W*$|\b(?:following|these|below|steps|options)\b[^.]*\W*$|[^.!?]$")


_INVITES = re.compile(  # to the whole list: "let's do two things:", "what I need from you:"
    r"(?:(?:so|okay|ok|great|alright|now|next|then|first),? )*(?:"
    r"(?:let's|let us|please|kindly|you can|you(?:'ll)? need to|(?:can|could|would|will) you"
    r"|i(?:'d| would|'ll)?(?: now| also| just)* (?:like|need|want|ask) you to)"
    r"(?: please| now| just| next| first)*"
    r" (?:do|try|follow|complete|perform|go through|work through|take|carry out)"
    r"(?: (?:the|these|those|a few|a couple of|two|three|both|each of|all of|following|next|quick"
    r"|simple|easy|more|small|last|final|things?|steps?|actions?|fixes|changes|this|below|in order"
    r"|in this order|in turn|for me|please|now|together))*"
    r"|(?:here(?:'s| is) )?what i(?:'d| would)? (?:need|like|want)(?: from you| you to (?:do|try))"
    r"(?: now| next| first)?"
    r"|i(?:'d| would)? (?:recommend|suggest|advise) (?:the )?following(?: steps?)?"
    r")\W*"
)


def _items_under(told: list[Line], place: int) -> list[Line]:
    """The items of the list that a line opens, if it opens one."""
    if told[place].item and not told[place].text.endswith(":"):
        return []
    if not _OPENS_LIST.search(told[place].text):
        return []
    end = place + 1
    while end < len(told) and told[end].item:
        end += 1
    return told[place + 1 : end]


def _read_block(head: Line, items: list[Line], message: Message) -> None:
    """Read a line, and the list under it in the mood of its last sentence."""
    if head.done and not items:
        message.notice = True
        return
    sentences = [part.strip() for part in splitting.SENTENCES.split(in_plain_words(head.text))]
    sentences = [without_label(part) for part in sentences if part]
    if items and sentences and all(_names_only(item) for item in items):
        named = " and ".join(item.text.strip(" .;,") for item in items)
        sentences[-1] = in_plain_words(f"{sentences[-1].rstrip(':. ')} {named}")
        items = []
    state = Sentence()
    for place, sentence in enumerate(sentences):
        if items and place == len(sentences) - 1 and _INVITES.fullmatch(sentence):
            state = Sentence(mood="request")
        else:
            state = read_sentence(sentence, message, Sentence())
    head_of_items = sentences[-1] if items and sentences else ""
    mute = bool(items) and not _asks_for_items(head_of_items, state)
    if grammar.SOME_OF.search(head_of_items):
        message.unclear.append(head_of_items)
    for item in items:
        under = state.for_items()
        under.mute = under.mute or mute
        for sentence in filter(str.strip, splitting.SENTENCES.split(in_plain_words(item.text))):
            under.mute = under.mute or item.done
            read_sentence(sentence.strip(), message, under.for_items())
            under.waits = under.waits or state.waits


def _asks_for_items(head: str, state: Sentence) -> bool:
    """Whether the sentence over a list wants its items done; a report of what was done does not."""
    if grammar.PAST.search(head) or grammar.SOME_OF.search(head):
        return False
    return state.mood == "request" or bool(grammar.STEPS.search(head))


def _names_only(item: Line) -> bool:
    """Whether an item is the object of the sentence above: "Storage", "Airplane mode is off"."""
    text = grammar.FILLERS.sub("", in_plain_words(item.text))
    starts = VERB_WORDS.match(text) or grammar.TOOL.search(text) or grammar.ASKS.match(text)
    return not starts and "?" not in text and not grammar.CONDITION.match(text) and len(text) < 60


# --- The message as a whole ---
_SPOKEN_OF = re.compile(r"\?|\b(?:messages?|texts?|e-?mails?|said|says|wrote|quot\w+|reads?|got)\b")


def _is_quotation(told: list[Line]) -> bool:
    """Whether a message quotes a line and then speaks of it: "is that the message you got?"."""
    quotes = any(line.quoted for line in told)
    return quotes and any(not line.quoted and _SPOKEN_OF.search(line.text) for line in told)


def _read_options(whole: str, message: Message) -> None:
    """Of two things offered the user names one, and presses neither."""
    message.questions += [name for name in questions_in(whole) if name in ("refuel", "plan")]
    writes = [request for request in message.requests if not request.reads]
    if len({request.topic for request in writes}) > 1 and grammar.OR.search(whole):
        message.requests[:] = [request for request in message.requests if request.reads]
        message.unclear.append(whole)


def _is_set_aside(message: Message, strange: list[str]) -> bool:
    """Whether one of the strange sentences takes the request back, so that nothing is named."""
    behind = False
    for said in message.sentences:
        if said.text in strange and (
            sets_aside(said.text, said.presses, behind) or may_be_half(said, message.requests)
        ):
            return True
        behind = behind or said.presses
    return False


def _drop_half_pairs(whole: str, message: Message) -> None:
    """A switch that is thrown to be thrown back is left alone if one half was not understood."""
    kept = []
    for request in message.requests:
        harmful = request.want is (request.topic == "airplane") and request.topic in (
            "airplane",
            "mobile_data",
            "data",
        )
        back = any(
            r.tool == request.tool and r.want is (not request.want) for r in message.requests
        )
        if not request.tool or (
            back and any(r.own_case for r in message.requests if r.tool == request.tool)
        ):
            message.unclear.append(whole)  # the second would not know what the first has done
        elif (
            harmful and not back and (request.tool in message.unclear or grammar.BACK.search(whole))
        ):
            message.unclear.append(whole)
        else:
            kept.append(request)
    wanted = {request.tool for request in kept if request.want is not None}
    message.requests[:] = [r for r in kept if r.want is not None or r.tool not in wanted]
