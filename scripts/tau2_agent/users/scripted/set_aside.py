"""What puts a request off, or takes it back: "the next time it drops", "no, that was a typo".

What a request waits for may be named by any noun or adverb, so the forms are told here, not the
words: nothing is pressed for it. Where a request is put off or taken back, the user does not ask
whether it is meant, since that question would name what is not wanted.
"""

from __future__ import annotations

import re

from tau2_agent.users.scripted.things import marked
from tau2_agent.users.scripted.vocabulary import words
from tau2_agent.users.scripted.word_classes import OTHER_TIMES, letters

_UNITS = r"(?:seconds?|secs?|minutes?|mins?|hours?|days?|weeks?|months?)"
_SUBJECT = r"(?=(?:the|your|you|i|we|it|this|that|they|our|my|an?|there|T_\w+)\b)"
_AND = r"(?:(?:and|but|so|or|also|then|only|please|exactly|at|on|by|from|in|for|during|until) )*"
_EACH = r"(?:the|each|every|any|another|some|that|an?|your|our|one|next|first|second|last)"
# "the very instant that your line is up": a noun and what happens then. Which noun it is does
# not matter, but that it is no thing of the phone: "the signal you have is weak".
_NOUN = re.compile(
    rf"{_AND}{_EACH} (?P<noun>[a-z'-]+(?: [a-z'-]+){{0,2}}?) (?:(?:when|where|that) )?{_SUBJECT}"
)
_ADVERB = re.compile(rf"{_AND}(?P<adverb>\w+ly|once again|right|straight|long) {_SUBJECT}")
_JUST_AS = re.compile(
    rf"{_AND}(?:(?:\w+ly|just|right|straight|soon|long|even|moments|seconds|minutes|hours|days"
    rf"|some time|(?:\w+ )?(?:an?|\d+|\w+) {_UNITS}) )++"
    r"(?:as|after|before|when|once|while|following|upon|until)\b"
)
_TIME_NOUNS = words("moment moments minute minutes second seconds point time")
_AT_ONCE = words("directly momentarily right long recently initially originally")
_INSIDE = re.compile(
    rf"\b(?:from now(?: on)?|(?:an?|one|two|three|five|ten|fifteen|thirty|half an|\d+|few"
    rf"|couple of)"
    rf" {_UNITS} (?:later|from (?:now|today|then)|after|before|hence)|in (?:the|a) future"
    r"|(?:for|on|at|during|before|after|by|until|in|with|upon|of) (?:the|your|our|any|each"
    r"|every|a)?"
    r" ?(?:next|following|coming|upcoming|future|first|last|each|every|any) (?!(?:step|thing"
    r"|screen|page"
    r"|menu|test|time being|place|option|of|one|part)s?\b)\w+"
    r"|(?:the|each|every|any|another) (?:next |first |last |single )?(?:time|moment|instant"
    r"|occasion)"
    rf" (?:that )?{_SUBJECT}"
    r"|as (?:the|your|our|it|i|we)(?: \w+){0,2} (?:comes?|goes|drops?|returns?|finish(?:es)?|ends?"
    r"|starts?|boards?|boots?)(?! to\b)"
    r"|(?:for|during|on|before|after) (?:the|your|a|this) (?:flight|trip|landing|night|weekend"
    r"|meeting|movie)\b(?! mode)|where(?:ver)? (?:applicable|appropriate))\b"
)


def opens_with_a_time(clause: str) -> bool:
    """Whether a lower-case clause in front of a request says when: it is no statement."""
    if _JUST_AS.match(clause) or names_another_time(clause):
        return True
    if (found := _NOUN.match(clause)) and (noun := found["noun"].split()):
        return noun[-1] in _TIME_NOUNS or letters(noun[-1]) in tuple("ovxX")
    found = _ADVERB.match(clause)
    return bool(found) and (letters(found["adverb"]) != "A" or found["adverb"] in _AT_ONCE)


def names_another_time(text: str) -> bool:
    """Whether a request clause says that it is for another time than now."""
    return bool(_INSIDE.search(text))


def waits_for_what_happened(text: str) -> bool:
    """Whether a request is for when something else has happened: "once the test has failed"."""
    return bool(_AFTER_WHAT.search(text))


# --- What a question of the user's should not name again ---
_FRAMES = words("""
    following suggest suggests recommend recommended recommendation advise advised ask asking tell
    told instruction instructions instead write ready confirmation option options text texts note
    notes prepared
""")
_TAKES_BACK = re.compile(
    r"\b(?:mistake\w*|error|typo|slip|wrong|mix(?:ed)?[ -]up|i mean(?:t)?|(?:which"
    r"|what) i meant|oops|whoops"
    r"|correction|sorry|apologi\w+|my bad|then again|actually|second thoughts?|change of plan"
    r"|come to think|after all|strike that|scratch that|(?:ignore|disregard|forget|skip|cancel"
    r"|drop"
    r"|scrap|undo|retract|withdraw|revoke|strike|scratch|belay|void|delete"
    r"|reverse) (?:\w+ )*(?:it|this|that|these|them|one"
    r"|part|step|request|message|restart|reboot|reset|payment|order|line|sentence|above)"
    r"|(?:ignore|disregard|never ?mind|cancel|abort|belay)\W*$|too (?:soon|early|fast"
    r"|quick(?:ly)?)|prematurely?|(?:take|took) (?:it|this|that|them) back|rephrase|reflection"
    r"|no need|need not|needn't|not (?:needed|necessary|required|yet|now|today|just yet|until"
    r"|before|so fast)"
    r"|(?:don't|do not|never|won't|shouldn't|mustn't|must not|should not"
    r"|can't) (?:you )?(?:\w+ )?(?:do|restart|reboot"
    r"|reset|turn|switch|toggle|set|change|connect|disconnect|pay|make|grant|give|allow|take"
    r"|remove"
    r"|touch|press|enable|disable|reseat|start|run|proceed|go ahead|try|bother|act)\b"
    r"|(?:keep|leave|leaving|keeping) (?:it|this|that|them|(?:the|your) \w+)|hold (?:on|off|it"
    r"|that|back|your)"
    r"|hang on|wait(?! (?:a|for|until|about|\d|ten|thirty))|stop|let me (?:\w+ )*(?:check|look"
    r"|see|confirm|verify|read)|though\W*$)"
    r"|\b(?:nope|nah|no (?:point|use|sense)|as (?:it|they|things) (?:is|are)|a rest|rather)\b"
    r"|^(?:oh,? |hmm,? |ah,? |um,? )*no\b(?! (?:problem|worries|rush|hurry))"
)
_NOT = re.compile(r"\b(?:not|no)\b|n't\b")
_FEW = 5  # words of a sentence that says no more than "not that one"
_EVENT = re.compile(
    r"\b(?:whenever|any ?time|till?|lest|upon|going forward|some point|time to time)\b|\b(?:or"
    r"|better|maybe|perhaps)"
    r" not\b|\b(?:until|unless|when|once|whenever|after|before|as soon as|while) (?:\w+ )?(?:i"
    r"|i've|i'm|i'll|we|we've"
    r"|my|our)\b|\bat the (?:very )?(?:end|close)\b|\bby the time\b|\bon my (?:\w+)\b"
    r"|\bin (?:about |around )?(?:an?|\d+|two|five|ten|a few) "
    rf"(?:{_UNITS}|bit|while|moment)\b"
    # where the user is, which no look at the phone shows, and what is left for that time
    r"|\b(?:when|whenever|once|after|as soon as|until|if) you(?:'re| are|'ll be|'ve| have| get"
    r"| come| return| arrive| land| got| made it)(?: \w+ly| safely| all| back| over)*"
    r" (?:home|back|there|out|away|near\w*|somewhere|abroad|landed|arrived|outside|inside|indoors"
    r"|at (?!the (?:\w+ )?(?:screen|menu|page|settings)))\b"
    r"|\b(?:until|by|till) then\b|\b(?:postpon|deferr?|adjourn|shelv)(?:e|ed|ing)?\b"
    r"|\b(?:put|putting|push|hold)(?:ing)? (?:it|this|that|(?:the|your) (?:\w+ ){1,2})off\b"
)
_AFTER_WHAT = re.compile(  # "once the speed test has failed twice", and not "once it has restarted"
    r"\b(?:once|after|when|whenever|as soon as) (?:the|your|my|our|this|that|an?) "
    r"(?!(?:has|have|had|phone|device|handset|restart|reboot|reset|changes?|switch|settings?)\b)"
    r"[^,.;]*?\b(?:has|have|had)(?: not|n't)? (?!to\b)"
)
_OFTEN = re.compile(  # more than once, which one press is not
    r"\b(?:twice|thrice|repeatedly|again and again|(?:two|three|four|five|six|ten|\d+|several|many"
    r"|multiple|a few|(?:a )?couple of)(?: more| separate)? times|in a row)\b"
)


def sets_aside(sentence: str, presses: bool, behind: bool) -> bool:
    """Whether a lower-case sentence that fits no request takes one back, or puts it off.

    presses: it holds a request. behind: it stands behind one. The question whether the request is
    meant would then name what is not wanted, and invite a yes.
    """
    text = marked(sentence)
    said = set(re.findall(r"[a-z'-]+", text))
    if said & OTHER_TIMES or names_another_time(sentence) or _EVENT.search(sentence):
        return True
    if (presses or behind) and any(letters(word) == "X" for word in said - _FRAMES):
        return True
    if presses and (waits_for_what_happened(sentence) or _OFTEN.search(sentence)):
        return True
    if behind and len(sentence.split()) <= _FEW and _NOT.search(sentence):
        return True
    return (presses and opens_with_a_time(text)) or (
        (presses or behind) and bool(_TAKES_BACK.search(sentence))
    )
