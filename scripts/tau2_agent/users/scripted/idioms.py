"""Idioms that no single verb stands for, and the plain words for each.

Data and the one function that applies it; all of it expects the lower-case text of `typography.py`.
"""

from __future__ import annotations

import re

from tau2_agent.users.scripted.condition_words import CONDITIONS
from tau2_agent.users.scripted.courtesies import COURTESIES
from tau2_agent.users.scripted.cycling import PHONE, SWITCH, cycled
from tau2_agent.users.scripted.reseating import reseated

_IDIOMS = tuple(
    (re.compile(pattern), plain)
    for pattern, plain in (
        (r"\b(?:can|could|would|will) u\b", "can you"),
        (r"\bur\b", "your"),
        (r"\b(mr|mrs|ms)\. ", r"\1 "),
        (r"\bsee to it that\b", "make sure that"),
        (r"\bdo me (?:a|one) favou?r and\b", "please"),
        (
            r"\bpower (it|the phone|your (?:phone|device)) (?:off|down),?"
            r" (?:and |then )*(?:wait[^,.]*, )?(?:and |then )*(?:power|turn|switch) (?:it )?"
            r"(?:back )?on\b(?: again)?",
            r"restart \1",
        ),
        (r"^dear (?:customer|user|sir|madam|john)\b", "hello"),
        (rf"\b(?:make|put) ({SWITCH}) (on|off)\b", r"turn \1 \2"),
        (r"\b(?:let me|allow me to|may i just) (?:ask|have|get|invite) you to\b", "please"),
        (r"\bprior to\b", "before"),
        (r"\bhere(?:'s| is) (?:the|your|our) (next|final|last|first) (?:step|thing):", r"\1 step:"),
        (
            r"\b(?:based on|given|judging by|considering) (?:the|these|this|your) (?:\w+ ){0,2}"
            r"(?:results?|tests?|readings?|information|findings|answers?|status|details|checks?)"
            r",? (?=(?:please|i|we|let's|could|can)\b)",
            "",
        ),
        (
            r"\b(?:run|do|perform|take) (?:another|one more|a new|a second) test\b",
            "run the test again",
        ),
        (r"\bdo so(?= and\b)", "do that"),
        (r"\bfor (?:the moment|the time being)\b", "for now"),
        (r"\bre-?(test|measure|verify|examine|inspect)(ing)?\b", r"\1\2"),
        (r"\bwhat do you see when you (?:check|look at|open)\b", "please check"),
        (r"\bback(?:ing)? up (?=your\b|the\b|all\b|any\b|what\b|it\b)", "backup "),
        (r"(?<!\w)'?till?\b(?= (?:the|your|you|i|we|it|my|after)\b)", "until"),
        (
            r"\bto (?:the |its |their |your )?(?:(?:original|factory|initial|standard|carrier"
            r"|manufacturer)(?:'s)? )+(?:defaults?(?: settings| values)?|settings|values)\b",
            "to their defaults",
        ),
        (r"\b(?:pls|plz)\b", "please"),
        (  # terse orders; without "please" it may be a report
            rf"(?:^|(?<=[.!?] ))(please,? )?({SWITCH})\W{{1,3}}(?:to )?(on"
            rf"|off)\W{{1,2}}(?:now,? )?please"
            r"(?=[.!]?$|[.!]\s|,? (?:and )?then\b)",
            r"please turn \3 \2",
        ),
        (
            rf"(?:^|(?<=[.!?] ))please,? ({SWITCH})\W{{1,3}}(on|off)(?=[.!]?$)",
            r"please turn \2 \1",
        ),
        (r"^(?:please )?apn reset(?=\W.*please)", "please reset apn"),
        (
            r"(?:switch|chang|toggl|set|turn|flip|mov)(?:e|t?ing)? ([\w -]{3,40}?) from (?:the )?"
            r"(?:on|off)(?: position)? to (?:the )?(on|off)\b",
            r"turn \2 \1",
        ),
        (r"\((?:it'?s |it is )?(?:currently|now)\W+(on|off)\)", r"(it is currently \1)"),
        (
            r"(?:select|choose|tap|press|hit|click)(?: on)? [\"']((?:reset|turn|switch|enable"
            r"|disable)"
            r" [^\"']{3,40})[\"']",
            r"\1",
        ),
        (
            r"(?:tak|pull|pop|get)(?:e|p?ing)? it out,? (?:and |then )+(?:put|plac|slid|push|pop)"
            r"(?:e|t?p?ing)? it back(?: in)?\b",
            "reseat it",
        ),
        (
            r"(?:tak|remov|pop|eject|pull|get)(?:e|p?ing)? (?:out )?(?:the |your )?(?:physical"
            r" )?sim(?:[ -]?card)?(?: tray)?(?: out)?"
            r"(?: of (?:the|your|its) \w+)?,? (?:and |then )+(?:(?:put|plac|re-?insert|slid|push"
            r"|pop|insert)(?:e|t?p?ing)?"
            r" (?:it|the card)(?: back)?(?: (?:in(?:to)?(?!to| case| the event)|again)\b)?)(?:"
            r" (?:the|its) (?:tray|slot)| place)?",
            "reseat your sim card",
        ),
        (r",? (?:as well as|along with|together with|plus(?= \w)|&|\+) ", " and "),
        (
            rf"(?:turn|switch|power)(?:ing)? (?:{PHONE} off"
            rf"|off {PHONE})\b[^.?!\n]{{0,60}}?\b(?:back on|on again|(?:turn|switch|power) (?:it"
            rf"|{PHONE}) (?:back )?on)(?: again)?",
            "restart your phone",
        ),
        (rf"put(?:ting)? {PHONE} (?:in|into|on)(?: to)? (?=air|aero|flight)", "turn on "),
        (
            rf"(?:tak|get|bring|mov|switch)(?:e|t?ing)? (?:{PHONE}|it) (?:back )?out of (?=air"
            rf"|aero"
            rf"|flight)",
            "turn off ",
        ),
        (
            r"(?:exit|leav|quit|com|get)(?:e|t?ing)? (?:out of )?(?=(?:the )?(?:airplane"
            r"|flight))",
            "turn off ",
        ),
        (  # "... airplane mode, then take it back out"
            rf"(\b(?:airplane|aeroplane|flight)(?:[ -]?mode)?\b[^?!]{{0,80}}?)"
            rf"(?:tak|get|bring|mov|switch|pull|com)(?:e|t?ing)? (?:(?:it|{PHONE}|yourself) )?"
            r"(?:back |right )?out(?: again)?(?: of (?:it|there|that))?\b(?! of)(?!.*\bsim\b)",
            r"\1turn off airplane mode",
        ),
        (r"\bbefore (?=\w+ing (?:it|them|(?:\w+ ){1,3})(?:back|again|on\b|off\b))", "then "),
        (
            r"(?:power|turn|switch) (?:your|the) (?:phone|device) off and (?:back )?on(?: again|"
            r" once)?\b",
            "restart your phone",
        ),
        (
            r"(?:eject|open|pull out|remove) (?:the|your) (?:sim )?(?:card )?tray,? (?:and "
            r"|then )*(?=(?:take|remove"
            r"|pull))",
            "",
        ),
        (
            r"(?:bump|put|move|change|switch|(?:re)?set|restore) ((?:your "
            r"|the )?(?:preferred )?network (?:mode"
            r"|type)(?: preference)?)"
            r" (?:up |over |back )?(?:to|into|on) (?=(?:prefer )?[245]g|lte)",
            r"set \1 to ",
        ),
        (r"(?<=to )prefer (?=[45]g|lte)", ""),
        (
            r"\b(?:payment request|request|bill) (?:that )?(?:i've|i have|i just|i) "
            r"(?:just )?sent(?: you| over| to you)*\b",
            "payment request",
        ),
        (r"\bgo ahead and (?=do|pay|make|restart|reboot|reset|turn|switch|disable|enable)", ""),
        (r"\bif (?:it|everything|that) (?:all )?checks out\b", "if everything looks right"),
        (r"\bif you restarted\b", "to restart"),
        (
            r"(pay(?:ment)?(?: it)?),? (?:when|whenever|once) you(?:'re| are) (?:happy|ready|okay"
            r"|comfortable)"
            r"(?: with (?:it|that|the amount))?",
            r"\1 if you agree",
        ),
        (
            r"(?:^|(?<=[.!?] )|(?<=, )|(?<=then )|(?<=and ))(speed ?test)((?: again"
            r"| now)?),? please\b",
            r"run a \1\2, please",
        ),
        (
            r"\bbefore we (?:dig|deal|look|turn|go|do|continue|start|try|move|proceed"
            r"|get)\b[^,.;]*, "
            r"(?=let's|please|can|could|i'd)",
            "",
        ),
        (
            r"\b(make sure|ensure|check|verify|confirm)( that)?\b([^.?!;\n]*?),? and that\b(?= "
            r"(?:the |your )?[a-z])",
            r"\1\2\3 and \1 that",
        ),
        (
            r"(?:perform|do|carry out) a (?:\w+ )?(?:restart|reboot)(?: (?:of|on|for)(?= your|"
            r" the))?",
            "restart",
        ),
        (
            rf"(?:giv|do)(?:e|ing)? (?:it|{PHONE}) (?:a|another|one more) (?:\w+ )?"
            r"(?:restart|reboot|power cycle)\b",
            "restart your phone",
        ),
        (rf"(?:get|have) {PHONE} (?:restarted|rebooted)", "restart your phone"),
        (
            r"(?<!should )(?<!now )(?:get|have) ((?:your |the )?[\w -]{2,20}?) (?:turned"
            r"|switched)(?: back)? (on|off)\b",
            r"turn \2 \1",
        ),
        (
            r"(?:tap|select|choose|press)(?: on)? \"?(storage|sms)\"?(?: permission)?,? (?:and "
            r"|then )+"
            r"(?:select|choose|tap|press|set it to) \"?allow(?:ed)?\"?",
            r"grant the \1 permission",
        ),
        (
            r"(?:the )?(?:option|setting|one|mode) (?:that|which) (?:allows?|lets? (?:the|your)"
            r" phone use"
            r"|uses?|includes?|supports?|has)(?: for)?(?: both)? (?=[45]g|lte)",
            "",
        ),
        (
            r"\b(?:that|this) (?:option|setting|feature|one)\b(?= (?:on|off)\b)|(?<=able )(?:that"
            r"|this) (?:option|setting|feature)\b",
            "it",
        ),
        (r"\bapps (?:that|which) (?:are|you have)(?: currently)? installed\b", "installed apps"),
        (r"\bwhat you(?:'ll)? need to do(?: now| next)? is(?: to)?:?", "please"),
        (r"\"(storage|sms|network|phone|messaging|messages)\"", r"\1"),
        (
            r"\bif \"?(mobile data|data roaming|roaming|airplane mode|data saver(?: mode)?"
            r"|wi-?fi calling)"
            r" ?(?:enabled|status)?:?\"? (?:says|shows|reads|is) \"?(?:no|off|disabled"
            r"|false)\b\"?",
            r"if \1 is off",
        ),
        (
            r"\bif \"?(mobile data|data roaming|roaming|airplane mode|data saver(?: mode)?"
            r"|wi-?fi calling)"
            r" ?(?:enabled|status)?:?\"? (?:says|shows|reads|is) \"?(?:yes|on|enabled|true)\b\"?",
            r"if \1 is on",
        ),
        (r"^(to [^,.]{3,40}?) (?=(?:we|you)(?:'ll| will)? (?:need|have) to\b)", r"\1, "),
        (
            r"\b(?:put|set|change|switch|move) (?:it|that) back (?:in)?to (?=[245]g|lte)",
            "set"
            r" it to ",
        ),
        (r"\bplease an? (?:\w+ )?(?:restart|reboot)\b", "please restart your phone"),
        (r"\bhere's what i(?:'d)? (?:suggest|recommend|propose)(?: (?:next|now))?:?", "please"),
        (
            r"\ball (?:that )?i need(?: from you| you to do)?(?: now)? is(?: for you)? to\b",
            "please",
        ),
        (r"\bright after(?:wards?)?(?=[.!?]?$)", "afterwards"),
        (r"(?<=preferred)\"? (?:there )?instead\b(?! of)", ""),
        (r"\bproceed with (?:the|your) payment\b", "make the payment"),
        (r"\bif everything(?:'s| is) in order\b", "if everything looks right"),
        (
            r"(?:^|(?<=[.!?] ))(?:and |now |then )*an? (?:\w+ )?(?:restart|reboot)"
            r"(?: of (?:the|your) phone)?,? please\b",
            "please restart your phone",
        ),
        (
            r"\bslide (?:the |your )?\"?([\w -]{3,20}?)\"?(?: switch| toggle"
            r"| slider)? to the right\b",
            r"turn on \1",
        ),
        (
            r"\bslide (?:the |your )?\"?([\w -]{3,20}?)\"?(?: switch| toggle"
            r"| slider)? to the left\b",
            r"turn off \1",
        ),
        (r"\bif i could ask you for one (?:more|last) (?:thing|favou?r):?,? ", ""),
        (r"(?:^|(?<=[.!?] ))for comparison, (?=please|can|could)", ""),
        (r"\ball (?:that's|that is|that) left(?: to do)?(?: now)? is(?: for you)? to\b", "please"),
        (
            r"\bwhat i(?:'d| would)? (?:like|want|need)(?: for)? you to do(?: now| next"
            r"| first)? is"
            r"(?: to)?:?",
            "please",
        ),
        (
            r"\bthe (?:last|next|only|first|final) (?:thing|step)(?: that)?(?: (?:i'd|i would)"
            r" like you to"
            r" (?:try|do)| i need you to do| to (?:try|do))?(?: now| next)? is(?: to)?\b",
            "please",
        ),
        (r"\b(?:do not|don't) hesitate to\b", "please"),
        (r"\be\. ?g\.,?", "for example,"),
        (
            r"(?:press and )?hold (?:down )?(?:the |your )?power button[^.?!\n]*?(?:restart"
            r"|reboot)\w*",
            "restart your phone",
        ),
        (r"remov(?:e|ing) and (?=re-?(?:insert|seat))", ""),
        (r"\bwi[- ]fi\b", "wifi"),
    )
)


def in_plain_words(text: str) -> str:
    """The text with its idioms said plainly: "give your phone a restart", "restart your phone"."""
    text = cycled(text)
    for pattern, plain in (*COURTESIES, *_IDIOMS, *CONDITIONS):
        text = pattern.sub(plain, text)
    return reseated(text)
