"""How sentences begin that change nothing about a request beside them; see `harmless.py`.

Data for plain lower-case text with marks for things ("T_vpn"). The beginning says what kind of
sentence it is, a courtesy, a plan, a look, a place, a reason; the rest is judged by its letters.
"""

from __future__ import annotations

import re

from tau2_agent.users.scripted.grammar import ANNOUNCES as ANNOUNCED

_ADV = (
    r"(?: (?:just|now|also|already|successfully|then|still|only|really|so|very|both|all|right|do"
    r"|completely|fully|totally|definitely|certainly|absolutely|currently|pretty|quickly|please))*"
)
_SEES = (
    r"(?:see|understand|know|realize|realise|appreciate|notice|confirm|hear|found|saw|checked"
    r"|noticed|verified|confirmed|reviewed|identified|determined|learned|spotted|detected)"
)
_OPENER = (
    r"(?:just(?=,|$)|(?:great|good|wonderful|excellent|fantastic|brilliant) news(?=\W*$|[,:])"
    r"|(?:just )?to (?:recap|sum up|summarize)|in short|as far as i can (?:tell"
    r"|see)(?: from here)?|step (?:one|two|three|\d)|okay|ok|great|good|perfect|excellent|all"
    r" right|alright|sure thing|sure|certainly"
    r"|understood|got it"
    r"|yes|no problem|no worries|hmm+|ah|oh|aha|wow|wonderful|awesome|fantastic|brilliant|lovely"
    r"|gotcha|cool|super|amazing|terrific|splendid|noted|cheers|exactly"
    r"|right|well|so|and"
    r"|but|also|then|next|now|actually|again|absolutely|indeed|nice|thanks?|thank you"
    r"|john(?: smith)?|mr\.? smith|(?:hello|hi|hey)(?: there)?|i see|unfortunately|fortunately"
    r"|luckily|however"
    r"|as well|additionally|currently|at the moment|first|finally|lastly|since then|in fact"
    r"|of course|basically|overall|likewise|meanwhile|apparently|as expected|interesting|makes"
    r" sense"
    r"|as a (?:next|last|final) step|good news|great news|bad news|next up|one more thing|so far"
    r"|from here|in that case|i'm afraid|sounds good|that said|therefore|(?:just )?to be (?:safe"
    r"|sure|certain|thorough|clear)|first up|first off|first things first|just in case|the "
    r"(?:good|bad|great) news is)"
)
_STATED = (
    rf"(?:it|this|that)(?:'s| is| would| also| just)?{_ADV} (?:seems?|appears?|looks? (?:like|as"
    rf" if)"
    r"|sounds? like|means?|shows?|suggests?|indicates?|confirms?|tells me|explains?"
    r"|worth (?:noting|mentioning)|likely|possible|clear|great|good|normal|common"
    r"|important to know)"
    r"|(?:it|this|that|there) (?:would|could|may|might|must) (?:explain|mean)"
    rf"|(?:i|we)(?:'ve| have|'m| am| can| do)?{_ADV} {_SEES}(?! (?:if|whether|to)\b)"
    rf"|you(?:'ve| have)?{_ADV} (?:mentioned|described|reported|confirmed|told me|said)"
    r"|i (?:think|believe|suspect)|i(?:'m| am) (?:fairly |pretty |quite )?(?:sure|confident)"
    r"|what (?:this|that|it|you(?:'re| are) (?:seeing|describing|experiencing)) (?:means|tells me"
    r"|shows|suggests)(?: is)?"
    r"|(?:the|your) (?:results?|status bar|test|screen) (?:shows?|confirms?|means?|tells? me"
    r"|indicates?|suggests?)"
    r"|(?:i(?:'m| am)|we(?:'re| are))(?: so| very| really)? (?:glad|happy|pleased|sorry)"
    r"(?: to (?:hear|see|say))?"
)
# What may stand before a statement, and changes nothing: openers, "I can see that", a reason.
_NOTE = (  # "please note that ..."
    r"(?:please |just |but |also )*(?:note|be aware|(?:keep|bear) in mind|remember|rest assured)"
    r"(?: that|,)(?=.*\w)"
)
LEAD = re.compile(
    rf"(?:[\s,;:.!()-]+|{_NOTE}"
    rf"|{_OPENER}\b"
    r"|(?:i'm |i am )?(?:so |very )?sorry (?:to hear )?(?:that )?(?=(?:it|this|you|the|your"
    r"|things)\b)"
    rf"|(?:{_STATED})(?: on side)?(?: (?:that|to me that|why))?\b(?=.*\w)"
    r"|based on what you(?:'ve| have)?(?: just)? (?:told me|said|described|shared|sent"
    r"|reported)(?=,)"
    r"|(?:based on|from|according to|judging by|given|with|without|even with|thanks to|due to"
    r"|because of|looking at|judging from|going by|checking|reviewing|despite|for|in|on|as for"
    r"|regarding|at|to (?:get|make|fix|resolve|send|use|restore"
    r"|have|help|let|improve|solve|allow|bring|rule|move|narrow))\b(?P<rest>[^,;:]*)[,:]"
    r"|(?:even )?(?:if|when|while|whenever|once|although|though|because|since|as|now that"
    r"|given that)\b(?P<case>[^,;:]*),"
    r"(?! (?:please|you|let)\b)"
    r"|(?:because|since|as|now that|so that|even though|so)\b)\s*"
)
AFTER_LEAD = re.compile(
    rf"(?:[\s,;:.!()-]+|{_NOTE}"
    r"|(?:okay|great|good|perfect|excellent|exactly|yes|thanks?|thank you|john"
    r"|and|then|also|so"
    r"|again|next|just in case|of course|because|since|as|so that|in fact|please|afterwards"
    r"|sometimes|often|usually|typically|(?:i|we)(?:'m| am|'re| are)(?: \w+)? (?:confident|sure"
    r"|certain)(?: that)?(?= (?:this|that|it)\b)"
    r"|first up|first off|step (?:one|two|three|\d)|first things first|(?:just )?to be (?:safe"
    r"|sure|thorough))\b)\s*"
)
REASON = re.compile(
    r"(?:[\s,;:.!()-]|and |so |but )*(?:because|since|as(?! (?:many|much|often|soon|long|quickly"
    r"|far|you"
    r" (?:like|want|wish|please)))|now that|given that|so that|so|which(?! (?:you|i|we)\b)"
    r"|this is because|that is because)\b\s*"
)
COURTESY = re.compile(
    r"(?:(?:thanks|thank you)\b|(?:i |we )?(?:really |truly |greatly )?appreciate\b"
    r"|(?:(?:i'm|i am|we're) )?(?:so |very |really )?sorry\b(?: (?:about|for|that|to))?"
    r"|(?:my|our|please accept my)? ?apologies\b(?: for)?|(?:i|we) apologi[sz]e\b"
    r"|not to worry|no (?:worries|problem|rush|hurry|need to (?:worry|rush))\b|(?:please )?don't"
    r" worry\b"
    r"|you're right(?:,? (?:my mistake|my bad|sorry))?|i was (?:unclear|not clear)|my (?:mistake"
    r"|bad)\b"
    r"|you (?:did|have done|are doing) (?:nothing wrong|well|great|everything right)\b"
    r"|you(?:'re| are) (?:doing |very )?(?:great|fine|well|welcome|almost there|nearly there"
    r"|on the right track)\b"
    r"|(?:i'm |i am |i'd be |i'll be |we're )?(?:more than |very |always )?(?:happy|glad|here)"
    r" to (?:help|assist"
    r"|walk|guide|explain|show|go through)\b"
    r"|(?:that's )?(?:so |really |very )?(?:great|good|nice|excellent|well|amazing|helpful"
    r"|fantastic|wonderful"
    r"|brilliant|lovely|perfect|terrific|awesome|best)"
    r" ?(?:job|work|done|progress|news|question|idea|to know|to hear|sign)?\b"
    r"|(?:you|we|it|things)(?:'ll| should| will) be (?:good to go|all set|back online"
    r"|(?:back )?in business|up and running|sorted|golden)(?=\W*$)"
    r"|(?:almost|nearly) there|much appreciated|many thanks|cheers"
    r"|fingers crossed|hang in there|(?:please )?bear with (?:me|us)|take (?:all )?(?:the"
    r"|your) time(?: you need)?"
    r"|you've (?:got this|done great|been (?:a |an |so |very |such )*(?:\w+ )?(?:help\w*|patient"
    r"|great))"
    r"|(?:i|we)(?:'ve| have) got (?:you|this)|let's get (?:you|this|it|that) (?:sorted|fixed|back)"
    r"|(?:i(?:'ve)? )?found (?:it|the (?:issue|problem|cause|culprit))\b"
    r"|we(?:'re| are)(?: almost| nearly| very| getting| making| just| all| one step"
    r"| so| good| great| real| steady)*"
    r" (?:there|close|closer|done|finished|through|progress|set|it)\b"
    r"|if (?:that|it)(?:'s| is) (?:okay|ok|alright|fine|possible)(?: with you)?)"
)
AGENTS_OWN = re.compile(r"(?:let me|i(?:'ll| will|'m going to|'d like to| want to| need to))\b")
_DEEDS = (
    r"(?:try|check|look|see|move|rule|narrow|go (?:over|through|ahead)|continue|proceed|start|begin"
    r"|focus|work|get (?:your|the|you|this|that|things|it)|fix|make|take|walk|guide|help|explain"
    r"|test|verify|confirm|refresh|address|sort|deal|change|adjust|finish|figure|dig|investigate"
    r"|troubleshoot|turn (?:our attention|to)|tackle|solve|resolve|correct|clear|bring|update"
    r"|restore|re-?establish|run through|measure|(?<!i'll )(?<!will )do (?:one|a|this|that|it"
    r"|the)|force|give)"
)
PLAN = re.compile(  # what they are about to do together
    r"(?:let's|let us|(?:i|we)(?:'d| would) like(?: us)? to|(?:i|we)(?:'ll| will)? (?:need|have"
    r"|want)"
    r" to|we should|we can|let me|(?:i'm|i am|we're|we are) going to|i(?:'ll| will)|we(?:'ll| will)"
    r"|i(?:'d| would)? (?:suggest|recommend|propose)(?: (?:trying|using|we))?)"
    rf"{_ADV} (?:{_DEEDS}|(?<=we'll )(?:reset|restart|reboot|turn|switch|enable|disable|reseat"
    rf"|set|disconnect)|(?:using|checking|trying|looking at))\b"
)
PROMISE = re.compile(  # what the agent does meanwhile, or both do next
    r"(?:(?:once|when|as soon as|after) [^,;i]*(?:i[^, ][^,;i]*)*,? (?=(?:i|we)(?:'ll| will|"
    r" can)\b))?"
    r"(?:and |then |afterwards?,? |after that,? |from there,? |next,? )*"
    r"(?:i|we)(?:'ll| will| can|'re going to| should)(?: then| also| both| just| now| be able to"
    r"| right| know| happily)*"
    r" (?:wait|stay|stand by|be (?:right |all )?(?:here|on|back|good|set|able)|check|test|run|see"
    r"|look|move|continue|take(?! (?:it|that|this) back)"
    r"|go|verify|confirm|try|know|proceed|walk|help|guide|have|start|pick|tackle|deal|work"
    r"|unsuspend|lift|reactivate|unblock|restore"
    r"|resume|keep|do another|do the next)\b"
    r"|(?:and |then )*we(?:'ll| will| can)(?: then)? do (?:the|one)\b"
    r"|(?:meanwhile,? |in the meantime,? )*(?:i'm|i am|we're|we are)(?: just| right| still)*"
    r" (?:here|staying|watching|monitoring|keeping|with you)\b"
)
_POLITELY = (
    r"(?:and |then |also |please |kindly |just |simply |now |next |let's |let us |do |feel free to "
    r"|don't hesitate to |be sure to |go ahead and |could you |can you |would you |you can "
    r"|first )*"
)
ANNOUNCES = re.compile(  # what the agent will ask for when this is done
    r"(?:(?:once|when|after|as soon as|then|afterwards?|and)\b[^;]*?,? ?)?"
    rf"{ANNOUNCED.pattern}"
)
LOOK = re.compile(  # a look or a report: does no harm, whatever it looks at
    rf"{_POLITELY}(?:i(?:'d| would)? (?:like|love|want|need) to (?:know|see|hear)"
    r"|let (?:me|us) know|tell (?:me|us)|keep (?:me|us) (?:posted|updated)"
    r"|report(?: back)?|share|inform (?:me|us)|describe|ask(?: me)?|reach out|update me|measure"
    r"|write (?:back\b|(?:back )?to (?:me|us)\b)|drop (?:me|us) an? \w+|give (?:me|us) a shout"
    r"|redo|repeat(?= (?:the|that|your))"
    r"|(?:re-?|double[- ])?check|look|see|verify|confirm|test|try|re-?run|run|send|read|view"
    r"|re-?view|retry"
    r"|take a look|have a look|find out|(?:wait|pause|count|leave it(?: on| off)?|keep it(?: on|"
    r" off)?)"
    r"(?= (?:a|about|around|for|up|until|\d+|ten|thirty|fifteen|twenty|at least))|(?:give|allow) "
    r"(?:it|(?:the|your) (?:phone|T_phone|network|T_\w+))"
    r"(?: about| around| up to)? (?:a|\d+|some|time|thirty|ten|half)"
    r"|give (?:it|that|the \w+|T_\w+|the T_\w+) (?:a|another|one more) (?:try|go|shot)|do (?:a"
    r"|an|another|one more|the)(?: quick)? T_(?:speed|mms))\b"
)
REPORT = re.compile(
    rf"{_POLITELY}(?:let (?:me|us) know|tell (?:me|us)|ask|say so|reach out|write|drop)\b"
)
PUT_OFF = re.compile(  # "we'll see about that", "i'll get back to you on this"
    r"\b(?:about|into|to|back to you on) (?:it|that|this)\b"
    r"|\b(?:confirm|check|verify|discuss|agree|settle|arrange|clear)\b.* with you\b"
)
TELL_ME = re.compile(
    rf"{_POLITELY}(?:let (?:me|us) know|tell (?:me|us)|inform (?:me|us)|update me|report(?: back)?)"
)
UNDONE_AGAIN = re.compile(  # "you can always reconnect later once everything works"
    r"(?:and )?you(?:'ll be able to|'re free to| can| could| may)(?: always| still| easily)* "
    r"(?:re-?connect"
    r"|re-?enable|(?:turn|switch|put|set|change) (?:it|this|that) back|switch back|go back|use"
    r" it again|undo)\b"
    r"[^.]*"
)
HOW = re.compile(  # where a thing is found on the phone
    r"(?:(?:you (?:can|may|might|could|should|will)|you'll)"
    r"(?: also| usually| normally| typically| just| generally)*"
    r" (?:(?:find|see|access|reach|locate|get to|change|toggle|tap|swipe|go|notice)"
    r" (?:it|this|that|these|them|the|an?|your|so|to|T_\w+)|do (?:it|this|that|so)(?= (?:in"
    r"|under|from|by"
    r"|through|via|with|using|at|on)\b[^,]*(?:T_|settings?\b|menu\b|screen\b|app\b)))\b"
    r"|here(?:'s| is| are) (?:how|where|the steps?|what to do)\b"
    r"|(?:just |simply |to do (?:this|that|so|it),? |for (?:this|that),? |on (?:most phones"
    r"|(?:an? )?(?:iphone|android)),? )*(?P<way>open|tap|hit|swipe|go|head|navigate|scroll"
    r"|look for|find|pull down|press|select|choose|locate)\b"
    r"|(?:it|this|that|the (?:setting|option|switch|toggle|T_\w+(?: \w+)?))(?:'s| is| may be|"
    r" might be| can be)"
    r"(?: usually| normally| typically| often| generally)*"
    r" (?:located|found|in|under|on|at|listed|called|named|labell?ed)\b"
    r"|(?:please )?(?:make|making) sure (?:that )?(?:it|the|your|both|all)\b)"
)
IS_SET_TO = re.compile(  # of a mode that is to be changed
    r"(?:just )?(?:it|your T_network_\w+)(?:'s| is)(?: currently| still| only| just)* (?:on|set"
    r" to|using|limited to"
    r"|stuck on) (?:T_\w+|[23]g)(?: only)?"
)
ONE_TASK = re.compile(
    r"(?:the |your |our |my |one |a )*(?:next|last|final|first|one|small|quick|simple|easy"
    r"|remaining|only|more"
    r"|little|other|thing|things|to try|to do|left|for you|now)*(?: )?(?:step|task|thing|fix"
    r"|request|action|change"
    r"|to-do)s?(?: (?:left|to do|to try|to change|for you|now|for now))*"
)
SAFE_TO_BE = (
    r"(?:[\w' ]+?)(?:'s| is| are| will be| should be)(?: \w+ly| very| quite| also| all| still"
    r"| just| an?| the)* (?:safe|normal|quick|easy|important|simple|required|needed|necessary|short"
    r"|essential|safely|expected|temporary|harmless|free|brief|key|crucial|standard|instant)\b"
)
# --- Inside the sentence of a request: what for, and why ---
TO = re.compile(r",? (?:in order )?to\b")
HEARSAY = re.compile(r"(?:i|we) (?:hear|heard|see|think|guess|know|understand)")  # "so I hear"
WHY = re.compile(r",?(?: -)? (?:in order|to|making|so|as|since|because|which)\b")
NO_ORDER = re.compile(  # "looks good", "follow these steps"; what waits is for `waiting.py`
    r"\w+[^s\W]s\b|go ahead\b|(?:wait|pause|count|hold|stay|keep|leave|give|allow)\b"
    r"|(?:\w+ ){1,3}(?:following|steps?|below|things?|these)\b"
)
AIM = re.compile(
    r"(?:in order )?(?:to (?!do\b|be\b)(?=\w+)|for (?=(?:your|the|this|mms|T_\w+)\b[^,]* to\b))"
    r"|so that "
)  # "to keep your usage under control"
PURPOSE = re.compile(  # what a request is good for
    r"(?:,? in order for |,? (?:in order )?to (?=(?:get|make|let|allow|help|restore|refresh|apply"
    r"|improve|fix|see"
    r"|speed|free|clear|bring|re-?establish|ensure|finish|complete|prevent|resolve|have|use"
    r"|be able|connect|reconnect|send|start|force)\b)|,? making sure "
    r"|,? so (?:that )?(?=(?:it|your|the|you)\b))"
)
