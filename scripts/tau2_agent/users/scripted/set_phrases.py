"""Labels, courtesies and reports that change nothing about a request beside them.

Data for plain lower-case text with marks for things ("T_vpn"), as in `openings.py`; little or
nothing may follow these.
"""

from __future__ import annotations

import re

_DO_THIS = (
    r"(?: (?:this|these|the|that|following|below|one|two|three|both|next|last|final|quick|simple"
    r"|more"
    r"|just|steps?|things?|commands?|tools?|actions?|fix|instructions?|for me|now|then|please"
    r"|in order"
    r"|to (?:fix|resolve|solve) (?:this|it|the (?:issue|problem))))+"
)
YOU_SEE = re.compile(
    r"(?:and |then |afterwards,? )*you(?:'ll| should| will| may| might)(?: then| now| also| soon"
    r"| \w+ly)*"
    r" (?:see|notice|be able to|have|get)\b"
)
SHOWS = re.compile(  # the position of a switch, as the agent sees it
    r"(?:it|that|this|the (?:switch|toggle)) (?:shows?|says?|reads?)(?: up)?(?: as"
    r"| that it's)?(?: \w+ly)?"
    r" (?:on|off|enabled|disabled|active|inactive)(?: (?:just|now|here))*"
)
IN_ORDER = re.compile(  # "everything looks good on our end", "you should now see a bill"
    r"(?:that |this |it )?(?:looks?|sounds?) (?:good|great|fine|perfect)$|"
    r"(?:everything|it all|all)(?: else)?(?:'s| is| looks?| seems?)(?: \w+ly| all"
    r"| just)* (?:fine|good|great"
    r"|okay|right|in order|well)\b|you (?:should|will|can)(?: now| then| also)* (?:have|see"
    r"|find)\b"
)
AGENT_SEES = re.compile(
    r"(?:i|we)(?: can| do| also)?(?: \w+ly| really| so)* (?:see|hear|understand|know|reali[sz]e"
    r"|get"
    r"|feel|notice|(?:need|require|want) (?:it|that|this|them|the|your|T_\w+))\b"
)
LABEL = re.compile(  # over a request, or before it and a colon
    r"(?:(?:the|our|your|a) )?(?:(?:next|first|last|final|second|third|only|recommended|required"
    r"|suggested|new|quick|simple|easy) )*(?:step|action|fix|task|thing|to-do)s?(?: (?:\d+|one|two"
    r"|three|required|needed|for you|to take|to try|to do|left|now|next|please|is|are|here))*|step"
    r"|(?:it's |now )*time for (?:the|a|an|our|one|another)(?: (?:oldest|old|good|classic|usual"
    r"|standard|next|last|final|quick|simple|little))* (?:trick|classic|step|fix|move|one)"
    r"(?: in the book)?"
    r"|simple|easy|to do|request|here we go|up next|an? (?:quick|brief|small|simple|easy) one"
    r"|this is what i'd like you to do|why|how|what (?:you need )?to do(?: now| next)?"
    r"|your turn(?: now)?"
    r"|(?:please|(?:can|could|would) you(?: please)?|let's|so|then|now|i(?:'d| would)?(?: now"
    r"| also"
    r"| just)? (?:like|need|want|ask) you to|you(?:'ll)? (?:can|should|need to))"
    rf"(?: (?:do|try|follow|perform|complete|take|go through|take care of){_DO_THIS})?"
    rf"|(?:do|try|follow|perform|complete|run|execute|use|call){_DO_THIS}"
    r"|(?:here(?:'s| is| are) )?(?:what|how|the|what's)(?: (?:what|how|to|do|next|now|i|i'd|i'll"
    r"|we|we'll|can|need|like|want|recommend|suggest|you|from|for|fix|it|this|step|steps"
    r"|is|left|try|first))+"
    r"|to (?:fix|resolve|solve|do|sort)(?: (?:this|it|that|so|the (?:issue|problem)))(?: out)?"
    r"|(?:the|your|our) next step is (?:\w+ )?(?:simple|easy|quick)"
    r"|(?:it|this)(?:'s| is) an? (?:easy|quick|simple)(?: one| fix| thing| step)?"
    r"|(?:there(?:'s| is| are) )?(?:just |only )?(?:one|two|three|a few|a couple of)"
    r"(?: (?:more|last|final|quick|simple|small|other))* (?:steps?|things?|checks?|restart|try)"
    r"(?: (?:left|to do|to try|for now|now|for you|to go|please))*"
    rf"|i(?:'d| would)? (?:recommend|suggest){_DO_THIS}"
)
STATUS = re.compile(  # "mobile data: off", as in a report of what was found
    r"(?:(?:T_(?!call|look)\w+|line|account|signal|speed)(?: \w+)?: (?!please\b)\w+(?: ?[,/-] ?"
    r"| |$))+"
)
AMOUNT = re.compile(  # "the overdue amount is $50"
    r"(?:the|your)(?: (?:total|overdue|outstanding|unpaid|remaining|full))* (?:amount|balance|total"
    r"|bill|T_payment)(?: due| owed)? (?:is|comes to|of) \$?\d[\d.,]*(?: ?(?:dollars|usd))?\W*"
)
_HARMED = (
    r" (?:touch|delete|erase|affect|change|lose|remove|cost|harm|hurt|wipe|damage)(?:d|ed|n)?\b"
)
NO_HARM = re.compile(  # "it won't delete your photos", "you won't lose any data"
    r"(?:and |but |so |no,? )*(?:(?:it|this|that|which|you|doing (?:so|this|that)"
    r"|re\w+ing(?: \w+){0,3})"
    r"(?:(?:'ll| will| does| do| should| is going to)(?: not|n't)| won't)"
    rf"|nothing (?:will|gets|is))(?: \w+ly| be| get)*{_HARMED}"
    r"|there(?:'s no|(?: is| are| will be) no| won't be an?y?)(?: \w+)? (?:charge|cost|fee)s?\b"
)
CORRECTS = re.compile(
    r"i mean(?:t)? (?:the |your )?T_\w+,? (?:not|instead of|rather than) (?:the |your )?T_\w+"
)
INVITES = re.compile(  # "it would be great if you could ..."
    r"(?:it|that)(?: would|'d)(?: really| also)? (?:help|be (?:\w+ )?(?:great|helpful"
    r"|good|nice|ideal))"
)
HELP = re.compile(
    r"i(?:'ll| can| will|'m here to|'d be (?:happy|glad) to|'m (?:happy|glad) to) (?:certainly "
    r"|gladly )?help"
    r"(?: you)?(?: (?:with|fix|solve|resolve|sort) (?:that|this|it)(?: out)?)?"
)
CORRECTS_ITSELF = re.compile(  # after a request
    r"(?:i'm |i am )?(?:so |very )?sorry\b|(?:my |our )?apologies\b|i apologi|my (?:mistake|bad"
    r"|fault)\b"
    r"|you(?:'re| are) right\b|i was (?:unclear|wrong|mistaken|not clear)\b"
)
GREETING = re.compile(
    r"(?:good (?:morning|afternoon|evening|day)|welcome|greetings|(?:nice|pleased|lovely|great) to"
    r" (?:meet|hear from|help|assist)|hiya|my name is \w+|this is \w+ from)\b"
)
GRATITUDE = re.compile(
    r"(?:thanks|thank you|many thanks|(?:i |we )?(?:really |truly |greatly |do )*appreciate"
    r"|(?:i |we )?apologi[sz]e for|(?:my |our )?apologies for)\b"
)
