"""What of a language model's settings is sent: litellm leaves out what a model does not take."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from tau2_agent.llm.client import LLMSettings
from tau2_agent.llm.quiet import quiet_litellm


def as_sent(settings: LLMSettings) -> dict[str, Any]:
    """Model, temperature, max_tokens and options, for records and keys.

    What litellm would drop is null: temperature 0 of a reasoning model, say, which answers at its
    own. Of a model that litellm does not know, all stands as it was asked for.
    """
    litellm = quiet_litellm()
    asked = {"temperature": settings.temperature, **settings.options}
    dropped: set[str] = set()
    try:
        model, provider, _, _ = litellm.get_llm_provider(settings.model, api_base=settings.api_base)

        def parameters(**values: Any) -> dict[str, Any]:  # litellm writes into what it is given
            return litellm.get_optional_params(
                model=model, custom_llm_provider=provider, drop_params=True, **deepcopy(values)
            )

        whole = parameters(**asked)
        for name in asked:
            if whole == parameters(**{key: asked[key] for key in asked if key != name}):
                dropped.add(name)
    except Exception:
        dropped = set()  # the first call says what is wrong
    sent = {name: None if name in dropped else value for name, value in asked.items()}
    return {
        "model": settings.model,
        "temperature": sent.pop("temperature"),
        "max_tokens": settings.max_tokens,
        "options": sent,
    }
