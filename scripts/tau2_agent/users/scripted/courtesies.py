"""Courtesies around a request, and the plain words for each: "I'd be grateful if you could".

What is denied in them ("if you could not") is left as it is. Data, as in `idioms.py`.
"""

from __future__ import annotations

import re

# Where a sentence or a clause begins.
_BEGINS = r"(?:^|(?<=[.!?:] )|(?<=, )|(?<=\band )|(?<=\bso ))"

COURTESIES = tuple(
    (re.compile(pattern), plain)
    for pattern, plain in (
        (  # in front of it
            rf"{_BEGINS}(?:i|we)(?:'d| would)(?: be)?(?: really| very| most| so| truly| extremely"
            r"| much)* (?:grateful|obliged|thankful|appreciative|appreciate it) if you (?:could"
            r"|would|can)(?: please| kindly| just)*\b(?!n't| (?:not|never)\b)",
            "please",
        ),
        (
            rf"{_BEGINS}(?:i|we)(?: must| kindly| hereby| have to| need to)++ (?:ask|request|urge"
            r"|invite)(?: you to| that you(?: please| kindly)*)\b(?! (?:not|never|do not|don't"
            r"|no longer)\b)",
            "please",
        ),
        (
            r", (?:and )?(?:that|it|this)(?:'d| would) be (?:really |so |very |just )*(?:lovely"
            r"|great|good|helpful|brilliant|wonderful|perfect|fantastic|ideal|super|awesome)"
            r"(?=[.!]?$|[.!]\s)",
            "",
        ),
        (
            r",? before we (?:continue|proceed|(?:go|move|carry) on|go (?:any )?further|do anything"
            r" else)(?=[.!]?$|[.!]\s)",
            "",
        ),
        (r"(?<=\bthen )(speed ?test)(?=[.!]?$|[.!]\s)", r"run a \1"),
        (  # behind a plain request, and not behind what it waits for
            r"(?:^|(?<=[.!?:] ))((?:(?!\b(?:if|when|once|after|until|unless|while|should|because|as"
            r"|only|before|in case)\b)[^.!?:;])+?(?:\band|\bthen)) re-?try(?=[.!]?$|[.!]\s)",
            r"\1 try again",
        ),
        (
            r"\bpayment request (?:that |which )?(?:you(?:'ve| have)?(?: just| now)? (?:received"
            r"|got|been sent)|(?:has )?just (?:arrived|came in|come in))\b",
            "payment request",
        ),
    )
)
