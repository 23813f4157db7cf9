"""Shapes of a sentence that decide what its known words are worth; see `accounting.py`.

Data; all of it expects plain lower-case text.
"""

from __future__ import annotations

import re

from tau2_agent.users.scripted.known_phrases import DONE, DURATION, STATE

# What stands after what it waits for, or else nobody knows what that is.
THEN = re.compile(
    rf"\bonce {DONE}\b|\bafter (?:resetting|restarting|rebooting|reseating|doing)"
    rf"(?: (?:it|that|this|so|them))?(?=,|$)"
    rf"|\b(?:once|when|after) it (?:restarts|reboots|finishes)\b"
    rf"|\bafter {DURATION}|\b(?:once|when|after|as soon as) (?:it|that|this|they"
    r"|everything|both|the (?:restart|reboot|reset|test|phone|device|app|settings?"
    r"|changes?))(?:'s|'re|'ve| is| has| are| have| comes)?(?: been| back| all| now)*"
    rf"(?: (?:{DONE}|on|up|reset|restarted|off|back|again|running|that|this|ready))*"
    r"(?: (?:on|up|online|again))?"
)
POLITE_QUESTION = re.compile(
    r"\b(?:can|could|would|will|may|might) (?:you|we|i)\b|\bplease\b|\bwhy don't (?:you|we)\b"
    r"|\b(?:how|what) about\b|\b(?:perhaps|maybe) you\b|\bwould it be\b|\bare you (?:able"
    r"|willing)\b|\bdo you mind\b"
)
LABEL = re.compile(r"^(?P<label>[^:]{2,60}):\W*")  # "known issues: restart ..."
SETTLED = re.compile(  # after a request: "I see it is off now"
    r"^(?!.*\b(?:if|once|when|until|whether|make sure|ensure|so that)\b).*"
    rf"\b(?:it|that|this(?: step)?|they|everything|all)(?:'s| is| are| was| looks?)?"
    rf"(?: now| already| all)* (?:{STATE}|done|complete|completed|finished|right"
    r"|good|great|fine|okay|perfect)\b|\b(?:has|have|had|with|for|without|of) it\W*$|\bup to\b"
    r"|^(?:wait|give)\b.*\b(?:first|before)\b"
)
# It waits for what was said before: "the line is being checked. Then restart your phone".
SEQUEL = re.compile(
    r"^(?:and |so )?(?:please )?(?:(?P<then>then|afterwards?|after (?:that|this))|next)\b"
)
UNDER_WAY = re.compile(
    r"\b(?:will|shall|must|needs?|has to|have to|had to|going|\w+ing|in progress|under way)\b|'ll\b"
)
OPENS_LIST = re.compile(
    r"(?:can|could|would|will) you (?:please )?(?:do|try|follow|perform|complete)\b"
)
QUOTED = re.compile(
    r"\"(?:please |kindly )?(?:turn|switch|toggl|disabl|enabl|disconnect|restart|reboot|reseat"
    r"|remov|reset|grant|chang|pay|activat|deactivat|power|tak|put)\w* [^\"]*\w[^\"]*\""
)
