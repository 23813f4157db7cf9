"""What a model does not take is not recorded as if it had been sent."""

from __future__ import annotations

import pytest

from tau2_agent.llm.client import LLMSettings
from tau2_agent.llm.sent import as_sent
from tau2_agent.users.registry import Users


@pytest.mark.parametrize(
    ("model", "options", "temperature", "sent"),
    [
        ("openai/gpt-5-mini", {"reasoning_effort": "low"}, None, {"reasoning_effort": "low"}),
        ("openai/o3-mini", {}, None, {}),
        ("openai/gpt-4.1", {"reasoning_effort": "low"}, 0.0, {"reasoning_effort": None}),
        ("gemini/gemini-2.5-flash-lite", {"top_k": 5}, 0.0, {"top_k": 5}),
        (
            "openai/mine",
            {"extra_body": {"a": 1}, "top_k": 5},
            0.0,
            {"extra_body": {"a": 1}, "top_k": 5},
        ),
        ("nobody", {"seed": 1}, 0.0, {"seed": 1}),
    ],
)
def test_what_litellm_drops_is_null(model, options, temperature, sent) -> None:
    settings = LLMSettings(model, options=options)
    found = as_sent(settings)
    assert found == {
        "model": model,
        "temperature": temperature,
        "max_tokens": None,
        "options": sent,
    }
    assert Users("llm", llm=settings).fingerprint_fields() == found
