"""Conditions in one form: "provided that", "only when" and "as long as" are "if"."""

from __future__ import annotations

import re

CONDITIONS = tuple(
    (re.compile(pattern), plain)
    for pattern, plain in (
        (r"\bhappens? to be\b|\bturns? out to be\b", "is"),
        (
            r"\b(if|when|while) the (?:switch|toggle|button|slider) (?:is|shows|says|reads)\b",
            r"\1 it is",
        ),
        (r"\bif,? and only if\b,?", "if"),
        (
            r"(?:,?(?: (?:and|but))?,? |^(?:(?:and|but) )?)(?:only|just) (?:if(?! you (?:like"
            r"|want))|when|in case|once"
            r" it is clear that)\b",
            " if",
        ),
        (
            r"\b(?:provided|assuming|supposing|granted(?= that))(?: that)?\b|\b(?:as|so) long as\b"
            r"|\bin the (?:event|case)(?: that)?\b|\bon (?:the )?condition that\b|\bin case\b",
            "if",
        ),
        (r"\b(?:only|just) (?=after\b|once\b|as soon as\b)", ""),
        (
            r"\b(?:where|when|as|if)(?:ever)? (?:needed|necessary|required)\b"
            r"|\bif (?:applicable|appropriate)\b",
            "if needed",
        ),
    )
)
