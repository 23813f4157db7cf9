"""One real request to each language model that a run will ask: key, address, model name, quota.

Left out: what the models are asked later (llm_user.py, llm_teacher.py), and waiting for one that
is not there: a single attempt tells what is wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace

from tau2_agent.llm.client import LLM, LLMFailure, LLMSettings
from tau2_agent.preflight.checks import Finding

QUESTION = [{"role": "user", "content": "Answer with the one word: ready"}]
TIMEOUT_S = 30.0


def model_findings(models: Mapping[str, LLMSettings]) -> Iterator[Finding]:
    """Ask each model once. models: section of the configuration -> how it is asked."""
    for section, settings in models.items():
        try:
            answer = asyncio.run(_ask(replace(settings, retries=0, timeout_s=TIMEOUT_S)))
        except LLMFailure as failure:
            text = f"{section}.model {settings.model} does not answer: {failure.detail}"
            yield Finding("failure", "language model", text)
        else:
            text = f"{section}.model {settings.model} answers in {answer.seconds:.1f} s"
            yield Finding("ok", "language model", text)


async def _ask(settings: LLMSettings):
    model = LLM(settings)
    try:
        return await model.complete(QUESTION)
    finally:
        await model.close()
