"""What language models cost, in words for people: tokens, dollars, or that the price is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NO_PRICE = "unknown price"


def dollars(amount: float | None) -> str:
    """An amount, with as many digits as it needs; None is an unknown price, which is not zero."""
    if amount is None:
        return NO_PRICE
    if amount and amount < 0.01:
        return f"${amount:.2g}"
    return f"${amount:,.2f}"


def tokens(count: float) -> str:
    """A number of tokens, to three digits."""
    for size, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= size:
            return f"{count / size:.3g}{name}"
    return f"{count:.0f}"


def spending(who: str, total: Mapping[str, Any]) -> str:
    """One line on what a ledger's `total()` says."""
    line = (
        f"{who}: {total['calls']} calls, {tokens(total['prompt_tokens'])} prompt tokens "
        f"({tokens(total['cached_tokens'])} cached), "
        f"{tokens(total['completion_tokens'])} completion tokens, {dollars(total['dollars'])}"
    )
    failed = ", ".join(f"{kind} {count}" for kind, count in total["failed_calls"].items())
    return line + (f"; failed calls: {failed}" if failed else "")
