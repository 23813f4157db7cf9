"""A message as plain lower-case lines: what typography and markdown add is taken away, once.

Every reader after this one may rely on ASCII hyphens, quotes and spaces, and on list items that
are marked as such. Nothing is interpreted here but the form.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import NamedTuple

from tau2_agent.users.scripted.lexicon import VERB_WORDS
from tau2_agent.users.scripted.spelling import corrected

_LONG_DASHES = "\u2013\u2014\u2015\u2e3a\u2e3b"
_QUOTES = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u2032\u00b4\uff07\u2039\u203a", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb\u300c\u300d", '"'),
    }
)
_ARROWS = "\u2192\u2794\u279c\u21d2\u25b8\u25ba\u25b6\u203a\u00bb\u27a1\ufe0f"
_DONE_MARKS = "\u2611\u2705\u2713\u2714\u2612"
_CROSSES = "\u274c\u2715\u2716\u2717\u2718\u26d4\u00d7\U0001f6ab\U0001f6d1\U0001f44e"
_CROSSED = re.compile(rf"^[\s>*.)\d-]*[{_CROSSES}]|[{_CROSSES}][\s\ufe0f.!*]*$")
_BULLETS = "*\u2022\u2023\u25e6\u25aa\u25ab\u25cf\u25cb\u25a0\u25a1\u25b6\u27a1\u2192\u2610\u00b7+-"
_ITEM = re.compile(
    rf"^\s*(?:(?P<bullet>[{re.escape(_BULLETS)}](?=\s|\W*\w)|[{_DONE_MARKS}]\s*)"
    r"|\(?(?:\d{1,2}|[a-h]|[ivx]{1,4})[.):](?=\s)|(?:\w+ )?step \d{1,2}(?: of \d{1,2})?"
    r"[.):,]?(?=\s))\s*",
    re.IGNORECASE,
)
_BOX = re.compile(r"^\s*\[(?P<mark>[ x]?)\]\s*", re.IGNORECASE)
_INLINE_ITEM = re.compile(r"(?<=\s)\(?([1-9])[.)]\s+(?=[^\d\s])")


_ROW = re.compile(r"\s*\|.*\|\s*$")
_RULE = re.compile(r":?-+:?")
_NUMBER = re.compile(r"(?:step )?#?\d{1,2}[.)]?|#|no\.?|number|step", re.IGNORECASE)
_STEPS = re.compile(
    r"(?:actions?|steps?|instructions?|what (?:you (?:need to|should) )?(?:to )?do|please do|to do"
    r"|tasks?)(?: (?:to take|for you|needed))?",
    re.IGNORECASE,
)


class Line(NamedTuple):
    """A line of a message.

    `item`: of a list; `done`: one that is ticked off; `quoted`: of a block quotation.
    """

    text: str
    item: bool = False
    done: bool = False
    quoted: bool = False


def lines(text: str) -> list[Line]:
    """The lines of a message that say anything, in order."""
    rows = _without_tables(_plain(text).split("\n"))
    told: list[Line] = []
    for line in filter(lambda line: line.text, map(_line, rows)):
        cut = told and not line.item and _CUT_SHORT.fullmatch(told[-1].text)
        if cut:
            told[-1] = told[-1]._replace(text=f"{told[-1].text.rstrip(' .!:,-')} {line.text}")
        else:
            told.append(line)
    return told


_CUT_SHORT = re.compile(  # a line that denies what the next one says: "don't", "please do not"
    r"(?:(?:please|kindly|just|so|and|but|now|again|you) )*"
    r"(?:do not|don't|dont|never|not|avoid|must not|mustn't|should not|shouldn't)\W*"
    r"|.*(?<!if )(?<!or )(?:\b(?:not|never|without)|n't)[\s:,-]*"
)

_SMILE = re.compile(  # ends a sentence: "happy to help 🙂 Could you ..."
    "(?<=[a-z]) ?(?:[\u2600-\u26ff\U0001f300-\U0001faff]\ufe0f?|[:;]-?\\))+ "
    "(?=(?:Please|Could|Can|Would|Will|Let|Now|Next|First|Then|If|Once|After|I|We|Thanks?)\\b)"
)


def _without_tables(rows: list[str]) -> list[str]:
    """The rows with tables of steps as lists; another table is one unread row, "| a | b |"."""
    plain: list[str] = []
    place = 0
    while place < len(rows):
        end = place
        while end < len(rows) and _ROW.match(rows[end]):
            end += 1
        table = [[cell.strip() for cell in row.strip(" |").split("|")] for row in rows[place:end]]
        if len(table) > 2 and all(_RULE.fullmatch(cell) for cell in table[1]):
            steps = [[cell for cell in row if not _NUMBER.fullmatch(cell)] for row in table]
            heading, _, *steps = steps
            are_steps = all(_STEPS.fullmatch(cell) for cell in heading)
            if are_steps and all(len(row) == 1 for row in steps):
                plain += ["please follow these steps:", *(f"- {row[0]}" for row in steps)]
            else:
                plain.append(f"table {' '.join(rows[place:end])}")
        elif end > place:
            plain += rows[place:end]
        else:
            plain.append(rows[place])
        place = max(end, place + 1)
    return plain


def _plain(text: str) -> str:
    text = re.sub(
        rf"(?<=\S)[ \u00a0]*[{_ARROWS}]+[ \u00a0]*(?=\w)",
        " > ",
        text,
    )
    text = unicodedata.normalize("NFKC", html.unescape(text).replace("\u20e3", "."))
    text = re.sub(r"~~.*?~~|<(?:s|del|strike)>.*?</(?:s|del|strike)>", "", text, flags=re.DOTALL)
    text = re.sub(r"</?(?:br|p|li|ul|ol|div)\b[^<>]*>", "\n", text, flags=re.IGNORECASE)
    text = re.sub(r"</?[a-z]\w*(?:\s[^<>]*)?/?>", "", text, flags=re.IGNORECASE)
    text = re.sub(r"!?\[([^\[\]\n]{2,80})\]\([^()\s]*\)", r"\1", text)
    text = re.sub(rf"\s*[{_LONG_DASHES}]+\s*(?![\s\w]*\n)", _dash, text)
    text = _SMILE.sub(". ", text)
    text = "".join(_character(character) for character in text.translate(_QUOTES))
    text = re.sub(r"(?<=\w)`(?=(?:t|s|re|ve|ll|d|m)\b)", "'", text)
    text = corrected(text.lower())
    numbers = _INLINE_ITEM.findall(" " + text)
    if numbers[:2] == ["1", "2"]:
        text = _INLINE_ITEM.sub(r"\n\1. ", " " + text)
    return text


def _dash(found: re.Match[str]) -> str:
    """A long dash between words parts a sentence; one inside a name ("4G\u20135G") is a hyphen."""
    tight = found.group() == "\u2013"
    return "-" if tight else " - "


def _character(character: str) -> str:
    if character in "\n":
        return character
    category = unicodedata.category(character)
    if category == "Pd" or character == "\u2212":
        return "-"
    if category in ("Zl", "Zp") or character in "\r\v\f":
        return "\n"
    if category == "Zs" or character == "\t":
        return " "
    return "" if category in ("Cf", "Cc", "Mn", "Me", "Cs", "Co") else character


def _line(row: str) -> Line:
    item = done = False
    row = re.sub(rf"(?<=[.!?:,] )[{_CROSSES}]\ufe0f? ?(?=[a-z])", "do not ", row)
    quoted = bool(re.match(r"\s*>", row))
    crossed = _CROSSED.search(row)
    if crossed:
        row = re.sub(rf"[{_CROSSES}]", "", row)
    row = re.sub(r"^[\s>#]+", "", row)
    row = re.sub(r"^\*\*(?=\w)|^__(?=\w)", "", row)  # bold, not a bullet
    for _ in range(3):  # "1. - [ ] ..."
        if found := _ITEM.match(row):
            item = True
            done = done or any(mark in found.group() for mark in _DONE_MARKS)
        elif found := _BOX.match(row):
            item = True
            done = done or bool(found["mark"].strip())
        else:
            break
        row = row[found.end() :]
        row = re.sub(r"^\*\*(?=\w)|^__(?=\w)", "", row)
    row = re.sub(r"[*`#]+|(?<!\w)_+|_+(?!\w)", "", row)
    row = "".join(c for c in row if ord(c) < 0x2190 or unicodedata.category(c) not in ("So", "Sk"))
    row = re.sub(r"[ ]+", " ", row).strip()
    if crossed and VERB_WORDS.match(row.removeprefix("please ")):
        row = f"do not {row}"
    return Line(row, item, done, quoted)
