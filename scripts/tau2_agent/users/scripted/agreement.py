"""Whether a message is a plain yes to the user's question, and nothing else but courtesy.

"Yes, but first check your SIM" and "yes, once the line is up" are none: such a message is read
anew.
"""

from __future__ import annotations

import re

from tau2_agent.users.scripted import grammar, splitting
from tau2_agent.users.scripted.harmless import harmless
from tau2_agent.users.scripted.things import marked

_DO = (
    r"(?:do(?: that| it| so)?|go ahead(?: with (?:it|that))?(?: and do (?:it|that|so))?|go for it"
    r"|proceed(?: with (?:it|that))?|continue)(?: now)?(?: please)?"
)
_YES = re.compile(
    r"(?:yes|yeah|yep|yup|correct|exactly|precisely|right|sure(?: thing)?|of course|absolutely"
    r"|certainly|definitely|indeed|affirmative|you (?:got|have) (?:it|that)(?: right)?"
    rf"|(?:please )?{_DO}|(?:you )?(?:can|may|should) {_DO}"
    r"|(?:that is|that's|this is|it is|it's|you are|you're)(?: \w+ly)? (?:right|correct|it|what i"
    r" (?:meant|mean|want|need|wanted|asked for))|i do|that is what i meant)"
)
_AROUND = re.compile(  # what may stand around it
    r"(?:okay|ok|great|perfect|good|alright|all right|please|thank you|thanks|now|and|so|very much"
    r"|john|smith|mr\.?|sir|madam)"
)


def is_plain_yes(lines: list[str]) -> bool:
    """Whether lower-case lines begin with a plain yes and add courtesies and reports at most."""
    sentences = [s.strip() for line in lines for s in splitting.SENTENCES.split(line) if s.strip()]
    agreed = False
    for place, sentence in enumerate(sentences):
        if _agrees(sentence):
            agreed = True
        elif not agreed or place > 3 or not _adds_nothing(sentence):
            return False
    return agreed


def _agrees(sentence: str) -> bool:
    words = re.sub(r"[^a-z']+", " ", sentence).strip()
    left, yes = words, False
    while left:
        found = _YES.match(left) or _AROUND.match(left)
        if not found or left[found.end() : found.end() + 1].strip():
            return False
        yes = yes or found.re is _YES
        left = left[found.end() :].strip()
    return yes and not sentence.endswith("?")


def _adds_nothing(sentence: str) -> bool:
    first = grammar.FIRST.search(sentence) or re.search(r"\b(?:first|before)\b", sentence)
    return not first and harmless(marked(sentence), sentence.endswith("?"), True)
