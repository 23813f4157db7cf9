"""What makes a request certain enough to press something for it.

A look does no harm. A press needs a clause of which every word is known: a verb, what it governs,
and words that change nothing ("your", "now", "switch"). "Turn on Wi-Fi Assist" has a word too many,
so it is a riddle and no request. Here are also the times that are not now ("later", "after I
resume your line"), and the position that a switch is to have ("toggle it so that it is off").
"""

from __future__ import annotations

import re

from tau2_agent.users.scripted import grammar
from tau2_agent.users.scripted.lexicon import VERB_WORDS
from tau2_agent.users.scripted.things import before, state, things_in

# --- Words that change nothing about what is pressed ---
_HARMLESS = frozenset(
    re.findall(
        r"\S+",
        """
    a an the this that these those your you yours my our its it them they each all both any every
    one ones some other same following own current existing whole entire main primary default
    defaults original standard normal factory correct proper necessary required needed new fresh
    simple quick full complete brief normal regular possible physical
    and or also too plus then next first once twice again back now please kindly just simply right
    away itself immediately quickly briefly temporarily completely fully entirely manually properly
    carefully safely gently firmly fast directly still yet already at asap here there today
    on off in out into onto up down of for with from over under within to at by as be is are
    mode modes setting settings option options preference preferences switch switches slider button
    toggle toggles feature features function functions functionality tool command service services
    menu page screen section tab bar panel control center centre shade icon list item entry
    app apps application applications phone phones smartphone device devices handset mobile
    cellular cell wireless android iphone card cards tray slot chip connection connections network
    data access permission permissions line value values profile configuration config position
    state status android's phone's device's app's
    minute minutes second seconds moment moments few couple about around least sec secs min ten five
    thirty fifteen twenty half try time times while way more time's
    settings' restart reboot start cycle reset do make go ahead sure so we us me let let's can could
    would will i'd you'd if possible thanks thank okay ok yes great well and/or via using through
    allowed allow enabled disabled set turned switched have has get got being been not isn't
    point stage end part followed count charge
    you're you've we've i've isn't aren't that's there's
    john smith sir madam mr help helps best fix step solution carry out perform action
    """,
    )
)
_VALUES = re.compile(
    r"\b(?:(?:[2345]g|lte|nr)(?:[/ ,]*(?:and |or )?(?:[2345]g|lte))?(?:[ (/]*(?:preferred"
    r"|auto(?:matic)?|only))?|preferred|internet|messag\w+|sms|storage"
    r"|text(?:ing|s)?|files?|photos?|media|bill|invoice|amount|overdue|outstanding|unpaid|pending"
    r"|balance|payment|request|due|usd|dollars?|\$?\d+(?:[.,]\d+)?|[lb]\d+|past|requested"
    r"|previous|old|it's|that's|whatever|true|false|app_name|permission|mode|browser"
    r"|4g_5g_preferred|[234]g_only)\b"
)


_OTHER_PHONE = re.compile(
    r"\b(?:old|other|previous|second|spare|former|backup|another|new|friend's|work)"
    r" (?:\w+ )?(?:phones?|devices?|handsets?|smartphones?|sims?)\b"
)


def known_words(text: str, kind: str = "", menus: bool = False) -> bool:
    """Whether every word is a thing's, a value or harmless, or a verb's.

    kind: after a verb of that kind, of which verbs only those count ("remove and reinsert"), or
    ones that begin anew. menus: before a verb, where ways through menus are told.
    """
    if _OTHER_PHONE.search(text):
        return False
    for thing in reversed(things_in(text)):
        text = f"{text[: thing.start]} {text[thing.end :]}"
    text = re.sub(r"(?<!\w)'s\b|\bonly (?=the\b|your\b)", " ", text)
    if kind:
        text = re.sub(
            VERB_WORDS,
            lambda verb: " " if _fits(text, verb, kind) else "riddle",
            text,
        )
    if menus:
        text = re.sub(r"[\w ]+(?=>)|(?<=>)[\w &]+", " ", text)
        text = re.sub(
            r"\b(?:general|system|connectivity|internet|sims?|privacy|manager)\b", " ", text
        )
    text = grammar.TOOL.sub(" ", text)
    text = VERB_WORDS.sub(" ", text)
    text = _VALUES.sub(" ", text)
    words = re.findall(r"[^\W_][\w'/-]*", text)
    return all(part in _HARMLESS for word in words for part in re.split(r"[-/]", word) if part)


def _fits(text: str, verb: re.Match[str], kind: str) -> bool:
    """Whether a verb in the object of another is of its kind, no verb, or the next one."""
    if verb.lastgroup == kind or verb.group() in ("switch", "toggle", "set", "see", "check"):
        return True
    return bool(
        re.search(r"(?:^|[,;(>-] ?|\b(?:and|then|to|or|by|please))\s*$", text[: verb.start()])
    )


_AS_A_NOUN = re.compile(  # "restart required", "reset pending"
    r" (?:is |was |has |been |not |no longer |still )*(?:required|needed|necessary|pending"
    r"|completed?|done"
    r"|finished|optional|recommended|scheduled|successful|failed|possible|advised|in progress)\b"
)


def certain(text: str, verb: re.Match[str]) -> bool:
    """Whether nothing in a request clause is unknown, up to a purpose or a means."""
    if _AS_A_NOUN.match(text, verb.end()):
        return False
    phrase = before(text[verb.end() :], grammar.REASON)
    place = grammar.TAIL.search(phrase)
    thing, where = (phrase[: place.start()], phrase[place.start() :]) if place else (phrase, "")
    return (
        known_words(text[: verb.start()], menus=True)
        and known_words(thing, kind=verb.lastgroup or "")
        and known_words(where, menus=True)
    )


def certain_call(text: str) -> bool:
    """Whether a clause that names a tool does nothing but call it."""
    return known_words(before(re.sub(r"\([^()]*\)", " ", text), grammar.PURPOSE), menus=True)


# --- Not now ---
_LATER = re.compile(
    r"\b(?:later(?: on)?|eventually|tomorrow|tonight|shortly|some ?day|another (?:time|day)"
    r"|(?:the )?next time|in (?:the )?future|at some point|in (?:just )?(?:an?|one|a few|a"
    r" couple of|few|another|the next|\d+) "
    r"(?:moment|minute|second|bit|while|little|hour|day)\w*|(?<!as )soon(?!er)|down the (?:line"
    r"|road)"
    r"|(?:not|don't do (?:it|that|this)) (?:just )?(?:yet|now)|(?:when(?:ever)?|once|after|as"
    r" soon as|until|if|unless) i (?:tell|ask|say"
    r"|give|let)"
    r"|^(?:for (?:example|instance)|let's say|hypothetically|theoretically|in theory)"
    r"|from now on|in general|whenever|going forward|every time|each time|any ?time)\b"
)
_OUR_SIDE = re.compile(
    r"\b(?:i|we|i'\w+|we'\w+|my|our|line|account|payment|bill|request|system|plan|refuel\w*"
    r"|top-?up"
    r"|roaming is enabled|technician|engineer|service is|issue|problem|that doesn't|changes?"
    r"|ticket)\b"
)
_READY = re.compile(
    r"^(?:when|once|after|as soon as|whenever)\b (?:(?:you|you're|you are|you have|you've|that"
    r"|that's"
    r"|this|it|it's|everything) ?(?:are|is|have|has|'re|'ve)? ?(?:all |been |now )?"
    r"(?:ready|done|finished|able|comfortable|can|get (?:a chance|there|to)|got|have (?:a|time)"
    r"|do"
    r"|did|in|on|at|there|open(?:ed)?|see|set|completed?|that|this|so)\b"
    r"|(?:doing|that|this)\b|(?:possible|convenient)\b|(?:the |your )?(?:phone|device|screen"
    r"|menu|app"
    r"|page|settings?)\b)"
)


def later(text: str) -> re.Match[str] | None:
    """Where a clause speaks of another time than now."""
    return _LATER.search(text)


# What a phone may never show: a press that waits for it waits.
_EVENT = re.compile(
    r"^(?!.*\b(?:check|look|test)\w*\b).*\b(?:signal|service|bars|reception|errors?|works?"
    r"|arrives?"
    r"|goes through|(?:re)?connects?|disappears?)\b"
)


def aside_waits(text: str, asked_before: bool) -> str:
    """What a clause of time does to its request: "all" waits, "press" (only a look is certain), "".

    asked_before: the message asks for something before it, which such a clause may refer to.
    """
    if not re.match(r"(?:when|once|after|as soon as|whenever|until)\b", text):
        return ""
    if _EVENT.match(text) and not text.startswith("until") and not asked_before:
        return "press"
    if _READY.match(text):
        return ""
    if text.startswith("until"):
        return "all" if re.match(r"until (?:i|we)\b", text) else ""
    if _OUR_SIDE.search(text):
        return "all"
    return "" if asked_before else "press"


# --- The position of a switch ---
_NOW_IS = re.compile(
    r"\(|\b(?:since|because|as|which|who|currently|right now|at the moment|given that|it's|it is"
    r"|is showing|shows?|says?|is)\b"
)
_AIM = re.compile(
    r"\b(?:so (?:that )?|until |such that |in order (?:that |to )|(?:in)?to (?:the |an? )?|to be "
    r"|and (?:make sure|ensure|leave|keep)\b|(?:should|must|needs? to|has to|ought to)\b|make"
    r" sure\b|ensure\b)"
)
_VERB = re.compile(
    r"\b(?:put|turn(?:ing)?|(?<!the )(?<!data )(?<!mode )(?<!calling )switch(?:ing)?"
    r"|set(?:ting)?|(?:re-?)?(?:enabl|disabl|(?:de)?activat)(?:e|ing))\b"
)


def goal(text: str) -> bool | str | None:
    """The position that a text about toggling wants: True, False, None (it names none) or "unsure".

    "toggle it so that it is off" wants False, and so does "toggle it (it is currently on)".
    """
    now = _NOW_IS.search(text)
    for pattern, end in ((_AIM, len(text)), (_VERB, now.start() if now else len(text))):
        aims = [text[m.start() : end] for m in pattern.finditer(text, 0, end)]
        aims = [aim for aim in aims if state(aim) is not None]
        if aims:
            return state(aims[-1])
    if now and (seen := state(text[now.start() :])) is not None:
        return not seen
    if state(text) is None:
        return "unsure" if re.search(r"\b(?:until|so that|such that)\b", text) else None
    particle = re.search(r"\b(?:on|off)\b\W*$", text) or re.search(
        r"toggl\w* \w+ (?:on|off)\b", text
    )
    return state(text) if particle else "unsure"


# --- Talk about an action, or an action taken back ---
REPORTED = re.compile(
    r"(?:(?:and|but|so|well) )?(?:(?:the|your|my|our|this|that|some|other|many|most"
    r"|a) )?(?:\w+ )?"
    r"(?:manual|polic\w+|guide\w*|instructions?|article|screen|documentation|website|page"
    r"|colleague\w*|supervisor|they|people|customers?|users?|pop-?up|message|notes?|book|he|she"
    r"|you|it|i|(?:(?!(?:i|we)\b)[\w-]+ ){0,2}"
    r"(?:agents?|representatives?|(?:chat)?bots?|assistant|technician|engineer|team|department"
    r"|advis[eo]r)"
    r"|(?<=the )(?:(?!(?:i|we)\b)[\w-]+ ){0,2}\w+)(?:'ve| have| had| also| usually| often"
    r"| already| just| earlier| just now)*"
    r" (?:says?|said|tells?|told|states?|stated|reads|mentions?|mentioned|recommends|advises"
    r"|suggests|suggested|wrote|asked|thought)\b"
)
RETRACTED = re.compile(
    r"\b(?:(?:let's|let us|we'll|we will|i'd|i would) (?:rather |better )?not (?:do (?:that|it"
    r"|this|so)|yet)"
    r"|never ?mind|scratch that|(?:please )?(?:ignore|forget|disregard|cancel) (?:that|this"
    r"|it|my|the"
    r" (?:last|previous))|(?:actually|wait|no)\W+(?:please )?(?:do not|don't|hold off)"
    r"|(?:do not|don't) do (?:that|it|this|so|any of))\b"
)
# Before a colon: what follows is done already, or is not the user's to do.
LABEL = re.compile(
    r"(?:(?:already|previously|so far|steps?|actions?|things?|tasks?) )*(?:completed?|done"
    r"|finished|tried|skipped"
    r"|cancell?ed|ruled out|optional|not (?:needed|necessary|required|to do|applicable)|history"
    r"|log"
    r"|background|fyi|status|reported)(?: (?:already|so far|before|today|steps?|actions?"
    r"|tasks?))*"
    r"|(?:my|our|the agent's|support's|agent|carrier) (?:\w+ ){0,2}(?:tasks?|side|end|part"
    r"|steps?|actions?|job"
    r"|to-?dos?)(?: list)?"
    r"|(?:\w+ ){0,2}(?:for|by) (?:me|us)|on (?:my|our) (?:side|end|part)"
)
# What follows takes the place of what was just asked for: "toggle data, or rather, roaming".
CORRECTED = re.compile(
    r"\b(?:(?:or|well|but) rather(?! than)|(?:sorry|apologies|no|oops"
    r"|pardon)?\W*i mean(?:t)?\b(?! it\b)"
    r"|(?:small |quick )?correction\b|make that(?= [\w ]*$)|on second thoughts?|strike that"
    r"|(?:my (?:mistake|bad|error)|oops|whoops)|(?:oh |no )wait|wait,? no|that should (?:be"
    r"|read))\b"
    r"|^(?!.*\b(?:otherwise|else|if)\b).*\bleave (?:it|that|this|them) (?:as (?:it|they"
    r"|that) (?:is|are|was)|as is|alone|be)\b|^(?:(?:and|but|or|so|oh|well)\W+)?actually\b"
    r"|^(?:(?:hm+|uh+|um+|er+m?|ah|oh|eh)\W+)*no, (?!that|it|this|your?\b|need|problem|worries"
    r"|i\b|we\b)"
)
# "That's what the bot told you": the sentence before was somebody else's.
ATTRIBUTED = re.compile(
    r"^(?:(?:and|so|or|but)\W+)?(?:(?:that|this|it)(?:'s| is| was)(?: (?:just|only|exactly))?"
    r"|(?:is|was|isn't|wasn't) (?:that|this|it)(?: not)?)"
    r" (?:(?:more or less|roughly) )?(?:what|how|something|the (?:advice|text|message|step"
    r"|answer|line|sentence)\w*)\b(?: that)?"
    r"(?! (?:i(?:'d|'ll)?|we|you(?:'ll| will)? (?:need|should|have|must|can|do))\b)"
    r".*\b(?:told|tell|tells|said|says?|states?|recommend\w*|suggest\w*|advis\w+|asked|asks"
    r"|wrote|writes|reads|shows|"
    r"gets?|got|given|heard|gave|gives|displayed|read|saw)\b"
)
OPTIONS = re.compile(
    r"\b(?:(?:two|three|several|few|following|these|your|the|some) (?:\w+ )?(?:options?|choices?"
    r"|alternatives?|possibilities|ways)|either|which (?:one|of (?:these|them|the two)|option"
    r"|would you"
    r"|do you)|options are|would you rather|up to you|your choice)\b"
)
