"""What a user's answer to the scripted teacher says: read by what is in it, not by its wording."""

from __future__ import annotations

import re

_NUMBER = re.compile(
    r"(?<!\d)(?:\+?1[\s./\u2010-\u2015-]?)?\(?(\d{3})\)?[\s./\u2010-\u2015-]*(\d{3})"
    r"[\s./\u2010-\u2015-]*(\d{4})(?!\d)"
)
_WORDS = ("one", "two", "three")
_HOME = re.compile(
    r"\b(?:at home|home country|domestic|in the (?:us|usa|u\.s\.|united states|states))\b"
)
_AWAY = re.compile(
    r"\babroad\b|\btravell?ing\b|\boverseas\b|\bforeign\b|\bout(?:side)? of the country\b"
    r"|\bfrance\b"
)
_YES = re.compile(
    r"\b(?:yes|yeah|yep|yup|sure|ok|okay|agreed?|go ahead|please do|sounds (?:good|fine)|fine"
    r"|correct|absolutely|definitely|certainly|of course|by all means|gladly|works for me)\b"
)
_NOT_AT_HOME = re.compile(r"(?:\bnot|n't|\baway from|\bfar from) (?:at )?home\b(?! country)")
_NOT_IN_COUNTRY = re.compile(
    r"(?:\bnot|n't) (?:currently )?in (?:my home country|the (?:us|usa|u\.s\.|united states"
    r"|states))\b"
)
_NO = re.compile(r"\bno\b(?! problem)|\bnot\b|n't\b|\bnever\b")
_MMS = re.compile(
    r"\bmms\b|(?:picture|photo|multimedia)\w* (?:message|text)"
    r"|\bsend\w*\b.*\b(?:photo|picture|image)"
)
_NO_CALLS = re.compile(
    r"\bservice\b|\bsignal\b|\breception\b|\bbars\b|\bcalls?\b.*\btexts?\b"
    r"|(?:n't|\bnot|\bunable to|\bno) (?:make |receive |get |place )*(?:any |phone )*calls?\b"
)


def _plain(text: str) -> str:
    return text.lower().replace("\u2019", "'")


def _says(words: re.Pattern[str], answer: str) -> bool:
    """Whether a sentence says it, and does not deny it."""
    sentences = re.split(r"[.!?\n]+(?:\s|$)", _plain(answer))
    return any(words.search(part) and not _NO.search(part) for part in sentences)


def issue_of(reason: str) -> str:
    """What the user complains about: "service", "mms" or "data"."""
    if _MMS.search(_plain(reason)):
        return "mms"
    return "service" if _NO_CALLS.search(_plain(reason)) else "data"


def phone_number(answer: str) -> str | None:
    """The phone number in an answer as the database writes it, whatever is between its digits."""
    found = _NUMBER.search(answer)
    return "-".join(found.groups()) if found else None


def is_abroad(answer: str) -> bool:
    """Whether the user is outside the country, by what is said of the place."""
    place = _NOT_IN_COUNTRY.sub(" abroad ", _NOT_AT_HOME.sub(" ", _plain(answer)))
    return not _HOME.search(place) and _says(_AWAY, place)


def gigabytes(answer: str) -> float | None:
    """The amount of data in an answer, in GB."""
    unit = r"(?:(?:more|extra|additional) )?(?:gb|gigs?|gigabytes?)\b"
    if found := re.search(rf"(\d+(?:[.,]\d+)?) ?{unit}", _plain(answer)):
        return float(found[1].replace(",", "."))
    found = re.search(rf"\b({'|'.join(_WORDS)}) {unit}", _plain(answer))
    return _WORDS.index(found[1]) + 1.0 if found else None


def agrees(answer: str) -> bool:
    """Whether an answer is a yes."""
    answer = re.sub(r"\bwhy not\b", "", _plain(answer))
    return _says(_YES, answer) and not re.search(r"^no\b|[.!] no\b", _plain(answer))


def worries_about_photos(answer: str) -> bool:
    """Whether the user asks what becomes of photos."""
    return bool(re.search(r"\b(?:photo|picture)s?\b.*\?", _plain(answer), re.DOTALL))
