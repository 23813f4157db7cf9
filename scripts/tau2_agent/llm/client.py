"""A language model behind an API: asked with patience, within a budget, honest about failures.

Any model that litellm reaches, or any OpenAI-compatible server (`api_base`, model `openai/NAME`).
Keys come from the environment, where litellm looks for them; nothing here takes, keeps or shows
one. Left out: what is asked (users/llm_user.py, teachers/llm.py) and what was spent (ledger.py).
"""

from __future__ import annotations

import asyncio
import inspect
import json
import random
import time
from argparse import Namespace
from dataclasses import dataclass, field, fields
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from tau2_agent.llm import credentials
from tau2_agent.llm.failures import LLMFailure, classify, not_charged
from tau2_agent.llm.ledger import BudgetSpent, Call, Cost, Ledger
from tau2_agent.llm.permitted import address_fault, option_fault
from tau2_agent.llm.prices import at_price, longest_answer, price_of
from tau2_agent.llm.quiet import quiet_litellm

__all__ = [
    *("LLM", "Answer", "LLMFailure", "LLMSettings", "Ledger"),
    *("check_model", "settings_from_options"),
]

MOST_BACKOFF_S = 30.0


@dataclass(frozen=True)
class LLMSettings:
    """A model, how it is asked, and how much may be spent.

    max_tokens: of an answer. timeout_s: of one attempt. retries: further attempts. concurrency:
    calls in flight. budget_tokens: prompt and completion together. price: {"input": …, "output": …}
    in dollars per million tokens, for a model that litellm has no price of. options: further
    options of litellm. backoff_s: the mean first pause, doubled each time.
    """

    model: str
    api_base: str | None = None
    temperature: float = 0.0
    max_tokens: int | None = None
    timeout_s: float = 60.0
    retries: int = 5
    concurrency: int = 32
    budget_usd: float | None = None
    budget_tokens: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    price: dict[str, float] | None = None
    backoff_s: float = 1.0


def settings_from_options(options: Namespace, prefix: str, **instead: Any) -> LLMSettings:
    """The settings that a program was told, each as `PREFIX` and its name among the options.

    What the program has no option for keeps its default. instead: values that are told otherwise.
    """
    names = [one.name for one in fields(LLMSettings)]
    told = {n: getattr(options, f"{prefix}{n}") for n in names if hasattr(options, f"{prefix}{n}")}
    if price := told.get("price"):
        told["price"] = {"input": price[0], "output": price[1]}
    return LLMSettings(**{**told, **instead})


@dataclass(frozen=True)
class Answer:
    """`message`: role, content, and tool_calls if there are any, as OpenAI writes them.

    dollars: None when the model has no known price. seconds: of the attempt that was answered.
    """

    message: dict[str, Any]
    prompt_tokens: int
    completion_tokens: int
    dollars: float | None
    seconds: float
    cached_tokens: int = 0
    retries: int = 0


def check_model(settings: LLMSettings) -> None:
    """Refuse settings that cannot work, before anything is paid. Raises LLMFailure (fatal)."""
    litellm = quiet_litellm()
    if fault := option_fault(settings.options):
        raise LLMFailure("refused", f"option {fault}", fatal=True)
    if settings.api_base and (fault := address_fault(settings.api_base)):
        raise LLMFailure("refused", f"api_base {fault}", fatal=True)
    try:
        provider = litellm.get_llm_provider(settings.model, api_base=settings.api_base)[1]
    except Exception:
        raise LLMFailure(
            "refused",
            f"{settings.model}: unknown provider; write PROVIDER/MODEL as litellm does, or "
            "openai/NAME with an api_base for an OpenAI-compatible server",
            fatal=True,
        ) from None
    missing = credentials.missing(litellm, settings.model, provider)
    if missing and not settings.api_base:
        names = " or ".join(missing) if provider == "gemini" else ", ".join(missing)
        raise LLMFailure(
            "refused", f"{settings.model} needs {names} in the environment; set it", fatal=True
        )
    if settings.budget_usd is not None and price_of(settings.model, settings.price) is None:
        raise LLMFailure(
            "refused",
            f"{settings.model} has no known price, so a budget in dollars cannot be kept; give its "
            "price in dollars per million tokens, or a budget in tokens",
            fatal=True,
        )


class LLM:
    """A model that may be asked many things at once. May outlive an event loop."""

    _clients_loop: asyncio.AbstractEventLoop | None = None

    def __init__(self, settings: LLMSettings, ledger: Ledger | None = None) -> None:
        """Raises LLMFailure (fatal) for settings that cannot work; see `check_model`."""
        self.settings = settings
        self.ledger = ledger or Ledger()
        self._litellm = quiet_litellm()
        check_model(settings)
        self._budget = Cost(settings.budget_tokens, settings.budget_usd)
        self._price = price_of(settings.model, settings.price)
        self._max_tokens = settings.max_tokens
        if self._max_tokens is None and self._budget != Cost():
            self._max_tokens = longest_answer(settings.model)
        self._provider = self._litellm.get_llm_provider(settings.model, api_base=settings.api_base)[
            1
        ]
        credentials.allow_identities(self._litellm, self._provider)
        self._keyless = credentials.wants_no_key(self._litellm, settings.model, self._provider)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gate = asyncio.Semaphore(settings.concurrency)
        # Not the module's generator: trainers seed it, so that all jobs would try again together,
        # and a pause would be a draw of theirs.
        self._random = random.Random()

    async def complete(
        self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None = None
    ) -> Answer:
        """Ask once. An empty answer is an answer. Raises LLMFailure."""
        self._enter_loop()
        attempts = AsyncRetrying(
            stop=stop_after_attempt(self.settings.retries + 1),
            wait=self._pause,
            retry=retry_if_exception(lambda error: getattr(error, "passing", False)),
            reraise=True,
        )
        number = 0
        try:
            async for attempt in attempts:
                number = attempt.retry_state.attempt_number
                with attempt:
                    return await self._attempt(messages, tools, number)
        except LLMFailure as failure:
            failure.retries = number - 1
            raise
        raise AssertionError("tenacity ends with an answer or an exception")

    async def close(self) -> None:
        """Close the connections of this event loop."""
        clients = self._litellm.in_memory_llm_clients_cache
        for client in list(clients.cache_dict.values()):
            if inspect.iscoroutinefunction(close := getattr(client, "close", None)):
                await close()
        clients.flush_cache()

    def _enter_loop(self) -> None:
        # litellm finds clients by their loop's id, which a new loop may inherit: keep the old loop
        # alive until its clients are forgotten. All models of a process share the clients.
        loop = asyncio.get_running_loop()
        if loop is not LLM._clients_loop:
            self._litellm.in_memory_llm_clients_cache.flush_cache()
            LLM._clients_loop = loop
        if loop is not self._loop:
            self._loop = loop
            self._gate = asyncio.Semaphore(self.settings.concurrency)

    async def _attempt(self, messages: list, tools: list | None, number: int) -> Answer:
        most = self._most(messages, tools)
        try:
            async with (
                self._gate,
                self.ledger.call(self.settings.model, number, most, self._budget) as call,
            ):
                return await self._ask(messages, tools, call)
        except BudgetSpent as spent:
            raise LLMFailure("budget_spent", str(spent), fatal=True) from None

    async def _ask(self, messages: list, tools: list | None, call: Call) -> Answer:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self.settings.timeout_s):
                response = await self._litellm.acompletion(**self._request(messages, tools))
            seconds = time.perf_counter() - began
            answer = self._read(response, messages, tools, seconds, call.attempt - 1)
        except Exception as error:
            failure = classify(error, timeout_s=self.settings.timeout_s, provider=self._provider)
            if not_charged(error):
                call.free(failure.kind)
            # Its own chain may hold a URL with a key.
            raise failure from None
        call.settle(
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            cached_tokens=answer.cached_tokens,
            dollars=answer.dollars,
            seconds=answer.seconds,
        )
        return answer

    def _request(self, messages: list, tools: list | None) -> dict[str, Any]:
        settings = self.settings
        request = {
            "model": settings.model,
            "messages": messages,
            "temperature": settings.temperature,
            "timeout": settings.timeout_s,
            "max_retries": 0,
            "num_retries": 0,
            **settings.options,
        }
        if self._max_tokens is not None:
            request["max_tokens"] = self._max_tokens
        if tools:
            request |= {"tools": tools, "tool_choice": "auto"}
        if settings.api_base:
            request["api_base"] = settings.api_base
            if self._keyless:
                request["api_key"] = "none"  # a server of one's own wants none, the client does
        return request

    def _read(
        self, response: Any, messages: list, tools: list | None, seconds: float, retries: int
    ) -> Answer:
        message = response.choices[0].message
        plain: dict[str, Any] = {"role": "assistant", "content": message.content}
        if message.tool_calls:
            plain["tool_calls"] = [
                {
                    "id": None if call.id is None else str(call.id),  # some servers count
                    "type": "function",
                    "function": {
                        "name": call.function.name,
                        "arguments": call.function.arguments,
                    },
                }
                for call in message.tool_calls
            ]
        json.dumps(plain, ensure_ascii=False).encode()  # half a character: no file would take it
        usage = response.usage
        if not usage.prompt_tokens:  # a server that does not count: the nearest estimate
            count = self._litellm.token_counter
            usage.prompt_tokens = count(self.settings.model, messages=messages, tools=tools)
            usage.completion_tokens = count(self.settings.model, text=message.content or "")
        details = getattr(usage, "prompt_tokens_details", None)
        return Answer(
            plain,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            dollars=self._dollars(response),
            seconds=seconds,
            cached_tokens=getattr(details, "cached_tokens", None) or 0,
            retries=retries,
        )

    def _dollars(self, response: Any) -> float | None:
        if self._price is None:
            return None
        usage = response.usage
        if self.settings.price is not None:
            return at_price(self.settings.price, usage.prompt_tokens, usage.completion_tokens)
        try:  # its list knows of cached and of very long prompts
            return self._litellm.completion_cost(response, model=self.settings.model)
        except Exception:
            return at_price(self._price, usage.prompt_tokens, usage.completion_tokens)

    def _most(self, messages: list, tools: list | None) -> Cost:
        """The most that an answer can cost: no token is shorter than a byte."""
        if self._budget == Cost():
            return Cost()
        prompt = len(json.dumps([messages, tools], ensure_ascii=False).encode())
        dollars = None
        if self._price is not None:
            dollars = at_price(self._price, prompt, self._max_tokens)
        return Cost(prompt + self._max_tokens, dollars)

    def _pause(self, state: RetryCallState) -> float:
        asked = state.outcome.exception().wait_s
        most = min(MOST_BACKOFF_S, 2 * self.settings.backoff_s * 2 ** (state.attempt_number - 1))
        return asked + self._random.uniform(0, most)
