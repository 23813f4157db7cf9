"""What a model costs and how long its answers may be, from litellm's list."""

from __future__ import annotations

from collections.abc import Mapping

from tau2_agent.llm.quiet import quiet_litellm

LONGEST_ANSWER = 8192  # tokens, of a model of which no limit is known


def price_of(model: str, told: dict[str, float] | None = None) -> dict[str, float] | None:
    """A model's dollars per million tokens: as told, or from litellm's list; None: not known."""
    if told is not None:
        return told
    try:
        info = quiet_litellm().get_model_info(model)
    except Exception:
        return None
    prices = info.get("input_cost_per_token"), info.get("output_cost_per_token")
    if not all(prices):
        return None  # a zero in the list is a gap more often than a gift
    return {"input": prices[0] * 1e6, "output": prices[1] * 1e6}


def longest_answer(model: str) -> int:
    """Tokens of an answer at most, as far as litellm knows."""
    try:
        return quiet_litellm().get_model_info(model).get("max_output_tokens") or LONGEST_ANSWER
    except Exception:
        return LONGEST_ANSWER


def at_price(price: Mapping[str, float], prompt: int, completion: int) -> float:
    """Dollars for so many tokens."""
    return (prompt * price["input"] + completion * price["output"]) / 1e6
