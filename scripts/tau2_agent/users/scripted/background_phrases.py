"""Phrases that are known only in a sentence beside the request; see `known_phrases.py`.

Data. What the agent sees or did stands before a request: after it, the same words may take it back.
"""

from __future__ import annotations

import re

from tau2_agent.users.scripted.known_phrases import STATE

# Of a sentence before the first request only: afterwards it may take the request back.
BACKGROUND_PHRASES = tuple(
    re.compile(pattern)
    for pattern in (
        r"\b(?:i|we)(?:'ve| have| had| can| could|'m| am)?(?: (?:just|now|also|already|successfully"
        r"|currently|and))*(?: gone ahead and)? (?!(?:wanted|asked|considered|planned|hoped|tried"
        r"|recommended|advised|instructed|decided|suggested|needed|used|intended|wished|wondered"
        r"|doubted|preferred|promised|offered)\b)(?:[a-z]+ed|made|found|seen|sent|confirm|see)\b"
        r"(?: (?:it|this)\b)?(?: for\b)?(?: you\b)?(?: that\b)?",
        r"\b(?:here(?:'s| is) )?(?:what )?we(?:'ll| will| can| could|'re going to|'re| are going"
        r" to)"
        r"(?: then)?\b(?! (?:need|not|never|have))|\byou(?:'re| are) (?:doing|welcome)\b|\byou"
        r" did\b"
        r"|\b(?:i|we) (?:realize|can imagine|know|see|want to|have that|get this|get your)\b"
        r"|\bmy goal\b"
        r"|\bstay connected\b|\bwhile traveling\b|\btake a look\b|\bhere's\b|\bwhat else\b|\bif"
        r" we can\b"
        r"|\bnot (?:easy|registered|what)\b",
        r"\bfrom being\b|\b(?:everything|almost there|contacts)\b|\bwill stay\b|\bwhat (?:i|we)"
        r" needed\b"
        r"|\b(?:on|from) my (?:end|side)\b|\bfor you\b",
        r"\bby mistake\b|\bfor the back and forth\b|\bany (?=photos|files|T_)|\bi promise\b"
        r"|\b(?:doesn't|does not|don't) always\b",
        r"\bi(?:'d| would) be (?:glad|happy) to(?: help| assist)?(?: you)?\b|\bi'm here to help\b"
        r"|\bi'm (?:so |very |really )?sorry (?:that )?you(?:'re| are|'ve been| have been) "
        r"(?:having"
        r"|experiencing|facing|dealing)\b|\bget (?:this|it|that|things) (?:fixed|sorted)\b",
        r"\byou(?:'re| are) (?:currently |still |now )?(?:abroad|travell?ing|connected|using|on|in"
        r"|experiencing|having|seeing|missing|over|close|at)\b|\byou(?:'ve| have)(?: got| currently"
        r"| already| now)? (?:an?|plenty|enough|some|used|exceeded|reached|\d[\d.]*|no T_\w+)",
        r"\bwe(?:'re| are) (?:getting|on|making|almost|nearly|very|all)\b|\b(?:i|you|we)(?: can"
        r"|'ll)?"
        r" (?:see|notice)\b|\byou (?:can't|cannot|can not|couldn't|aren't able to|are unable to)\b",
        r"\b(?:is|was|are|were|isn't|wasn't)(?: probably| likely)?(?: not)? the (?:problem|issue"
        r"|cause"
        r"|culprit|reason)\b|\b(?:that|this|it|which) (?:did not|didn't|hasn't|has not|doesn't"
        r"|does not)"
        r" (?:help\w*|fix\w*|resolv\w+|work\w*|solv\w+|chang\w+|improv\w+)\b",
        r"\bthat(?:'s| is) (?:not )?what (?:i|we) (?:expected|needed|was hoping for|were hoping for"
        r"|thought|suspected)\b|\b(?:tells|shows) (?:me|us|your|the)\b|\bhow (?:much|to connect)\b"
        r"|\bwhy you\b|\b(?:to know|to hear)\b|\btaking the time\b|\bwhile (?:i|we) (?:looked"
        r"|checked)"
        r"\b|\b(?:try|check) (?:something else|another (?:step|thing))\b|\bfor letting me know\b",
        r"\blet's (?:figure out what's going on|get (?:this|it|that) (?:fixed|sorted)|move on)\b"
        r"|\b(?:i|we) (?:understand|know)\b|\bwhich (?:could|may|might|can|would) be\b",
        rf"\b{STATE} or (?:not )?(?:properly )?{STATE}\b|\bor\b(?= slow| poor| no T_| an? )",
    )
)
# Of a sentence after the first request that asks for nothing to be pressed.
AFTER_PHRASES = (
    re.compile(
        r"\b(?:and |then )?(?:we|i)(?:'ll| will| can) (?:then )?(?=(?:continue|check|run|test|see"
        r"|look"
        r"|proceed|go|move|try|take)\b)|\bask\b|\banything (?:changes|happens)\b|\bgo dark\b"
        r"|\blost\b"
    ),
)
