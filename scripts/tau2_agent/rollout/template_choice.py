"""Which chat template a model is trained with: its own or another, and thinking switched off.

The choice is made once, when a model is fetched, and written into its folder; every later stage,
and whoever serves the trained model, finds one template there that needs no switches.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.rendering import TemplateError, TokenizerError, own_template
from tau2_agent.rollout.template_files import shipped_templates, template_text

_NO_THINKING = "enable_thinking = false"
# Switches by which templates keep in earlier turns what stood there: Qwen3.6, Nemotron 3, GLM-4.7.
_KEEPING = (
    "preserve_thinking = true",
    "truncate_history_thinking = false",
    "clear_thinking = false",
)


@dataclass(frozen=True)
class ChosenTemplate:
    """A template that passed, the switches that were put into its `text`, and its codec."""

    text: str
    switches: list[str]
    codec: ChatCodec


def choose_template(tokenizer: Any, wanted: str | None = None) -> ChosenTemplate:
    """A template that passes its trial. Raises TemplateError, which says what else would.

    wanted: a file, or the name of a shipped template; the tokenizer's own without.
    """
    try:
        text = own_template(tokenizer) if wanted is None else template_text(wanted)
        return _switched(tokenizer, text)
    except TokenizerError as error:
        raise TokenizerError(f"{error}; no chat template mends that, take another model") from error
    except TemplateError as error:
        fitting = [
            name
            for name in shipped_templates()
            if name != wanted and _passes(tokenizer, template_text(name))
        ]
        if fitting:
            advice = f"set model.chat_template to {' or '.join(fitting)}, shipped here"
        else:
            advice = "no template shipped here fits its tokenizer; give a file of your own"
            advice += " as model.chat_template, or take another model"
        raise TemplateError(f"{error}; {advice}") from error


def _switched(tokenizer: Any, text: str) -> ChosenTemplate:
    """The template with the switches that it needs, which stand in it from then on."""
    code = re.sub(r"\{#.*?#\}", "", text, flags=re.DOTALL)
    keeping = [switch for switch in _KEEPING if switch.split()[0] in code]
    ways = [[], keeping] if keeping else [[]]
    if _NO_THINKING.split()[0] in code:
        # Traces hold no reasoning, so none is better than a thought that is always empty.
        ways = [[_NO_THINKING, *way] for way in ways] + ways
    first: TemplateError | None = None
    for way in ways:
        switched = "".join(f"{{% set {switch} %}}" for switch in way) + text
        try:
            codec = ChatCodec(tokenizer, switched)
        except TemplateError as error:
            first = first or error
        else:
            return ChosenTemplate(switched, way, codec)
    assert first is not None
    raise first


def _passes(tokenizer: Any, text: str) -> bool:
    try:
        _switched(tokenizer, text)
    except TemplateError:
        return False
    return True
