"""Plain words for phrases whose words would be of another class; see `harmless.py`.

"At the moment" is an adverb and names no time to wait for; "the phone on the desk" is another one.
"""

from __future__ import annotations

import re

_PLAINLY = tuple(
    (re.compile(pattern), plain)
    for pattern, plain in (
        (r"\b(?:text(?:ing)?|error|test) messages?\b|\btexts\b", "messages"),
        (r"\ba (?:\w+ )?message\b(?! (?:with|fail|goes|can))", "a joke"),
        (
            r"\b(?:on|from|at|in|by) (?:our|my) (?:side|end|system|screen|records|database)\b",
            "on side",
        ),
        (
            r"\b(?:right now|at the moment|for now|at this (?:point|time|moment)|so far|as well"
            r"|at all|in fact|once (?:more|again)|one more time|no doubt|in general"
            r"|after all|by far|for sure|as usual|all set|any ?more|any longer)\b",
            "just",
        ),
        (r"\bin (?:a|an|one|two|\d+)(?: few| couple of)? (?:moment|minute|second)s?\b", "later"),
        (
            r"\b(?:a few|a couple of|\d+)(?: more)? (?:seconds|minutes|moments)"
            r"|\b(?:a|one) (?:minute|second|moment)(?: or two| or so)?\b",
            "a moment",
        ),
        (
            r"\bafter (?:a|the|your|this|that|each|every) (?:\w+ )?(?:restart|reboot|reset|update"
            r"|change|swap|trip)\b",
            "with restart",
        ),
        (r"\bsecond(?= (?:step|thing|slot|part|setting|permission)\b)", "just"),
        (r"\b(?:one )?(?:second|other|spare|old) (?=T_phone|line|number|T_sim)", "another "),
        (r"\bolder (?=network|generation|mode|technolog|standard|T_network)", ""),
        (r"\bolder (?:and )?slower\b", "slow"),
        (r"\b(?:keep|stop)s? (?=\w+ing\b|you\b|your\b|it\b|apps?\b|T_\w+)", "affects "),
        (r"\bmake(?:s|ing)? sure\b", "ensures"),
        (
            r"\b(?:says|reads|reports|thinks)(?= (?:that |the |your |it|there|no |you |you're "
            r"|T_))",
            "shows",
        ),
        (r"\b(?<=will )tell (?:us|me)\b|\btells (?:us|me)\b", "show"),
        (
            r" you (?:want|wish|like|need|are trying|were trying)(?= to\b)|(?<=you)'re trying(?="
            r" to\b)",
            " you need",
        ),
        (r"\b(?:did|done) nothing wrong\b", "did well"),
        (r"(?<=what )((?:it|(?:your|the) \w+)) says\b", r"\1 shows"),
        (r"\bin (?:france|italy|spain|germany|mexico|canada|europe|another country)\b", "abroad"),
        (r"\b(?:had|took) a (?:\w+ )?look\b", "looked"),
        (r"\b(?:have|take) a (?:\w+ )?look\b", "look"),
        (r" before the (?:test|next step|restart)\b", ""),
        (
            r" from what you(?:'ve| have)?(?: just)? (?:told|shown|sent|described|shared|said"
            r"|reported)"
            r"(?: to)?(?: me| us)?(?=,? that\b)",
            "",
        ),
        (r"\bwent ahead and\b|\bgone ahead and\b", "already"),
        (r"\bkeep you (?:waiting|on hold)\b|\b(?:for )?(?:waiting|holding)\b", "keep you"),
        (r"\bthe whole time\b|(?<!take )\ball the time\b", "always"),
        (r"\btells (?=(?:your|the)\b)", "helps "),
        (r"\bother (?=apps?|things|checks|settings|steps|signs|carriers|networks|features)", ""),
        (r"\banother (?=step|thing|setting|check|cause|reason|possib|common|T_)", "a "),
        (r"\bwant(?=s? to (?:check|try|look|make sure|rule)\b)", "try"),
        (r"\bnothing (?:is )?wrong\b|\bsomething(?:'s| is)? wrong\b", "everything is"),
        (r"\bwhat(?:'s| is) wrong\b", "why"),
        (r" (?:that )?(?:i|we) (?:needed|wanted|expected|was hoping for|were hoping for)\b", ""),
        (r" (?:that )?(?:i|we)'d like(?: us| you)? to (?:try|check|do|go over)\b", ""),
        (
            r"\b(?<=\w )(?<!step )ones?\b(?= |$)(?! (?:more|of|or|at|last|final|step|thing|setting"
            r"|minute))",
            "thing",
        ),
        (r"(?<=for the )(?:delay|wait|confusion|mix-up)\b", "trouble"),
        (r"\bno longer\b", "not"),
        (r"\b(?:that|this|it)(?:'s| is) (?:\w+ )?all (?:it|that) takes\b", "this helps"),
        (r"^(?:and |then )?hopefully,? (?=(?:this|that|it)\b)", ""),
        (r" before we (?:move|go) on\b| before we (?:continue|proceed|finish|wrap up)\b", ""),
        (
            r"\b(we|i)(?:'ll| will| can| could)(?: then| also)? (?:see|check|know|test|tell|verify"
            r"|confirm) (?:if|whether)\b",
            r"\1'll see that",
        ),
        (r"\bthat way,? (?=(?:we|i)\b)", "then "),
        (r"\b(?:hurt|harm)s? (?=(?:your |the )?(?:T_speed|speed|T_\w*data)\b)", "slow "),
        (r"\b(?:does|do) (?:the trick|wonders|the job)\b", "helps"),
        (
            r"\bis (?:\w+ly |often )?(?:an?|one|the) (?:\w+ ){0,2}(?:cause|reason|source|culprit"
            r"|factor) (?:of|for|behind)\b",
            "causes",
        ),
        (r"\bthe other (?=half|part|thing|step|switch|setting)\b", "the "),
        (r"\bthan before\b", "than it"),
        (r"\bfrom scratch\b|\beither way\b|\bone (?:after the other|by one)\b", "then"),
        (r"\bonce i(?:'ve)? (?:hear|heard) (?:back )?from you\b", "then"),
        (r"\bmy (?=(?:system|records?|screen|tools?|list|notes)\b)", "the "),
        (r"\b(?:just )?(?:a|an?) (?:moment|minute|second|few minutes) ago\b", "just"),
        (r" you(?:'d)? (?:want|need|like)$", " you get"),
        (r" by doing (?:so|this|that|it)\b", ""),
        (r"\babout to\b", "wait"),
        (r"\bas soon as\b", "when"),
        (r"\b(?:briefly|temporarily|momentarily) (?:lose|drop|disconnect)", "briefly drop"),
        (r"\b(?:this|the|that) option\b", "the setting"),
        (r"\blooks? different\b", "looks off"),
        (r"\bpartner (?=network|carrier|tower)", ""),
        (
            r"\b(?:will|may|might) (?:ask you to confirm|ask for confirmation|prompt you)",
            "may"
            r" work",
        ),
        (r"\bis considered\b", "is"),
        (r"\bat (?:this|that|some) (?:stage|point)\b", "now"),
        (r"\b(?:ask|asks|tell|tells) the (?=network|tower|T_)", "helps the "),
        (r"\b(?:do not|don't|can't|cannot) see (?:any|an?)\b", "see no"),
        (r"\bright after\b|\bshortly after\b|\bafter (?:that|this)\b", "then"),
        (r"\bback in business\b", "back"),
        (r"\bbackup (?=connection)", ""),
        (
            r"\bi should have \w+ (?:this|that|it|you)(?: earlier| before| better|"
            r" sooner)?\b",
            "sorry",
        ),
        (
            r" (?:when|once|as soon as) (?:it|the phone|(?:your |the )?T_phone) (?:boots|restarts"
            r"|comes back"
            r"|starts|reboots|powers|turns)(?: up| on| back)*\b",
            " then",
        ),
        (
            r"(?:^| )while (?:we're|we are) (?:working|looking|troubleshooting|testing"
            r"|fixing)\b[^,]*",
            "",
        ),
        (r" while you do(?: (?:it|that|this|so))?\b", ""),
        (r"\b(?:otherwise|until then|until you do)\b", "without it"),
    )
)


def plainly(text: str) -> str:
    """The lower-case text, with marks for things, in words whose classes say what it means."""
    text = re.sub(r",? (?:john(?: smith)?|(?:mr|mrs|ms) \w+)$", "", text.strip(" .!?;:,"))
    for pattern, plain in _PLAINLY:
        text = pattern.sub(plain, text)
    return text
