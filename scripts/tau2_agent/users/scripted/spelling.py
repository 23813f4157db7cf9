"""Typing errors: an unknown word one letter away from exactly one known key word is that word.

Only long words are mended ("restrt", "togle", "airplnae"). Short ones would change their meaning:
"turn of" may be "turn off" or "turn on", so the user asks.
"""

from __future__ import annotations

import re
from functools import lru_cache

from tau2_agent.users.scripted.vocabulary import OBJECT, QUESTION_WORDS, words

_KEYS = words("""
    please could airplane mobile cellular roaming saver calling network preferred settings setting
    permission permissions storage messaging phone device status signal speed payment request switch
    toggle disable enable activate deactivate disconnect connect reconnect restart restarting reboot
    rebooting reset reseat reinsert remove grant check
""")
# Words that are none of the vocabulary's and yet no errors.
_WORDS = words("""
    rest resent rested roaring reseal witch twitch rant rants grand grants started star smart lane
    plane planes unable stables disables enables quest chick chuck cheek checks phones phoned devise
    devises advice states statue statute statuses speeds speedy payments repayment requests switches
    switchboard toggles togged connects reconnects networks signals signed single removes removed
    restarts restarted reboots rebooted resets reseats permissions stage callings falling calming
    culling sealing settling sitting savers savor server waver pleased pleas pleases plea cloud
    would should preferrer prefers restating restate
""")
_KNOWN = QUESTION_WORDS | OBJECT | _WORDS
_LONG = 7  # from here on a wrong letter inside is mended too, not only one too many or too few


_SLIPS = tuple(  # where no other word makes sense
    (re.compile(slip), meant)
    for slip, meant in (
        (r"\bteh\b", "the"),
        (r"\b(?:pleas|pleae|plase|plese)\b", "please"),
        (r"\b((?:re-?)?(?:start|boot|set|seat)|turn (?:on|off)|check|toggle) you (?=phone|device"
         r"|sim\b|apn|vpn|wi-?fi|mobile|data|network|status)", r"\1 your "),
        (r"\b(like|need|want|ask) you too (?=[a-z]+ (?:your|the|on|off|a)\b)", r"\1 you to "),
    )
)  # fmt: skip


def corrected(text: str) -> str:
    """The lower-case text with its typing errors mended."""
    for slip, meant in _SLIPS:
        text = slip.sub(meant, text)
    return re.sub(r"(?<![\w'])[a-z]{4,}(?![\w'])", lambda word: _word(word.group()), text)


@lru_cache(maxsize=8192)
def _word(word: str) -> str:
    if word in _KNOWN or word in _KEYS:
        return word
    near = {key for key in _KEYS if len(key) >= 5 and _one_slip(word, key)}
    return near.pop() if len(near) == 1 else word


def _one_slip(word: str, key: str) -> bool:
    """Whether a letter is missing, too many or, inside a long word, wrong, or two are swapped.

    A letter more at the end makes another form of the word ("toggles"), and no error.
    """
    same = next((n for n, (a, b) in enumerate(zip(word, key, strict=False)) if a != b), len(word))
    if len(word) == len(key):
        swapped = word[same + 1 : same + 2] + word[same : same + 1] == key[same : same + 2]
        if swapped and word[same + 2 :] == key[same + 2 :]:
            return True
        inside = 0 < same < len(key) - 1
        return len(key) >= _LONG and inside and word[same + 1 :] == key[same + 1 :]
    if len(word) == len(key) - 1:
        return word[same:] == key[same + 1 :]
    return len(word) == len(key) + 1 and same < len(key) and word[same + 1 :] == key[same:]
