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

_MOST_SENTENCES = 4  # of a plain answer


def is_plain_yes(lines: list[str]) -> bool:
    """Whether lower-case lines begin with a plain yes and add courtesies and reports at most."""
    sentences = [s.strip() for line in lines for s in splitting.SENTENCES.split(line) if s.strip()]
    agreed = False
    for place, sentence in enumerate(sentences):
        said = _says_yes(sentence)
        agreed = agreed or bool(said)
        if said is None and not (agreed and place < _MOST_SENTENCES and _adds_nothing(sentence)):
            return False
    return agreed


def _says_yes(sentence: str) -> bool | None:
    """Whether a sentence says yes; False where it is mere courtesy, None where it says more."""
    left, yes = re.sub(r"[^a-z']+", " ", sentence).strip(), False
    while left:
        found = _YES.match(left) or _AROUND.match(left)
        if not found:
            return None
        yes = yes or found.re is _YES
        left = left[found.end() :].strip()
    return None if yes and sentence.endswith("?") else yes


def _adds_nothing(sentence: str) -> bool:
    first = grammar.FIRST.search(sentence) or re.search(r"\b(?:first|before)\b", sentence)
    return not first and harmless(marked(sentence), sentence.endswith("?"), True)


_CALMING = re.compile(r"photo|picture|lose|losing|delet|eras|safe|worr|affect|fine")
_DENIED = re.compile(r"(?:\b(?:not|nothing|none|never|no|without)\b|n't\b)[^.,;!]*")
_ALARMING = re.compile(
    r"\b(?:lose|losing|lost|delet\w*|eras\w*|gone|unless|wait|before|first|later|might|may)\b"
)
_FORBIDS = re.compile(r"\b(?:don't|do not) (?!worry|fear|panic|be\b)")


def calms(text: str) -> bool:
    """Whether a message takes away the fear for photos, and asks for nothing but that."""
    text = text.lower().replace("\u2019", "'")
    alarms = _ALARMING.search(_DENIED.sub("", text)) or _FORBIDS.search(text)
    return bool(_CALMING.search(text)) and not alarms
