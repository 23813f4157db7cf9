"""The shape of a sentence: where a clause begins, and what kind of clause it is.

Patterns for `understanding.py` and `actions.py`, no logic; the words themselves are in
`lexicon.py`. All of them expect the lower-case text that `understanding.parse` makes.
"""

from __future__ import annotations

import re

from tau2_agent.users.scripted.lexicon import TOOL_TOPICS, VERB_WORDS, VERBS


def either(*patterns: str) -> str:
    return "|".join(patterns)


_PRESS = either(*(words for kind, words in VERBS.items() if kind not in ("nav", "check", "ensure")))
_PRESS = rf"\b(?:{_PRESS})\b"
VERB = re.sub(r"\?P<\w+>", "?:", VERB_WORDS.pattern)

TOOL = re.compile(rf"\b(?:{'|'.join(sorted(TOOL_TOPICS, key=len, reverse=True))})\b")

# --- What may stand before a clause and changes nothing ---
_POLITE_IF = either(
    r"if you (?:(?:can|could|would)(?!n?'t\b|not\b)|like|don'?t mind|do not mind|are able(?: to)?)",
    r"if you have(?:n'?t| not)(?: done so)?(?: already| yet)?",
    r"if you are using [\w ]+|if you (?:use|have) (?:an? )?(?:iphone|android)\w*",
    r"if possible|if (?:that|it)(?:'?s| is) (?:okay|ok|alright|fine|possible)(?: with you)?",
)
FILLER = either(
    r"okay|ok|great|good|perfect|excellent|all ?right|alright|sure|certainly|understood|got it"
    r"|yes",
    r"thanks?(?: you)?(?: (?:so|very) much)?(?: for [^,.]{0,60})?|i see|no problem|no worries",
    r"hello|hi",
    r"first(?:ly| of all)?|second(?:ly)?|third(?:ly)?|next|then|also|final(?:ly)?|last(?:ly)?",
    r"right now|for the moment|at the moment|this time|again|now|after (?:that|this)|once"
    r" (?:that is|that's|that) done|so|and|but|or|well|just",
    r"before (?:doing (?:that|so|it|this)|that|this|you do(?: that| so| it)?)(?= *,?)|(?:the "
    r"|our |your )?next (?:step|thing)(?: is)?"
    r"|that is(?= *(?:,|$))|i mean|to be precise|simply|quickly|afterwards?|after which|instead"
    r"|additionally|in that case|for now|at this"
    r" point|from there|meanwhile",
    r"however|therefore|since then|one more time|specifically|perhaps|maybe|step \w+|please"
    r"|kindly",
    r"to (?:start|begin)(?: with| off)?|(?:let'?s )?(?:start|begin) (?:by|with)",
    r"to (?:do|fix|resolve|help with|address|rule out|narrow down|assist|help)"
    r" (?:so|this|that|it|you)",
    r"john(?: smith)?|mr\.? smith|(?:can|could|would|will) you(?= *$)",
    _POLITE_IF,
)
# Possessive: a model that repeats itself must not cost an exponential search.
FILLERS = re.compile(rf"^(?>[\s,:>*•()\"'–—-]+|\d+[.):]?(?:\s+|$)|(?:{FILLER})\b[\s,:!-]*)++")
POLITE = re.compile(r"\b(?:please|kindly|(?:start|begin) (?:by|with))\b")

# --- What makes a clause a request ---
ASK = either(
    r"would it be (?:okay|ok|alright|possible|all right)(?: for you)? (?:if you|to)",
    r"(?:the )?(?:first|next|only|other|last) thing (?:that )?(?:i'd|i would|we could|we should|to)"
    r" (?:try|do|check)(?: now| next| first)? is(?: to)?",
    r"(?:i was wondering|i wonder) if you (?:could|can|would)|if you (?:could|would)(?: please|"
    r" just)?(?= \w+)"
    r"(?! (?:please )?(?:like|want|prefer|mind|rather|need|be)\b)",
    r"(?:can|could|may|might) i get you to|mind(?= \w+ing\b)",
    r"(?:would|will|could|can|might) you be (?:able|willing|so kind as) to",
    r"(?:can|could|would|will) (?:you|we)(?! (?:like|mind))|(?:would|do) you mind",
    r"(?:would|will) you be (?:able|willing) to|are you (?:able|willing) to",
    r"would it be possible (?:for you )?to|(?:may|can|could) i (?:ask|have) you(?: to)?",
    r"(?:i|we)(?:'d| would|'ll| will| do|'re|'m| am)?(?: going to)?(?: just| only| also| now)? "
    r"(?:need|want|like|ask|advise|encourage|request|prefer)(?:ing)?(?: for)? you to",
    r"(?:may|can|could) i trouble you(?: to)?|(?:would|could|will) you be so kind(?: as)? to|be"
    r" so kind as to"
    r"|(?:i|we)(?:'d| would) (?:really )?(?:appreciate it|be (?:\w+ )?(?:grateful|glad|happy))"
    r" if you(?: could| would)?"
    r"|(?:your|the) next step (?:is|would be) to|(?:go|move) on (?:to|and)"
    r"|(?:i|we)(?:'d| would) like to have you|i (?:need|have) to ask you to|would you like to|do"
    r" you want to|you(?:'d| had) better",
    r"you(?:'ll| will)? (?:also |now |then |just )?(?:need|have|want|ought) to",
    r"you (?:should|must|can|could|may|might)(?: (?:want|need) to)?",
    r"let'?s|let us|we(?:'ll| will)? (?:need|have|want) to|we (?:should|must|can|could)",
    r"(?:i|we)(?:'d| would)? (?:suggest|recommend|advise|propose)(?: that)?(?: you)?(?: to)?",
    r"(?:what|how) about|why don'?t (?:you|we)|try(?:ing)?(?: to)?|attempt to|please",
    r"(?:i think |i believe )?it(?:'s| is|'d be| would be| may be| might be) worth(?:"
    r" also)?(?= \w+ing\b)",
    r"it (?:may|might|could|would|will|'d) (?:also )?(?:help|be (?:good|best|helpful|great))"
    r"(?: if you(?: could| would)?| to)?",
    r"(?:don'?t|do not) forget to|remember to|be sure to|make sure(?: to| you)|go ahead and",
    r"feel free to|(?:the|your) (?:\w+ ){0,2}(?:step|thing|fix|solution|way)(?: \w+){0,3}? is to",
)
ASKS = re.compile(rf"^(?:{ASK})\b[\s,]*(?:(?:also|now|then|please|kindly|just|first|quickly) )*")
DECISION = re.compile(
    r"would you like to|do you want to|(?:would|are) you (?:be )?(?:willing|able) to"
    r"|you (?:can|could|may|might)\b"
)
NEEDS = re.compile(
    r"\b(?:needs? to be|must be|has to be|have to be|needs?) "
    r"(?P<state>(?:turned |switched )?(?:on|off)|enabled|disabled|activated|re-?seated"
    r"|re-?inserted"
    r"|reset|re-?started|re-?booted|disconnected|deactivated)\b"
)
NEEDED_HERE = re.compile(  # and not "by the carrier", "on our side"
    r"(?: on your (?:phone|device)| in (?:the|your) settings| again| first| now| please)*"
    r"(?: (?:so|because|since|to|for|in order) .*)?"
)
RESTARTS_IT = re.compile(r"^(?:re-?(?:start|boot)|power[ -]?cycle)\w* (?:it|that|this|them)\b")
PHONE_OR_NOT = re.compile(
    r"(?P<phone>\b(?:smart)?phones?\b|\bdevices?\b|\bhandset\b)"
    r"|(?P<other>\bapps?\b|\bsim\b|\bvpn\b|\bline\b|\bwi-?fi\b|\bnetwork\b|\brouter\b|\baccount\b)"
)
IS_A_DEFINITION = re.compile(r"\b(?:is|was|means|would be) (?:to|a|an|the|not)\b")
ANNOUNCES = re.compile(  # "then I'll ask you to restart it": no request yet
    r"(?:i|we)(?:'ll| will|'m going to|'re going to| am going to| are going to)(?: then| next)?"
    rf" (?:(?:ask|have|tell|get|walk|guide|need|want) you\b.*?(?={_PRESS})|(?={_PRESS}))"
)
DONE_FIRST = re.compile(r"\b(?:then|after\b|afterwards?|once|when)\b")
HEADING = re.compile(rf"^to (?={VERB})")  # "to turn off airplane mode, open the settings"

# --- Other kinds of clause ---
CONDITION = re.compile(
    r"^(?:if|in case|should|unless|when(?=.*\b(?:shows?|says?|(?:is|are|isn't|not) (?:\w+"
    r" )?(?:on|off|enabled"
    r"|disabled|missing|connected|active|set)\b)))\b"
)
ASIDE = re.compile(
    r"^(?:after|once|when|before|until|while|as soon as|whenever|since|because|as|so that)\b"
)
SO_THAT = re.compile(r"so (?:we|i|you|it) can\b")
ELSE = re.compile(r"^(?:otherwise|or else|if all else)\b")
OFFER = re.compile(
    r"^(?:would you (?:like|prefer) (?:me|us|for me)|would you like (?:that|this|it)(?=\W*$)"
    r"|do you want (?:me|us)|do you mind if i"
    r"|(?:should|shall|may|can|could) i(?! (?:ask|have|trouble|get) you\b)"
    r"|is it (?:okay|ok|alright|fine) (?:if|to))\b"
)
QUESTION = re.compile(
    r"^(?:is|are|am|was|were|do(?! not)|does|did|has|have|had|what|which|where|how|when|who|why"
    r"|any"
    r"|whether|am i|can you (?:see|send|browse|make|hear|access|load|receive|get|confirm|tell))\b"
)
NEEDS_ANSWER = re.compile(
    r"^(?:(?:i|we)(?:'ll| will|'d| would)? (?:also |just |first )?(?:need|require|like to (?:know"
    r"|have|confirm|verify))|you (?:have(?! (?:\w+ed|been|run|hit|gone|no)\b)"
    r"|are (?:able|welcome) to))\b"
)
BARE_QUESTION = re.compile(  # "your full name, please"
    r"^(?:(?:\w+ ){0,3}verification,? )?(?:your|the) (?:(?!\b(?:is|was|are|has"
    r"|will)\b)[\w,' -])*(?:name|number)"
    r"(?:(?!\b(?:is|was|are|has|will)\b)[\w,' -])*$"
)
WANTS_TO_KNOW = re.compile(
    r"^(?:i|we)(?:'ll| will|'d| would)? (?:also |just |first )?(?:need|like|want) to (?:know"
    r"|confirm|verify|see|check)\b"
)
TRANSFER = re.compile(
    r"\b(?:you(?:'re| are) (?:now )?being transferred|(?:i|we)(?:'m|'re| am| are| have|'ve) "
    r"(?:now |just )?(?:transferring|transferred|escalat\w+|connecting) (?:you|this|your)"
    r"|transfer(?:ring)? you (?:now|right away)|please hold (?:on )?while i (?:transfer"
    r"|connect) you)|^transferring you"
)
NOT_YET = re.compile(r"\b(?:if|before|unless|not|would|should|could|can|may|might|until)\b")
AGREED = re.compile(
    r"(?:yes|yeah|yep|correct|exactly|right|sure|of course|please do|go ahead|absolutely|indeed"
    r"|please (?:go ahead|proceed|continue)|(?:yes )?that'?s (?:right|correct)|proceed)"
    r"(?: (?:please|do|now|go ahead|it|so|and|with (?:it|that)))*"
)
NOTICE = re.compile(
    r"^(?:i|we|i'\w+|we'\w+|you|your|you'\w+|it|it's|this|that|that's|there|the|thank|thanks"
    r"|sorry|hi|hello|hey|one moment|hold|bye|goodbye|have a|welcome|my|no|all|everything"
    r"|unfortunately|great|okay|ok|perfect|good|alright|glad|happy|as|since|because|to|let me|for"
    r"|don'?t|do not)\b"
)
# Asks for nothing that could be done, and yet is no riddle.
COURTESY = re.compile(
    r"\blet me know|\btell me|\bkeep me|\bhold\b|\bwait\b|\bmoment\b|\bfollow\b|\bsteps?\b"
    r"|\bnice\b"
    r"|\bresults?\b|\bwhen (?:you|it)|\bonce\b|\bdone\b|\bready\b|\bworks?\b|\bpatien|\bstay\b"
    r"|\bbear with"
)
GIVES_TIME = re.compile(  # "wait for the phone to restart" asks for no restart
    r"(?:wait|await|watch|hold on) for\b[^,;]*? to\b"
    r"|(?:give|allow) (?:(?:the|your) (?:phone|device|network|\w+)|it|me|us) (?:about|around|up to"
    r"|\d+|an?"
    r"|some|ten|thirty|half)\b(?! (?:restart|reboot|\w+ (?:restart|reboot)))"
)
TOLD = re.compile(
    r"^(?:note|be (?:aware|advised|informed|reminded)|keep (?:in mind|an eye)|bear in mind"
    r"|understand"
    r"|rest assured|remember(?! to)|recall|know|expect|imagine|consider|suppose|believe|notice"
    r"|realize"
    r"|realise|think|assume|be patient|allow (?:some|a\b|up|\d|(?:it|me|us) (?:some|an?|up|about"
    r"|\d))|give (?:it|me|us) (?:some"
    r"|a|time)"
    r"|forgive|excuse|accept my|pay attention)\b"
)
FIRST = re.compile(
    r"^(?:(?:but|and|though)\W+)?(?:first\b(?=.*)|before (?:that|this|you do|doing))"
    r"|\bfirst(?: though)?\W*$|^but\W+(?:\w+\W+){0,4}first\b"
)
PAST = re.compile(
    r"\b(?:did|done|so far|already|completed|were|was|has been|have been|happened|tried|earlier"
    r"|previously"
    r"|summary|recap|(?:i|we|you)(?:'ve| have)|possible causes?|reasons?|later|until|never)\b"
)
STEPS = re.compile(
    r"\b(?:steps?|thing|following|try|instructions?|next|please|need|do|here'?s (?:what|how)"
    r"|how to|go|to (?:continue|proceed|fix|resolve|troubleshoot|solve)|first|start"
    r"|can you|could you|let'?s|things|actions?|checks?|these|this)\b"
)
SOME_OF = re.compile(  # of the list under it
    r"\b(?:one|some|any|either|most|none|half|a few|whichever) of (?:these|those|the|two|three"
    r"|them)\b|\b(?:whichever|pick|choose)\b"
)
OR = re.compile(r"\bor\b|\b(?:1|2)\.|\n")
PERMISSIONS_NAMED_BEFORE = re.compile(  # "grant both permissions"
    r"\b(?:it|that|this|them|both(?: permissions)?(?: of them| of these)?|these|those|whichever "
    r"(?:is|one is) missing"
    r"|(?:the )?missing ones?)(?: (?:missing )?permissions?)?(?: to it)?\b|\bthe missing"
    r" permissions?\b"
)
CHOOSES = re.compile(r"select|choos|pick")
A_SCREEN = re.compile(r"(?! (?:between|one|either|wh\w+|if|how)\b)(?: [a-z]+|,| [&>/])*")
LAST_NAMED = re.compile(r"\bthe latter\b|\b(?:that|the) last (?:one|thing)\b")
DO_IT = re.compile(  # what was asked for before
    r"(?:do|try) (?:that|this|it|so|both|these|them)\b(?: (?:for me|now|please|first|next))*\W*$"
    r"|give (?:that|this|it) a (?:go|try|shot)\b"
    r"|(?:perform|take|complete|do) (?:this|that|these) (?:actions?|steps?|changes?)\W*$"
)
BACK = re.compile(  # of a switch: what was thrown is to be thrown back
    r"\b(?:for (?:about |around |at least )?(?:an?|\d+|one|two|five|ten|\w+teen|\w+ty|a few|some"
    r"|the) (?:\w+ )?"
    r"(?:moments?|seconds?|secs?|minutes?|mins?|while|bit|time|test)|briefly|temporarily|to"
    r" normal|returns?|get(?:ting)? back|online|revers\w*|again|back (?:on|off|out|in|to)|(?:on"
    r"|off|out) again|re-?(?:en|dis)able|undo|revert|and back"
    r"|(?:turn|switch|tak|put|bring|flip|toggl)\w* (?:it|them|that|this) back|afterwards?"
    r"|then (?:\w+ )?(?:turn|switch|tak|disabl|enabl|deactivat|exit|leav|remov|revers)\w*)\b"
)
NOT_THAT = re.compile(
    r"\b(?:not|instead of|rather than|other than|except(?: for)?|apart from|unlike)\b[^,.;]*"
)
LISTING = re.compile(r"\bfollowing (?:information|details|questions?)\b")
MACHINE_TEXT = re.compile(r"</?tool_call>|^\s*\{.*\}\s*$", re.DOTALL)
SUBJECT = re.compile(r"^(?:i|we|i'\w+|we'\w+)\b")
FOR_AGENT = re.compile(
    r"\bfor you\b|\b(?:my|our) (?:end|side|system)\b|\b(?:your|the|this) (?:account|line)\b"
)

# --- Inside a clause ---
NEGATION = re.compile(
    r"\b(?:do not|don'?t|doesn'?t|never|not|without|avoid|refrain from|no need|needn'?t|won'?t"
    r"|shouldn'?t|mustn'?t|cannot|can'?t|isn'?t|unnecessary|hold (?:off|back)|instead of"
    r"|rather than|skip|stop|wait(?:ing)? (?:with|on|before|to)|delay(?:ing)?"
    r"|postpon(?:e|ing)|put(?:ting)? off|defer(?:ring)?|forgo|abstain|forget about|omit"
    r"|leave out|rule out)\b"
)
HARMLESS_NOT = re.compile(
    r"\b(?:do not|don'?t) (?:forget to|hesitate to|worry)|why don'?t (?:you|we)|(?:would"
    r"|do) you mind|\bif not\b|not only|(?<!\bdo )(?<!\bmust )(?<!\bshould )not (?:on|off"
    r"|enabled|disabled|connected|active|set"
    r"|working)\b"
)
PRONOUN = re.compile(
    r"\b(?:it|that|this|them|again|which (?:icons?|symbols?|ones?)|what (?:it|you|that|does)"
    r"|what'?s)\b|what (?:it )?(?:shows?"
    r"|says?)"
)
# What follows the object of a verb: a purpose, a place, a means.
TAIL = re.compile(
    r"\b(?:so|because|as|since|in order|which|using|by|via|through|for|when|while|in|under|from"
    r"|within|instead|rather|not|without|except"
    r"|to (?!(?:the |an? |your |its )?(?:on|off|sms|storage|files?|photos?|media|texts?)\b)\w+)\b"
)
REASON = re.compile(  # what follows says why, or of what else, and changes nothing
    r"\b(?:so|because|as|since|in order|which|by|while|when|for (?:me|us|now|the|this|a|about|at"
    r"|\d+)|instead"
    r"|rather|not|without|except|to (?!(?:the |an? )?(?:on|off|your|the|my|its?|sms|storage"
    r"|files?|photos?|media)\b)\w+)\b"
)
PURPOSE = re.compile(r"\b(?:so|because|as|since|in order|for|which|to (?!on\b|off\b|the\b)\w+)\b")
LOOK_TAIL = re.compile(r"\b(?:by|using|via|over|so that|because|so|instead of)\b")
ON_OR_OFF = re.compile(r"\bon ?(?:/|or) ?off\b|\boff ?(?:/|or) ?on\b")
SOME_APP = re.compile(
    r"\b(?!(?:the|your|this|that|an|same|default|each|every|its|my|and|or)\b)\w+ app\b"
    r"|\b(?:all|both|any|other|every|each)(?: of)?(?: your| the)?(?: other)? apps?\b"
)
OFF_STATE = re.compile(r"\b(?:off|disabled|deactivated|disconnected|inactive)\b")
ON_STATE = re.compile(r"\b(?:enabled|activated|active|connected|on)\b(?! (?:your|the|my|this) )")
PARTICLE = re.compile(r"\b(?P<off>off)\b|\b(?P<on>on)\b(?! (?:your|the|my|this|that|a|an) )")
CYCLE = re.compile(
    r"\b(off|on)\b(?: for [^,.]*?)?,? ?(?:and |then )+(?:turn (?:it )?)?(?:back )?\b(on|off)\b"
)

MODE_ENDS = re.compile(
    r"\b(?:instead of|rather than|not|so that|because|for"
    r"|to (?:get|improve|make|speed|increase|have))\b"
)
NOT_THE_MODE = re.compile(r"\bplans?\b|\b[2345]g\W+(?:phones?|devices?|towers?|areas?)\b")
GLANCE = re.compile(r"look(?:ing)? for|see|tell|let|report|describ|show|shar|identif")
TO_MODE = re.compile(r"\bto\b|^(?:prefer|enabl|select|choos|pick)|\bprefer\b")
THE_PHONE = re.compile(  # the object of a restart, or none
    r"\W*(?:(?:the|your|this|that|whole|entire|mobile|cell|smart|android|of|on)\W+)*"
    r"(?:(?:smart)?phones?|devices?|handset|mobile(?! data)|iphone|it|that)\b(?!\W+plan)"
    r"|\W*(?:(?:now|again|please|it|once|more|one|time|quickly|first|then|and|,|for|me)\W*)*$"
)
NOT_THE_PHONE = re.compile(r"\b(?:app|router|modem|computer|conversation|process|tablet)\b")
PAY_IT = re.compile(r"\W*(?:now|it|this|that|the \w+)?\W*(?:now|please)?\W*$")

# --- Conditions ---
CONDITION_END = re.compile(  # "if it is off turn it on", without a comma
    rf"\b(?:on|off|is|not|missing|enabled|disabled|connected)(?P<end>) (?!set\b)(?={VERB})"
)
