"""Shapes of a sentence that decide what its words are worth; see `accounting.py`, `harmless.py`.

Data. The first part expects plain lower-case text, the second the letters of word classes
(`word_classes.py`): a sentence of such a shape changes nothing about a request beside it. The third
part is what no sentence beside a request may say.
"""

from __future__ import annotations

import re

from tau2_agent.users.scripted.known_phrases import DONE, DURATION

# What stands after what it waits for, or else nobody knows what that is.
THEN = re.compile(
    rf"\bonce {DONE}\b|\bafter (?:resetting|restarting|rebooting|reseating|doing)"
    rf"(?: (?:it|that|this|so|them))?(?=,|$)"
    rf"|\b(?:once|when|after) it (?:restarts|reboots|finishes)\b"
    r"|\b(?:once|when|after|as soon as) you(?:'ve| have)? (?:reset|restarted|rebooted|reseated"
    r"|granted|disconnected|changed) (?:it|that|this|them)\b"
    rf"|\bafter {DURATION}|\b(?:once|when|after|as soon as) (?:it|that|this|they"
    r"|everything|both|the (?:restart|reboot|reset|test|phone|device|app|settings?"
    r"|changes?))(?:'s|'re|'ve| is| has| are| have| comes)?(?: been| back| all| now)*"
    rf"(?: (?:{DONE}|on|up|reset|restarted|off|back|again|running|that|this|ready"
    r"|(?:re)?booted|powered|started|turned|switched|fully|completely|online))*"
)
POLITE_QUESTION = re.compile(
    r"\b(?:can|could|would|will|may|might) (?:you|we|i)\b|\bplease\b|\bwhy don't (?:you|we)\b"
    r"|\b(?:how|what) about\b|\b(?:perhaps|maybe) you\b|\bwould it be\b|\bare you (?:able"
    r"|willing)\b|(?:^|[.,;] )mind \w+ing\b|\bif you (?:can|could|would)\b|\bfor me\?$"
    r"|\bdo you mind\b"
)
ASKS_LEAVE = re.compile(  # "and tell me if you agree first"
    r"\b(?:let (?:me|us) know|(?:tell|inform) (?:me|us)|say(?: so)?|ask(?: me)?)\b[^.]*"
    r"\b(?:if|whether|when) (?:(?<!when )you\b[^.,]*\b(?:agree|disagree|want|rather|mind|prefer"
    r"|object|decide|consent|like|wish|okay|ok|fine|willing|happy|comfortable)\b|needed\b"
    r"|necessary\b|(?:it|that|this)(?:'s| is)(?: not|n't)? (?:convenient|ok|okay|fine|alright"
    r"|all right|possible|acceptable|a good time|needed|necessary)\b)"
)
OWN_FIRST = re.compile(  # after a request: "I'll send it first, hold on"
    r"\b(?:i|i'll|i'm|we|we'll|me|us)\b[^.]*\bfirst\b|^(?:one|just a) (?:moment|second|minute)\b"
    r"|\b(?:hold|hang) on\b(?! while| until it)|\bbeforehand\W*$"
)
DID_OR_NOT = re.compile(  # "tell me why you haven't", "you did that already"
    r"\b(?:tell (?:me|us)|explain(?: to (?:me|us))?|say|know|ask)\b[^.]* (?:why|how come|what made)"
    r" (?:\w+ )?you\b|\byou (?:already )?did (?:that|this|it|so)\b"
    r"|\byou (?:haven't|hadn't|didn't|have not|did not)"
    r"(?: (?:yet|so|done (?:it|that|so)|do (?:it|that|so)))?\W*$"
)
LABEL = re.compile(r"^(?P<label>[^:]{2,60}):\W*")  # "known issues: restart ..."
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

# --- In letters ---
_A = "[Ay!]*"
# "the missing MMSC URL in your APN settings"
_THING = "[DtN]*[AyoEFGLpvgsTPDCN#]*[TF](?:P[DtNAyovgs#]{1,4})?"
# Before a request: a whole statement. An open word at its start might be an order ("disregard
# this"), and a condition behind "this" or "you" might be that of the request to come.
_PREDICATE = "[^X]*?(?:[BsHMKEFLvZ][^X]*|p[^X]+)"
STATEMENT = re.compile(  # that names a thing
    rf"[AC,]*(?:(?:[NTFGg#]|D(?!,)){_PREDICATE}|Y[Ay]*(?:[BHELp]|[MK]!)[^X]*"
    r"|SP[^XIW,]*[BsHL][^X]*)"
)
OF_IT = re.compile(r"[AC,]*R?[tSh]D?[Ay!]*(?:[BsHFE]|[MK][Ay!]*[EF])[^X]*")
OF_A_THING = re.compile(  # a thing of the phone is its subject
    rf"[AC,]*(?:[DNt]*[AyoEFGLpvgs#]*[TF]{_PREDICATE})"
)
CASE_OF_WHAT_COMES = re.compile(r"[tSYI][^,]*W|h[Bs]?.*YM|[tSh][Ay]*M")
HAS_EFFECT = re.compile(
    rf"[tS]{_A}M{_A}(?:[EF]|B{_A}G)(?:D[^XIWKY]*|[^XIWKY]*[TF][^XIWKY]*)"
)  # "this can reduce your speed quite a bit", "it may be slowing the line"
AFTER = tuple(
    re.compile(shape)
    for shape in (
        rf"(?:[tS]|{_THING}),?{_A}(?:[MK]{_A})*[EF][^XIWK]*",  # "this will refresh ..."
        rf"(?:[tS]|{_THING}),?{_A}M{_A}(?:[LHGZ]|B{_A}[ogp])[^XIWK]*",  # "it should come back"
        rf"(?:[tS]|{_THING}){_A}(?:M{_A})?[Bs]{_A}[gG][^XIWK]*[TF][^XIWK]*",  # "it is blocking ..."
        rf"(?:[tS]|{_THING}){_A}[Bs]{_A}R[^XIWK]*[TF][^XIWK]*",  # "it is what ..."
        r"h[Bs]N[AyoF]*[oTFZ][^XIWKY]*",  # "there's no rush"
        r"hM!B[DAyov]*Z[^XIWKY]*",  # "there won't be any extra charges"
        r"N(?:P[^XIWM]*)?MB[Zpv][^XIWY]*",  # "nothing on your phone will be lost"
    )
)
DOES_IT = re.compile(r"[TF][Ay]*(?:M[Ay]*)?[EFLK][Ay]*[tS]$")  # "our system will handle that"
AFTER_QUESTION = re.compile(
    rf"[CA]*(?:[KBH](?:[tS]|{_THING})[^XIWY]*|(?:R|RK|RB)[^XIWY]*[TFtS][^XIWY]*|RL"
    r"|R?[DAoT]*[KM]YA*(?:[LEF])[^XIW]*|BYo?[oP][LEF][^XIW]*|[DN]?[oTF]{1,4})"
)
AGENT_TOLD = re.compile(r"I[Ay]*(?:H[Ay]*)?[pv][^X]*|I[Ay]*H[^X,]*[TF][^X]*|IB[Ay]*o[^X]*")
POINTS_AHEAD = re.compile(  # "the screen shows this", "this is what it says", "we hear this a lot"
    r"\b(?:shows?|displays?|reads?|says?|needs?|do|does|did|gets?|got|found|received|sees?|hears?"
    r"|saw|was|is|has|gives?|lists?) (?:this|these)(?=$| (?:here|often|a lot|from|in|on|at))"
    r"|\bas follows$|\bthe following$"
    r"|\b(?:this|here|these)(?:'s| is| are| was) (?:\w+ )?(?:what|how|where|who|when)\b"
    r"(?! \w*(?:'s| is| was)? ?(?:\w+ )?(?:caus|block|slow|prevent|keep|stop|limit|affect|hold"
    r"|interfer|br[eo]))"
)

ORDER = re.compile(r"[EFLZ](?!E?[sBHMp])")

# --- What no sentence beside a request may say ---
LEAVE = re.compile(  # what asks for leave: "let me know if you want that"
    r"\b(?:wants?|ready|okay|ok|fine with|agree|prefer|mind|may i|should i|approve|permission to"
    r"|decide|happy"
    r"|your (?:preference|choice|decision|answer|opinion|thoughts?|view|consent|plans?)"
    r"|comfortable|first|before|shall|rather|willing|(?:you'd|you would|would|you) like)\b"
)
QUOTES = re.compile(  # what is to come is listed, shown or done elsewhere
    r"\b(?:lists?|gives?|names?|contains?|goes|went|features?|carries|carried|prints?|printed"
    r"|begins?|starts?"
    r"|reads?|runs?) (?:it |the )?(?:this|these|like)\b|\b(?:like|as) (?:this|so)$"
    r"|\bT_phone (?:in|on|at|under|behind|by) (?:the|your|a|an) (?!T_|settings?\b|menu\b|screen\b"
    r"|network\b)"
)
WAITS = re.compile(  # a pause with no end: "wait a moment", "(wait for me)"
    r"(?:[(]|please |just |but |so |and |then )*(?:wait|hold|hang|pause|stay|stand by|give it)\b"
    r"(?: (?:on|off|up|tight|there|here|now|please|first|a|an|one|just|about|bit|moment|second|sec"
    r"|minute|while|tick|rest|for me|for us|on me))*\W*"
)
TAKES_BACK = re.compile(  # at the end or the start of what follows a request
    r"\b(?:though|anyway|anyhow|regardless|nevertheless|nonetheless|actually|mind you|by (?:it"
    r"|them)sel(?:f|ves)"
    r"|on its own|by then)\b|\bwithout(?: (?:it|this|that|them))?(?:,? really)?\W*$|\bas (?:it"
    r"|they|things) (?:is|are)\b"
)
PASSIVE = re.compile(  # what will be with the phone; anything else may be to be done with it
    r"\b(?:will|should|may|might|can|could|must|would) (?:\w+ly |then |also |now |all )*be "
    r"(?!restored|re-?established|loaded"
    r"|applied|refreshed|updated|back|registered|(?:re)?connected|fixed|resolved|able|fine|gone"
    r"|there|visible"
    r"|cleared|improved|faster|better|good|safe|required|needed|lost|deleted|erased|affected"
    r"|charged|removed"
    r"|wiped|touched|changed|interrupted|asked|slow|working|quick|available|listed|called|found"
    r"|under|in the"
    r"|located|labell?ed|named|unavailable|offline|unreachable|unresponsive|down|dark|black|blank"
    r"|brief|short|normal|noticeable|without)"
)
SHOWS_THE_USER = re.compile(
    r"\b(?:show|give|gave|send|sent|read|hand|offer|bring)\w* you\b"
    r"(?! (?:the|any|more|better|good|full|enough)\b| (?:\w+ )?(?:\w+ )?T_payment)"
)
DENIES = re.compile(  # "your phone should not be restarted", "no need to reset it"
    r"\b(?:not|no|don't|needn't|never) (?:\w+ )?(?:need|be|have to|required|necessary|to)\b[^,]*"
    r"\b(?:re-?start|re-?boot|reset|turn|switch|toggl|enabl|disabl|remov|re-?seat|disconnect|grant"
    r"|pa(?:y|id)|chang|touch)"
    r"|\b(?:no longer|not|n't) (?:\w+ )?(?:required|needed|necessary|essential)\b"
    r"|\b(?:no|little) (?!charge|cost|fee|extra)\w+ (?:for|in|to|of) (?:(?:doing )?(?:this|that"
    r"|it|so)|the following)\W*$"
    r"|\bnot (?:for |meant for )?(?:yet|now|just|today|here|you)\W*$"
    r"|(?:\bnot|n't|\bnever)(?: \w+)? do(?:ne|ing)?(?: (?:this|that|it|so|the following))?\W*$"
)
HARMLESS_NOT = re.compile(  # after a request, the only things that may be said not to happen
    r"(?:\bnot|n't)(?: \w+ly| be| ever)* (?:affect|change|take|remov|interrupt|touch|impact|delet"
    r"|eras|wip|los|cost|charg|damag|harm|hurt|requir|worry|apply)"
)
