"""Where a sentence ends, and where a clause begins; see `grammar.py` for what they are made of."""

from __future__ import annotations

import re

from tau2_agent.users.scripted import grammar

SENTENCES = re.compile(r"(?<=[.!?])[\"')]*\s+|[\n;]+")
_START = (
    rf"(?>(?:{grammar.FILLER})\b[\s,]*)*+(?:{grammar.ASK}|{grammar.VERB}|{grammar.TOOL.pattern}|if\b|when\b|once\b|after\b"
    rf"|before\b"
    r"|until\b|unless\b|while\b|otherwise\b|as soon as\b|because\b|since\b|so that\b|i\b|we\b"
    r"|you\b|it\b|this\b|that\b|there\b|what\b|which\b|whether\b|is\b|are\b|do\b|does\b|did\b"
    r"|not\b)"
)
_ASKING_IF = re.findall(  # "check if it is on" asks, and is no condition
    r"\w+",
    "wondering wonder check checking see seeing know verify verifying confirm confirming me out"
    " sure test testing us looking find determine",
)
CLAUSES = re.compile(
    "|".join(
        (
            rf"[,:–—]\s+(?={_START})",
            rf"\s[->]\s(?={_START})",
            r",\s+(?=(?:(?:just|please|simply|feel free to) )*(?:ask|say so|reach out)\b)",
            rf"\s\((?={_START})",
            rf"\s+(?=(?:and then|and|then|but|or(?! so\b)|so)\s+{_START})",
            "".join(rf"(?<!\b{word})" for word in _ASKING_IF)
            + r"\s+(?=if (?!you (?:could|would) please|so\b))",
            r"\s+(?=(?!once (?:to|more|again|and|or)\b)"
            r"(?:once|after|before|until|unless|because|so that|as soon as|when|while) )"
            r"(?<!\bonly )",
            r"\s+(?=should (?:it|that|this|they|the) )",
            r"\s+(?=and (?:your|the|it|this|that|everything)\b[^,.;]{0,40}? (?:should|will|may"
            r"|might)\b)",
            r"\s+(?=if needed\b)",
            r"\s+(?=please\b)",
        )
    )
)
