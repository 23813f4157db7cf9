"""Phrases that hold a word which is not safe by itself: "if it is on", "let me know when".

Data for `accounting.py`, which takes these out of a sentence in this order, and then wants every
word that is left to be in `vocabulary.SAFE`. The text has marks for things: "T_vpn" is a VPN,
"T_call" a tool by its name.
"""

from __future__ import annotations

import re

_THING = (
    r"(?:(?:the|your|this|that|a|an|any) )?(?:\w+ )?T_\w+"
    r"(?: (?:mode|switch|settings?|card|icon|symbol|app|status|connections?))?"
)
_IT = (
    rf"(?:it|this|that|they|these|either|(?:the|your) (?:preference|setting|mode|speed|switch|app)"
    rf"|{_THING})"
)
_ONE_STATE = (
    r"(?:turned |switched |set to )?(?:on|off)|enabled|disabled|active|inactive|connected"
    r"|disconnected|missing|empty|blank|incorrect|correct|wrong|broken|set|seated|inserted"
    r"|detected|recogni[sz]ed|loose|granted|allowed|available|poor|slow|there|showing|shown"
    r"|visible|listed|locked|present|configured|working"
)
STATE = (
    rf"(?:{_ONE_STATE}|(?:set to |stuck on |only )*[234]g(?: only)?(?: ?(?:or|and|/) ?[234]g)?"
    r"(?: only)?)"
)
_IS = (
    r"(?: (?:is|are|has been|shows?(?: up)?|says|reads|appears|seems|looks)(?: to be)?(?: as)?"
    r"|'s|'re)"
)
_ADVERBS = r"(?: (?:currently|still|indeed|already|now|properly|correctly|being))*"
DURATION = (
    r"(?:a? ?(?:minute|second|moment) or two|(?:for )?(?:about |around |at least |approximately )?"
    r"(?:an?|\d+(?:-\d+)?|one|two|three|five|ten|fifteen|twenty|thirty|sixty|a few|a couple of"
    r"|half a|some) (?:more )?(?:seconds?|secs?|minutes?|mins?|moments?|bit|while))"
)
VERB = (
    r"(?:turn|switch|toggle|disable|enable|disconnect|reset|restart|reboot|reseat|re-?insert"
    r"|remove|take|set|change|grant|run|tell|let|check|make|pay|go|activate|deactivate|report)"
)
_ENDS = (  # of a condition: it has one part, and no more
    r"(?=\W*$|\s*[,.;:)]|\s+-|\W+(?:and |then |and then )?"
    rf"(?:please |then |you should |you can )*{VERB}\b)"
)
_AGENT_DID = (
    r"(?:see|found|checked|enabled|resumed|sent|added|refuel\w*|processed|updated|verified"
    r"|confirmed|reviewed|received|located|noticed?|understand|appreciate|activated|restored"
    r"|unlocked|lifted|applied|pulled up|looked(?: at| into| up)?|turned on|fixed|reset)"
)
DONE = r"(?:done|complete|completed|finished)"

# --- Whose whole is known, before its parts are looked at ---
_WHOLES = (
    r"\bthank you(?: (?:so|very) much)?\b",
    r"\bi (?:was wondering|wonder) if you (?:could|can|would)\b",
    r"\bwhy don't (?:you|we)(?: try)?\b|\b(?:don't|do not) (?:forget to|worry)\b|\bwould you"
    r" mind\b",
    r"\b(?:i|we)(?:'ve| have| can| do|'m| am)?"
    rf"(?: (?:just|now|also|already|successfully|then|that))* {_AGENT_DID}\b"
    r"(?! (?:if|whether|to)\b)(?: (?:it|this))?(?: for)?(?: you\b)?",
)
# --- What a look settles, or the user decides ---
_CONDITIONS = (
    rf"\b(?:if|unless|should|when|whenever) {_IT}{_IS}?{_ADVERBS}(?: not|n't)?{_ADVERBS}"
    rf"(?: be)? {STATE}(?: already| yet)?{_ENDS}",
    rf"\b(?:if|unless) {_IT}(?: is|'s| are)(?:n't)?(?: not)?{_ADVERBS}(?: {STATE})?{_ENDS}",
    rf"\bif (?:it|that|this) (?:says|shows|reads)(?: that)? (?:{_THING}(?:'s| is) )?{STATE}{_ENDS}",
    r"\b(?:if|unless) (?:either )?(?:the )?(?:storage|sms)(?: (?:and|or) (?:storage|sms))?"
    rf"(?: is| are)(?:n't| not)?{_ADVERBS} {STATE}{_ENDS}",
    rf"\b(?:if|unless) (?:already |still |currently )?(?:not )?{STATE}{_ENDS}",
    rf"\b(?:if|when) (?:you see|you have|you've got|there is|there's) (?:a |an |no |the |any )?"
    rf"(?:\w+ )?T_\w+(?: icon| symbol)?(?: {STATE}| in (?:the|your) T_status_bar)?{_ENDS}",
    rf"\bif (?:you|you're|you are)(?: are)?(?: currently| still)? (?:using|connected to|on|running)"
    rf" (?:a |an |your |the |any |one)?(?:T_vpn)?{_ENDS}",
    rf"\bif (?:you|you're|you are)(?: are)?(?: currently)? (?:abroad|travell?ing(?: abroad)?"
    rf"|(?:travell?ing )?outside (?:of )?(?:the|your) (?:country|home network)){_ENDS}",
    rf"\bif (?:you are|you're|you do|so|not|needed|yes|any|that's the case){_ENDS}",
    r"\bif (?:the|your) (?:T_phone|T_status_bar|T_sim) (?:shows|says|reports) (?:that )?\"?"
    rf"(?:no T_sim|(?:it|{_THING})(?:'s| is) {STATE})\"?",
    r"\bif (?:the |your )?\w* ?(?:app )?(?:lacks|is missing|does not have|doesn't have) "
    rf"{_THING}",
    r"\bif (?:you|that|it|this|everything|all)(?:'re| are|'s| is)? (?:agree|happy|okay|ok|fine"
    r"|comfortable|willing|looks? (?:right|correct|good|fine)|approve)\b"
    r"(?: with (?:it|that|this))?(?: to you)?|\b(?:if|should) you (?:decide|wish|want) to pay\b",
    r"\bif the (?:amount|price|cost|details?|T_payment) (?:is|looks?|seems?) (?:right|correct|good"
    r"|fine|okay)\b",
    r"(?<!only )\bif (?:you (?:can|could|would|don't mind|do not mind|like)|possible"
    r"|you have(?:n't| not)(?: done so)?(?: already| yet)?|you haven't already done so)\b",
    r"\botherwise,? (?:please |you can )?(?:leave|keep) (?:it|everything|them)"
    r" (?:as (?:it|they) (?:is|are)|alone)",
    r"\b(?:let me know|tell me|write to me) if (?:it|that|this|anything) (?:fails|(?:still )?"
    r"(?:doesn't|does not) (?:work|help))\b|\bif (?:it|that|this) (?:fails|(?:doesn't|does not) "
    r"(?:work|help)), (?:please )?(?:let me know|tell me)\b",
    # the position that a switch is to have
    r"\b(?:until|so that|so|such that) (?:it|the switch)(?:'s| is| says| reads| shows| ends up"
    r"| is in the| is set to) (?:on|off|enabled|disabled)(?: position)?\b"
    r"|\bit should (?:be|end up|then be) (?:on|off|enabled|disabled)(?: afterwards)?\b"
    r"|\b(?:in(?:to)?|to) the (?:on|off) (?:position|state)\b"
    r"|\bends up (?:on|off|enabled|disabled)\b",
)
# --- How something is asked for ---
_FRAMES = (
    rf"\b(?:is|are|has|have)(?:n't| not|)(?: yet| currently| being)? (?:not )?{STATE}\b",
    r"\bensure(?: that)? (?:it|(?:the |your )?T_\w+)(?:'s| is)?(?:n't| not)?(?: in| on)?\b",
    r"\b(?:can|could|would|will|may) (?:you|we|i ask you to|i have you)\b",
    r"\bi(?:'d| would) like to have you\b",
    r"\b(?:i|we)(?:'d| would|'ll| will| do|'m| am)?(?: just| now| also| then| first| only)? "
    r"(?:need|want|like|ask|advise|recommend|suggest|encourage|prefer|request)(?:ing)?(?: for)?"
    r"(?: that)?(?: you)?(?: to)?(?: try)?\b(?! (?:i|we)\b)",
    r"\b(?:i (?:think|believe) )?it(?:'s|'d be| is| would be| may be| might be) worth\b(?: also)?",
    r"\b(?:the )?(?:first|next|last|only|other) thing (?:that )?(?:i'd|i would|we could|we should)"
    r" (?:try|do|check)(?: now| next| first)? is(?: to)?\b|\bwould it be (?:okay|ok|alright"
    r"|possible)"
    r"(?: for you)? to\b",
    r"\bi(?:'m| am) going to (?:ask|have|need) you to\b",
    r"\b(?:the|your) (?:\w+ )?(?:way|fix|solution|step|thing)(?: forward| here| now| out)? is to\b",
    r"\bfor the (?:rest|remainder) of (?:this|our|the) (?:call|conversation|chat|session)\b"
    r"|\bbefore running (?:a|another|the) T_speed\b",
    r"\b(?:can|could|may|might) i get you to\b|\bmind (?=\w+ing\b)|\bat this (?:stage|point)\b",
    r"\b(?:i|we)(?:'d| would)? (?:suggest|recommend|propose)(?: that)? we\b",
    r"\blet's\b|\blet us\b|\bwe(?:'ll| will)? (?:need|have) to\b|\bwe should\b"
    r"|\byou(?:'ll| will)? (?:also |now |then |just )?(?:need|have) to\b|\byou(?:'ll| will) want"
    r" to\b",
    r"\byou (?:should|must|can)(?: now| also| then| try)?\b|\b(?:how|what) about\b"
    r"|\bremember to\b|\bbe sure to\b|\bmake certain\b|\bgo ahead(?: and)?\b|\bfeel free to\b",
    r"\bmake sure (?:(?:that )?(?:you(?:'re| are|r T_phone)?|it|the|your)(?: is|'s| has)?"
    r"(?:n't| not)?(?: connected to| in| using| have| turn)?)?\b",
    r"\bi(?:'d| would) (?:really )?(?:appreciate it|be (?:very |so )?(?:grateful|glad))"
    r" if you(?: could| would)?\b|\bwould it be possible\b|\bbe (?:able|willing|so kind as) to\b"
    r"|\bare you able to\b|\bplease do\b"
    r"|\b(?:could|may|can) i (?:trouble|ask) you\b(?: to)?|\byou(?:'d| had) better\b",
    r"\bthe (?:next|last|final|only|first) (?:thing|step|fix)"
    r"(?: i'd like you to try| left| here| now| to try)?(?: is)?(?: to)?\b"
    r"|\b(?:the|your|our) next step\b|\ball you need to do is\b|\bfollowed by\b"
    r"|\bcall (?=T_call|T_look)|\b(?:perhaps|maybe) you (?:could|can)\b|(?:^|[,;] )otherwise\b",
    rf"\b(?:must|has to|have to|needs? to|should) be {STATE}",
    r"\bto (?:start|begin)(?: with| off)?\b|\bstep by step\b|\bone (?:step|thing) at a time\b"
    r"|\b(?:let's|we'll|we can|i'd like to) (?:start|begin|continue|proceed|move on)\b",
)
# --- What is to be told, and when ---
_REPORTS = (
    r"\b(?:let (?:me|us) know|tell (?:me|us)|see|check|confirm|verify|report(?: back)?|share"
    r"|show(?: me)?|find out|look)(?: with (?:me|us))? (?:if|whether|what|how|when|once|which)"
    r"(?: (?:you|it|that|this|the|your|there)\b('ve|'re|'s)?(?: (?:are|is|have|has|do|does|can"
    r"|see|get|got|goes|went|works?|worked|done|finished|ready|back|helps?|helped|completed?"
    r"|changes?|show|shows|says|say|read|reads|looks?|on|any|now|new|it|that|this|again|to|of|the"
    r"|been|restarted|all|as|T_\w+|improves|improve|load|returns|comes?|bars|signal|happens"
    r"|restarts|questions)\b)*)?",
    r"\b(?:let (?:me|us) know|tell (?:me|us)|show me|report (?:back)?(?: to)?(?: me| us)?"
    r"|share (?:it |that |the results? )?with (?:me|us)|for (?:me|us)(?= *(?:[,.;?!]|$|please"
    r"|and)))\b",
    r"\b(?:after that|after this|afterwards?|after the (?:\w+ )?(?:restart|reboot|reset)|after"
    r" which"
    r"|after (?:you|you've|you have) (?:do|done) (?:that|this|so)"
    r"|after (?:these|the|this|that|your) changes?)\b",
    r"\b(?:once|when|whenever|as soon as|after) (?:you(?:'re| are|'ve| have)?|your T_phone)"
    r"(?: is| has| are| have)? ?(?:ready|done|finished|completed|restarted|rebooted"
    r"|back(?: on| up)?|there|do|did|on again)(?: (?:that|this|so|it|both|all"
    rf"|with (?:that|this|it)))*\b{_ENDS}",
    r"\b(?:once|after|when) you(?:'ve| have)? (?:reviewed|checked|seen|looked (?:at|over)|read"
    r"|opened|received) (?:it|that|this|(?:the|your) (?:T_payment|details?|amount))(?=.*T_payment)",
    r"(?<=T_phone )once(?= and\b|\W*$)|\b(?:once more|once again|one more time|right now|for now"
    r"|at (?:the moment|this point|this time))\b"
    r"|\bbut (?:first|before that|before you do)\b|\bbut (?=.*\bfirst\W*$)|\bbefore (?:that"
    r"|this)\b",
    r"\bbefore (?:you )?(?:restart|reboot|reset|reseat|turn|switch|enabl|disabl|disconnect|check)"
    r"\w*(?: on| off)? (?:the |your )?T_\w+",
)
# --- Time and place ---
_AROUND = (
    r"\bso (?:that )?(?:i|we) can (?:lift|resume|reactivate|restore|continue|check|proceed|move"
    r" on|help|get|compare|see|test)\b"
    r"[^,.]*|\bso (?:that )?(?:it|you|we|they|T_\w+|your \w+(?: T_\w+)?) can\b|\bright away\b"
    r"|\bwell"
    r" done\b"
    r"|\b(?:the )?action (?:needed|required)\b|\b(?:there's|there is) no need to worry(?: about)?\b"
    r"|\bi (?:do )?hear you\b|\bwe(?:'re| are) close to\b",
    r"\bhead (?:over )?(?:to|into)\b|\bwhile (?:we|i) (?:test|check)\b",
    rf"\b(?:wait|count to|pause)(?: for)? {DURATION}|\bwait(?: a (?:bit|moment)| briefly)\b"
    rf"|\bcount to (?:five|ten|\d+)\b|(?<!\bin )(?<!\bwithin )\b{DURATION}",
    r"\b(?:on|from|at) (?:our|my) (?:side|end)\b|\banother T_(?:speed|mms)\b"
    r"|\bonly (?=T_|the\b|your\b)|\bthe same (?:time|way|menu|screen)\b|\b[234]g only\b"
    r"|\b(?:from|instead of|rather than) [234]g(?:[ _]only)?\b"
    r"|\bfor the duration of (?:this|the) \w+|\bto (?:its|their) defaults?\b",
)
# A thing to be left alone: fine beside a request that is about another thing.
DENIED = re.compile(
    r"\b(?:(?:do not|(?<!why )don't|you (?:do not|don't) (?:need|have) to"
    r"|(?:there is|there's) no need to|without|instead of|rather than) "
    r"(?!\w+(?: off| on)? (?:it|that|this|them)\b|(?:it|this|that)\b|forget|worry|need "
    r"(?!to\b))(?:[a-z]+ ){0,3}?|not (?![a-z]+ing)"
    r"|(?:leave|keep) )(?:the |your |in )?T_(?P<topic>\w+)"
    r"(?: (?:on|off|alone|as it is|as is|connected|disconnected|enabled|disabled|itself))?"
)
PHRASES = tuple(
    re.compile(pattern)
    for pattern in (
        *_WHOLES, DENIED.pattern, *_CONDITIONS,
        *_FRAMES, *_REPORTS, *_AROUND,
    )
)  # fmt: skip
