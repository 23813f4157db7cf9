"""Why a language model did not answer, read from what litellm raises.

litellm gives a broken connection and an unreadable answer the status 500 of a server's own error,
so the exceptions behind its own decide. Texts of failures hold no value of any variable that looks
like a secret: providers repeat keys in messages and addresses.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from tau2_agent.errors import PipelineError, without_address_secrets
from tau2_agent.llm import credentials

LONGEST_WAIT_S = 120.0  # a provider that asks for more is not waited for
_RETRIED = {"rate_limited", "timeout", "server_error", "bad_answer", "broke_protocol"}
_SECRET = re.compile(r"key|token|secret|password|credential", re.IGNORECASE)
# Names of exceptions of httpx, aiohttp and openai.
_NEVER_SENT = {"ConnectError", "ConnectTimeout", "ClientConnectorError"}
_BROKEN = {"APIConnectionError", "ReadError", "RemoteProtocolError", "ClientPayloadError"}
_HTTP_STATUS = {"HTTPStatusError"}
_NO_COMPLETION = "Invalid response object"  # litellm's words
_NO_JSON = "'str' object has no attribute 'model_dump'"


class LLMFailure(PipelineError):
    """No answer. kind: refused, rate_limited, timeout, server_error, bad_answer, broke_protocol,
    budget_spent.

    bad_answer: cut, or no JSON. broke_protocol: JSON in another form than a chat completion's.
    fatal: no other call will fare better (no or a wrong key, no such model, budget spent), so the
    job should stop. retries: attempts after the first.
    """

    def __init__(self, kind: str, detail: str, *, fatal: bool = False, retries: int = 0) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail
        self.fatal = fatal
        self.retries = retries
        self.wait_s = 0.0  # what the provider asked for

    @property
    def passing(self) -> bool:
        """Whether the same call may be answered a little later."""
        return self.kind in _RETRIED and self.wait_s <= LONGEST_WAIT_S


def classify(error: Exception, *, timeout_s: float, provider: str) -> LLMFailure:
    """Name what a call raised. provider: litellm's name of who was asked."""
    status = getattr(error, "status_code", None)
    names = _names(error)
    text = _one_line(without_secrets(f"{type(error).__name__}: {error}"))
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__ or status == 408:
        return LLMFailure("timeout", f"no answer in {timeout_s:g} s")
    if status == 429 and "insufficient_quota" not in text:
        failure = LLMFailure("rate_limited", text)
        failure.wait_s = _retry_after(error)
        return failure
    if remedy := credentials.remedy(provider, text):
        return LLMFailure("refused", f"{text.rstrip('.')}. {remedy}", fatal=True)
    if isinstance(status, int) and 400 <= status < 500:
        if status in (401, 403):
            text += f". Is {credentials.takes(provider)} right, and may it use this model?"
        return LLMFailure("refused", text, fatal=status in (401, 402, 403, 404, 429))
    if _NO_JSON in text:
        return LLMFailure("bad_answer", "the answer is no JSON, or was cut")
    if _NO_COMPLETION in text:  # litellm's own traceback says nothing to people
        return LLMFailure("broke_protocol", "the answer is no chat completion as OpenAI defines it")
    if not names & (_NEVER_SENT | _BROKEN | _HTTP_STATUS):
        return LLMFailure("bad_answer", text)
    failure = LLMFailure("server_error", text)
    failure.wait_s = _retry_after(error)
    return failure


def not_charged(error: Exception) -> bool:
    """Whether the provider refused, or never saw, the request; else it may have been charged."""
    return bool(_names(error) & (_NEVER_SENT | _HTTP_STATUS))


def _retry_after(error: Exception) -> float:
    """Seconds that the provider asks to wait; 0 if it says nothing."""
    for cause in _chain(error):
        response = getattr(cause, "response", None)
        for headers in (
            getattr(cause, "litellm_response_headers", None),
            getattr(response, "headers", None),
            getattr(cause, "headers", None),
        ):
            if isinstance(headers, Mapping):
                value = {str(k).lower(): v for k, v in headers.items()}.get("retry-after")
                try:
                    return max(0.0, float(value))
                except (TypeError, ValueError):
                    continue
    return 0.0


def _names(error: Exception) -> set[str]:
    return {type(cause).__name__ for cause in _chain(error)}


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _one_line(text: str) -> str:
    """The text without the traceback that litellm adds, at most 400 characters long."""
    return " ".join(text.split("Traceback (most recent call last)")[0].split())[:400]


def without_secrets(text: str) -> str:
    """The text without the values of environment variables that look like secrets."""
    for name, value in os.environ.items():
        if len(value) >= 8 and _SECRET.search(name):
            text = text.replace(value, f"[{name}]")
    return without_address_secrets(text)
