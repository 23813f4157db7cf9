"""What a text says about the phone: facts read off the results of the user's tools.

The scripted user repeats tool results as they are; a language model says them in its own layout
and words. So values are read, not lines: a label, whatever links it to its value, the value.
Order, line ends, full stops, bold, quotes and case do not matter. Texts that say nothing of a fact
yield none; nothing is guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from tau2_agent.benchmark.switch_positions import LABELS, LINK, POSITION, position, positions

_MODES = (
    ("4g_5g_preferred", r"4g ?[/ ,&-]?(?: ?(?:and|or) )?5g"),
    ("4g_only", r"4g|lte"),
    ("3g_only", r"3g"),
    ("2g_only", r"2g"),
)
_SPEED = r"(?P<value>very poor|poor|fair|good|excellent|no connection)\b"
_NO = r"(?:no|not|don't|do not|doesn't|haven't|hasn't|isn't|without|lacks?|missing|never|nor)"


def _sim(found: re.Match[str]) -> str:
    word = found["value"]
    if "lock" in word or "pin" in word or "puk" in word:
        return "locked"
    return "active" if word in ("active", "working", "fine", "detected") else "missing"


def _mode(found: re.Match[str]) -> str:
    return next(name for name, words in _MODES if re.match(words, found["value"]))


def _is(*words: str) -> Callable[[re.Match[str]], bool]:
    return lambda found: found["value"] in words


def _word(found: re.Match[str]) -> str:
    return found["value"].strip(" .,;")


# Fact, pattern whose group `value` holds it, and how that becomes the fact. Later ones win.
_PATTERNS: tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], Any]], ...] = tuple(
    (fact, re.compile(pattern), value)
    for fact, pattern, value in (
        ("airplane", rf"\b(?P<denied>not |isn't |no longer )?(?:currently )?(?P<value>in|out of)"
                     rf" {LABELS['airplane']}\b",
         lambda found: (found["value"] == "in") != bool(found["denied"])),
        *((fact, rf"\b{label}{LINK}{POSITION}", position) for fact, label in LABELS.items()),
        *(
            (fact, rf"\b(?P<denied>)(?:turned|switched) (?P<value>on|off) (?:the |my"
                   rf" )?{label}", position)
            for fact, label in LABELS.items()
        ),
        ("sim", rf"\be?sim(?: card)?{LINK}(?P<value>active|working|fine|missing|(?:pin|puk)?"
         r"[ -]?locked|not (?:detected|inserted|found|recogni[sz]ed|present)|detected)\b", _sim),
        ("sim", r"\b(?P<value>no) e?sim(?: card)?\b(?! (?:card )?status)", _sim),
        ("sim", r"\be?sim(?: card)?\b[^.;]{0,30}?\b(?P<value>locked|pin|puk)\b", _sim),
        ("connected", rf"\bcellular connection{LINK}(?P<value>connected|not connected|disconnected"
         r"|no service|none|searching|emergency|lost|down)\b", _is("connected")),
        ("network_type", rf"\bnetwork type{LINK}(?P<value>[2-5]g|lte|none|no)\b",
         lambda found: found["value"].upper()),
        ("vpn", r"\b(?P<value>connected) (?:to|via|through) (?:an?|the|my) vpn\b", lambda _: True),
        ("vpn", rf"\bvpn{LINK}(?P<denied>not |isn't )?(?P<value>on|off|connected|disconnected"
                rf"|active"
         r"|inactive|enabled|disabled)\b(?! in settings)",
         lambda found: (found["value"] in ("on", "connected", "active", "enabled"))
         != bool(found["denied"])),
        ("vpn", rf"\b(?P<value>{_NO})\b[^.;|]{{0,24}}\bvpn\b(?!{LINK}(?:on|off|connected)\b)",
         lambda _: False),
        ("vpn", r"\bvpn\b[^.;|]{0,40}\b(?P<value>not connected|disconnected)\b", lambda _: False),
        ("vpn_slow", r"\bperformance\b.{0,40}?\b(?P<value>poor|slow|bad|fair|good|excellent"
                     r"|fast)\b",
         _is("poor", "slow", "bad")),
        ("apn", r"(?<!re)\bapn(?: name)?[\s:=|-]*(?:(?:is|shows?|says|reads|currently|set to|as"
                r"|named"
         r"|called|the|name)\b[\s:=|-]*)*(?<=[\s:=|])(?P<value>(?!settings?\b|will\b|name\b"
         r"|mms\b|is\b"
         r"|should\b|needs?\b|looks?\b|seems\b|and\b|but\b|broken please\b|(?:to|at|on|in|has"
         r"|was)\b)"
         r"[\w.-]+)", _word),
        ("mmsc", rf"\bmmsc(?: url| uri| address)?{LINK}(?P<value>not\b|isn't\b|unset|missing"
                 rf"|empty|blank"
         r"|none|n/a|null|nothing|https?:|mms\.|www\.|configured|there\b|filled)",
         lambda found: found["value"] in ("http:", "https:", "mms.", "www.", "configured", "there",
                                          "filled")),
        ("mmsc", rf"\b(?P<value>{_NO})(?: an?| the| any)? mmsc\b(?!.*https?:)", lambda _: False),
        ("network_mode", rf"\bnetwork mode(?: preference)?{LINK}(?:preference{LINK})?"
         rf"(?P<value>{'|'.join(words for _, words in _MODES)})\b", _mode),
        ("speed", rf"\d\s*mbps\W{{0,4}}(?:(?:which|that|is|it|rated|as|and|says|considered|so|very"
         rf"(?! poor)|described|the|result|speed)\W+)*{_SPEED}", _word),
        ("speed", rf"\bspeed(?: test)?(?: result)?{LINK}{_SPEED}", _word),
        ("speed", r"\bspeed test failed\W+(?P<value>[^.;]+)", _word),
        ("mms", r"\b(?P<value>can|cannot|can't|can not|could not|couldn't|unable to|not able to"
                r"|able to"
         r"|failed to) (?:now |still |not )?send (?:an? |any |my )?(?:mms|picture|multimedia)",
         _is("can", "able to")),
        ("paid", r"(?<!\bno )\b(?:payment\b(?! request)(?:[^.;]|\.\d){0,40}?\b(?P<value>made"
                 r"|successful\w*|completed|processed|went"
         r" through|accepted)|(?:i|i've|have|has been|is|was) (?:just |now )?paid)\b(?! yet)",
         lambda found: found["value"] or "paid"),
    )
)  # fmt: skip
_STATUS_BAR = re.compile(r"status bar\W*(.{0,200}?)(?:🔋|battery|;|$)")
_SIGNAL = re.compile(
    rf"(?<!cellular )(?<!wi-fi )(?<!wifi )\bsignal(?: strength| bars?)?{LINK}"
    r"(?P<value>none|no signal|excellent|good|fair|poor|strong|full|weak|back)\b"
    r"|\b(?P<before>excellent|good|fair|poor|strong|full|weak|no) (?:cellular |[2-5]g )*"
    r"(?:signal|service)\b"
)
_PERMISSION = re.compile(r"\b(sms|storage|phone|network|texts?|files?)\b(?! app)")
_BILL = re.compile(r"\bb\d{5,}\b")


@lru_cache(maxsize=4096)
def read(text: str) -> Mapping[str, Any]:
    """Facts by name; only what the text says. Shared: read-only.

    Switches (`airplane`, `mobile_data`, `roaming`, `data_saver`, `wifi`, `wifi_calling`, `vpn`)
    are booleans, True for on. `signal` is what the status bar shows. Others: `sim` (active,
    missing, locked), `connected`, `network_type`, `vpn_slow`, `apn`, `mmsc` (is set),
    `network_mode`, `permissions`, `speed`, `mms` (can send), `payment_request`, `paid`.
    """
    plain = _plain(text)
    facts = _status_bar(plain)
    for fact, pattern, value in _PATTERNS:
        for found in pattern.finditer(plain):
            facts[fact] = value(found)
    for fact, on in positions(plain).items():
        if on is None:
            facts.pop(fact, None)
        else:
            facts[fact] = on
    if (granted := _permissions(plain)) is not None:
        facts["permissions"] = granted
    if "payment request" in plain:
        bill = _BILL.search(plain)
        denied = re.search(rf"\b{_NO}\b[^.;]{{0,30}}payment request", plain)
        facts["payment_request"] = None if denied else bill.group().upper() if bill else True
    return MappingProxyType(facts)


def _plain(text: str) -> str:
    """Lower case without emphasis and quotes; line ends become ";"."""
    text = unicodedata.normalize("NFKC", text).lower()
    text = text.translate(
        str.maketrans("\u2019\u2018\u2011\u2010\u2013\u2014\u2192\u21d2\u279c", "''----:::")
    )
    text = re.sub(r"\((empty|blank|none|null|n/a|unset|missing|not set)\)", r"\1", _marks(text))
    text = re.sub(r"[*`\"\u201c\u201d{}<>#\u2022]|(?<!\w)'|'(?!\w)", " ", text)
    text = re.sub(r"\s*\n\s*(?:[-+]\s+|\d[.)]\s+)?", " ; ", text).replace("_", " ")
    return re.sub(r"[^\S\n]+", " ", text)


def _marks(text: str) -> str:
    """Ticks and crosses in words, whether they stand before or after what they mark."""
    name, mark = _PERMISSION.search(text), re.search(r"[\u2705\u2714\u274c\u2717\u2718]", text)
    ahead = bool(name and mark and mark.start() < name.start())
    text = re.sub(r"[\u2705\u2714]", " ; " if ahead else " yes ; ", text)
    return re.sub(r"[\u274c\u2717\u2718]", " ; no " if ahead else " no ; ", text)


def _status_bar(plain: str) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for bar in _STATUS_BAR.findall(plain):
        verbatim = "|" in bar or bar.startswith(("✈", "📵", "📶"))
        dark = re.search(r"\bno (?:signal|service|bars)\b", bar)
        bright = re.search(r"📶|\b(?:excellent|good|fair|poor|strong|full|bars)\b", bar)
        airplane = re.search(r"(?<!no )airplane mode(?! (?:is )?(?:now )?off)", bar)
        if verbatim or airplane or bright:
            facts["airplane"] = bool(airplane)
        if verbatim:
            facts["vpn"] = "vpn connected" in bar
        if verbatim or dark or bright or airplane:
            facts["signal"] = bool(bright and not dark and not airplane)
        if "data enabled" in bar:
            facts["mobile_data"] = True
            facts["data_saver"] = "data saver" in bar
    if (
        not {"signal"} & facts.keys()
        and "cellular connection" not in plain
        and (found := _SIGNAL.search(plain))
    ):
        facts["signal"] = (found["value"] or found["before"]) not in ("none", "no signal", "no")
    return facts


def _permissions(plain: str) -> frozenset[str] | None:
    """Permissions that an app has, as the text lists them; None if it does not speak of that."""
    if not re.search(r"\bpermissions?\b|\baccess\b", plain) or "granted to app" in plain:
        return None
    if re.search(r"\bno permissions\b|\bpermissions?\b\W*(?:granted\W*)?none\b", plain):
        return frozenset()
    names = list(_PERMISSION.finditer(plain))
    granted = set()
    for name in names:
        before = re.split(r"[.;]", plain[: name.start()])[-1]
        after = re.split(r"[.;,]", plain[name.end() :])[0]
        denied = re.search(
            rf"\b{_NO}\b(?: (?:the|have|has|an?|any|for|granted|allowed|include|permission|and|or"
            r"|sms|storage|phone|network|to|access))* ?(?:: )?$",
            before,
        ) or re.match(
            rf"(?: permission| access)?{LINK}(?:off|no|not|denied|missing|false|disabled|isn't)\b",
            after,
        )
        word = {"text": "sms", "texts": "sms", "file": "storage", "files": "storage"}
        if not denied:
            granted.add(word.get(name.group(), name.group()))
    return frozenset(granted) if names else None
