"""Classes of English words, a letter each: by them `harmless.py` tells the shape of a sentence.

The closed classes (pronouns, auxiliaries, prepositions, conjunctions, negations) are finite, and
complete here. Of the open ones the verbs and nouns of phone support are known by their class, and
`DANGEROUS` are words that may turn a request off by what they mean: other people and devices,
other times, what is said, written, wished, put off or made up. Any other word is open: it names
or paints something and changes nothing, where it stands in its place.
"""

from __future__ import annotations

import re
from functools import lru_cache

from tau2_agent.users.scripted.vocabulary import AROUND


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _forms(verbs: str) -> frozenset[str]:
    """Regular forms of verbs, and such as nobody writes."""
    forms: set[str] = set()
    for verb in verbs.split():
        stem = verb.removesuffix("e")
        y = verb[:-1] if verb[-1] == "y" and verb[-2] not in "aeiou" else ""
        double = verb + verb[-1]
        forms |= {verb, f"{stem}ing", f"{double}ing", f"{double}ed"}
        forms |= {f"{y}ies", f"{y}ied"} if y else {f"{verb}s", f"{stem}ed"}
        forms |= {f"{verb}es"} if verb.endswith(("s", "sh", "ch", "x", "o")) else set()
    return frozenset(forms)


# --- Closed classes ---
_CLOSED = {
    "I": "i we",
    "Y": "you yourself",
    "S": "it me us they these those them itself themselves which everything something anything"
    " yours",
    "t": "this that",
    "h": "there",
    "D": """the a an your our its their some any all both each every one two three four five ten few
        several many much more most such same own certain lot lots plenty bit couple half first
        last next enough""",
    "N": "no none nothing neither",
    "!": "not cannot hardly",
    "B": "is are was were be been being am",
    "H": "have has had having",
    "M": "can could may might should will must would shall",
    "K": "do does did doing done",
    "P": """of in into on onto at for with without from to by over under through via within during
        between among about around as than like per across near behind below beyond against along
        outside inside off out up down back towards toward due according based upon despite besides
        including regarding throughout""",
    "C": "and or but so yet plus also nor",
    "R": "because since why how what where although though while whereas",
    "W": "if unless until till when whenever once before after whether",
    "A": """now currently still just simply already again here too very quite really fairly pretty
        only even often usually normally generally typically sometimes occasionally always commonly
        frequently probably possibly likely apparently clearly obviously temporarily briefly
        momentarily quickly automatically properly correctly fully completely entirely directly
        actually basically unfortunately luckily fortunately thankfully successfully recently
        exactly almost nearly far well together indeed then away right significantly considerably
        noticeably greatly slightly else partly mostly mainly especially particularly perfectly
        absolutely totally somewhat however therefore afterwards afterward specifically long
        initially originally additionally moreover furthermore rather""",
}
# --- Verbs of what things on a phone do ---
_EFFECTS = _forms("""
    affect allow apply attach authenticate block boost break cap cause change choke clear connect
    consume control degrade deliver disable disconnect download drain drop enable ensure establish
    explain expire fix force free give hamper handle help hinder impact improve include interfere
    interrupt let limit load lower make matter obtain offload operate override point power
    prefer prevent protect provide pull push reach receive reconnect re-establish reestablish record
    reduce reflect refresh register re-register rely reload renew request reset resolve
    restart restore restrict resume reroute reveal route run save search select send serve set slow
    solve speed start stem store strain struggle supply support surf suspend switch sync take tend
    throttle track transfer transmit trigger try turn undo unlock update upgrade upload use utilize
    reinitialize toggle activate deactivate carry cover exchange talk communicate negotiate
    narrow match share break follow fail depend prioritize optimize bring get handle put
""")  # fmt: skip
_LIFE = _forms("""
    seem appear look sound come go keep sit slip slide shift fall stop lack lose exist contain
    expect increase decrease rise hit see read detect recognize recognise insert leave stay remain
    check verify test finish complete process count pick hold return find open show mean indicate
    confirm work function happen occur need require
""")
_IRREGULAR_EFFECTS = _words("""
    brought gave given got gotten hid hidden let made meant ran sent set shown shut slowed took
    taken thrown broke broken begun cut put
""")
_IRREGULAR_LIFE = _words("came gone went kept left lost sat slid stuck fell fallen stood found saw")
# They take something away: harmless only where it is said that they do not.
_HARMS = _forms("delete erase wipe lose cost charge damage harm hurt ruin destroy void remove")
_NOUNS = _words("""
    account line plan usage gb mb mbps network signal bar bars speed speeds performance connection
    connections connectivity picture pictures photo photos image images message messages messaging
    mms sms app apps application permission permissions storage file files setting settings
    configuration url status top screen icon icons symbol carrier carriers side end system systems
    tower towers issue issues problem problems trouble reason reasons solution step steps change
    changes effect result results menu section tab panel slider button feature features function
    tool mode modes preference value values tray slot card chip position type default defaults
    process order android iphone wireless cellular mobile lte 2g 3g 4g 5g internet browser website
    websites roaming restart reboot reset suspension balance bill bills payment payments amount
    limit allowance outage outages maintenance cause causes culprit fix sign news progress test
    tests server servers provider providers records traffic background contacts data device devices
    phone phones smartphone toggle switch access antenna radio radios coverage area country
    combination symptom symptoms behavior behaviour error errors glitch glitches hiccup hiccups
    software hardware update updates upload download uploads downloads video videos attachment
    attachments gallery gateway communication service services location abroad profile capability
    bottleneck restriction restrictions limitation interference slowdown fee refuel delivery route
    routes thing things part experience quick center control shade moment minute minutes second
    seconds adjustment item items piece factor factors source point check checks action
    contents explanation candidate try information info detail details
""")
# --- Words that may turn a request off ---
OTHER_TIMES = _words("""
    later soon eventually someday sometime tomorrow tonight
    monday tuesday wednesday thursday friday saturday sunday january february april june july
    august september october november december noon midnight morning evening afternoon weekend
    overnight daily weekly o'clock deadline midday dawn dusk
    schedule scheduled planned plans upcoming future history former formerly
    lunch dinner breakfast christmas easter holiday holidays birthday
    """)
DANGEROUS = OTHER_TIMES | _words("""
    nobody anymore longer
    hold-off pause pauses cancelling
    skipped forget forgets forgot abort postpone postponed
    refused declined quit halt scratch scrap retract withdraw
    revoke disregard instead except otherwise either optional optionally alternatively alternative
    choices decide decision undecided perhaps maybe ideally hopefully
    wanted wish wishes hope hopes think thought believe believes doubt doubts
    wonder consider considering considered guess pretend pretending imagine suppose supposedly
    assume assuming hypothetical hypothetically theory theoretically example examples instance
    metaphor metaphorically figuratively sarcasm sarcastic ironic irony
    say says said text texts saying quote quotes quoted quoting tell tells telling ask asks asked
    asking claim claims claimed write writes wrote written texted texting types typed typing suggest
    suggests suggested suggestion recommends recommend recommended recommendation advise advises
    advised advice instruct instructs instructed instruction instructions remind reminds reminder
    announce announces announced mention mentions mentioned whisper whispers shout shouts mutter
    hint hints joke jokes joking joked kidding kid prank trick tricks game quiz riddle poem song
    story tale movie dream bet dare greet greets laugh laughs amuse amuses beg begs sentence
    sentences word words phrase paragraph page article book manual guide guides faq forum blog chat
    transcript log ticket script template draft sample note notes letter email mail e-mail post
    posted poster flyer leaflet brochure newsletter memo sticker sticky banner pop-up popup popups
    notification notifications prompt prompts alert alerts ad ads advert slip code voicemail
    recording recorded title heading rumor rumour scam scams scammer scammers phishing fraud fake
    hacker hacked hackers myth nonsense
    mistake mistaken mistakenly oops illegal forbidden prohibited unwise foolish silly
    pointless useless worst regret ridiculous drill training exercise demo rehearsal practice
    he she him her his hers my mine myself who whom whose someone somebody anyone anybody everyone
    everybody person people individual individuals human guy lady man woman men women boy girl child
    children baby parent parents mom mum dad mother father sister brother sibling son daughter aunt
    uncle cousin grandma grandpa grandmother grandfather nephew niece wife husband spouse partner
    fiance boyfriend girlfriend friend friends buddy roommate flatmate housemate neighbor neighbour
    neighbors neighbours coworker coworkers colleague colleagues boss employer employee manager
    supervisor teacher lawyer doctor nurse driver owner owners stranger visitor guest tenant
    landlord family families household team teams department crew staff representative
    representatives rep reps agent agents specialist specialists technician technicians engineer
    engineers expert experts operator operators dealer retailer clerk cashier bot bots robot
    assistant chatbot customer customers caller callers client clients user users subscriber
    subscribers member members vendor company companies business shop store branch office kiosk
    desk counter warehouse
    tablet tablets laptop laptops computer computers pc mac macbook ipad watch smartwatch tv
    television router modem printer console camera speaker hotspot car vehicle landline machine
    desktop monitor headset dongle iphones androids
    another spare backup secondary
    approve approval authorize authorization authorise agree agreed consent clearance go-ahead
    follows confirmation opposite contrary reverse versa versus following ready prepared
    """)

# As dangerous, but for what a thing of the phone does: "your phone ignores the faster networks".
MILD = _words("""
    ignore ignores ignored wrong never other others told delay delays delayed avoid avoids
    wait waits waiting option options prefer prefers different old older wants want thinks previous
    previously earlier ago recently past yesterday hour hours day days week weeks year years today
    decline declines refuse refuses choice skip skips cancelled canceled cancel cancels
""")

# Letters: those above, X and x dangerous; E effect, G its -ing form, L what things do besides, p
# past, F verb or noun, Z harm, T noun; open words by their endings: v "-s" or "-ed", g "-ing",
# y "-ly", o any other
_LETTERS: dict[str, str] = {}
_ALL_EFFECTS = _EFFECTS | _IRREGULAR_EFFECTS
_past = {word for word in _EFFECTS | _LIFE if word.endswith("ed")} - {"need", "speed", "exceed"}
_past |= _words(
    "brought gave given got gotten hid hidden made meant ran sent shown slowed took taken"
    " thrown broke broken begun came gone went kept left lost sat slid stuck fell fallen"
    " stood found saw seen"
)
for _letter, _class in (
    ("T", _NOUNS),
    ("L", _LIFE | _IRREGULAR_LIFE),
    ("E", _ALL_EFFECTS),
    ("F", _ALL_EFFECTS & _NOUNS),
    ("T", _LIFE & _NOUNS),
    ("p", _past),
    ("G", {word for word in _ALL_EFFECTS | _LIFE if word.endswith("ing")}),
    ("T", {word for word in _NOUNS if word.endswith("ing")}),
    ("Z", _HARMS),
    ("X", DANGEROUS),
    ("x", MILD),
    *((letter, _words(text)) for letter, text in _CLOSED.items()),
):
    _LETTERS |= dict.fromkeys(_class, _letter)
_CONTRACTED = {"'ll": "M", "'ve": "H", "'re": "B", "'m": "B", "'d": "M", "'s": "s"}
_TOKEN = re.compile(
    r"T_\w+|[a-z]+_\w+|o'clock|[a-z][a-z-]*|\d[\w.]*|'(?:ll|ve|re|m|d|s)\b|[,;:()\"$]| - "
)


# Nouns that are no thing of the phone or the account: they may speak of the call itself.
_ABSTRACT = _words("""
    plan message sign news progress test tests step steps way order cause causes culprit fix issue
    issues problem problems trouble reason reasons solution change changes effect result results
    process end type default defaults position behavior behaviour symptom symptoms
    thing things part experience quick control moment minute minutes second seconds item items piece
    factor factors source point check checks action contents explanation candidate try information
    info detail details update updates capability restart reboot reset limit amount
    access combination T_plan T_call T_look
""")

_CLOSED_LETTERS = set("SYIthDNBHMKPCRA!#,s") | {""}


@lru_cache(maxsize=16384)
def names_a_thing(text: str) -> bool:
    """Whether a lower-case text with marks names a thing of the phone or of the account."""
    words = set(_TOKEN.findall(text)) - _ABSTRACT
    return any(word.startswith("T_") or _LETTERS.get(word) in ("T", "F") for word in words)


@lru_cache(maxsize=16384)
def anchored(text: str) -> bool:
    """Whether it names a thing, or consists of few words that are known.

    What names none may as well speak of the request, or of the call.
    """
    words = _TOKEN.findall(text.replace("n't", " not"))
    known = all(word in AROUND or _letter_of(word) in _CLOSED_LETTERS for word in words)
    return known or names_a_thing(text)


def letters(text: str) -> str:
    """One letter a word of a lower-case text in which things are marks ("T_vpn")."""
    return mild_letters(text).replace("x", "X")


@lru_cache(maxsize=16384)
def mild_letters(text: str) -> str:
    """`letters`, with an x for what is no danger in what a thing of the phone does."""
    text = re.sub(r"\bcan't\b", "can not", text.replace("won't", "will not"))
    text = re.sub(r"(?<=T_phone)'s|(?<=[a-z]s)'(?!\w)", "", text.replace("n't", " not"))
    return "".join(_letter_of(token) for token in _TOKEN.findall(text))


def _letter_of(token: str) -> str:
    known = _CONTRACTED.get(token) or _LETTERS.get(token)
    if known:
        return known
    if token.startswith("T_"):
        return "X" if token == "T_call" else "T"
    if not token[0].isalnum():
        return "" if token in '"$' else ","
    if token[0].isdigit():
        return "#"
    if "_" in token:
        return "X"  # a name of the machine's
    if "-" in token:
        inside = {_LETTERS.get(part, "o") for part in token.split("-")}
        return "X" if inside & set("XIN!W") else "o"
    if token.endswith("ing"):
        return "g"
    if token.endswith("ly"):
        return "y"
    return "v" if token.endswith(("ed", "s")) and not token.endswith(("ss", "us", "eed")) else "o"
