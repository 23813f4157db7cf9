"""What may be said of a language model in settings and options: an address, further options.

Both are written into logs, results and Snakemake's records. So neither may hold a key, and what is
wrong with one is said without repeating it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

WRITE = "write http://HOST:PORT/v1"
# Further options may change what is sampled, not who pays, where to, or how often.
RESERVED = {"model", "messages", "tools", "stream", "n", "timeout", "max_retries", "num_retries"}
RESERVED |= {"logprobs", "top_logprobs"}  # nobody reads them, and some servers send null
_SECRET = re.compile(r"api_?key|header|authorization|secret|password|credential", re.IGNORECASE)


def address_fault(text: str) -> str | None:
    """What is wrong with the address of a server, to follow its name; None if nothing is."""
    try:
        parts = urlsplit(text)
        bad = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
    except ValueError:  # brackets, a port that is no number
        bad = True
    if bad or re.search(r"\s", text):
        return f"is no address; {WRITE}"
    if "@" in parts.netloc or parts.query or parts.fragment:
        return (
            f"holds more than an address (a user, a password or a query), which logs and results "
            f"would show; {WRITE}, and keys into the environment"
        )
    return None


def option_fault(names: Iterable[str]) -> str | None:
    """Which of litellm's options cannot be given, and what to do; None if all can."""
    taken = sorted(name for name in names if name in RESERVED or _SECRET.search(name))
    if not taken:
        return None
    remedy = "keys go into the environment" if _SECRET.search(taken[0]) else "take it out"
    return f"{taken[0]} cannot be set here; {remedy}"
