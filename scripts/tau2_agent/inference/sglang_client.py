"""A policy behind an SGLang server or router: token ids in, token ids and log probs out."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import aiohttp
import orjson

from tau2_agent.rollout.event_loop import own_pass
from tau2_agent.rollout.policy import Sampling
from tau2_agent.rollout.trajectory import PolicyFailure, Turn

WARM_UP_S = 900.0  # kernels are compiled, graphs captured; weights may come over a network
KEEP_ALIVE_S = 4.0  # SGLang closes a connection that was idle for 5 s
SHORT = aiohttp.ClientTimeout(total=10.0)
# What a request ends in when no whole answer comes.
NO_ANSWER = (aiohttp.ClientError, TimeoutError, OSError)


class _Retryable(Exception):
    """A failure that another attempt may not have."""


class SGLangPolicy:
    """An SGLang server or router: token ids in, token ids and log probs out.

    Retries connection errors, time-outs, 429 and 5xx with back-off, `attempts` times and at least
    for `patience_s`; anything else, and the last failure, is a `PolicyFailure`. A request that the
    server aborts is one too. A time-out is `timeout_s` without a byte.

    aiohttp, because a turn costs it the same however many there are at once. httpx's pool looks at
    each connection for each request: 11 ms of CPU a turn with 160 episodes, for which all wait.
    """

    def __init__(
        self,
        url: str,
        stop_ids: tuple[int, ...],
        *,
        attempts: int = 5,
        patience_s: float = 0.0,
        timeout_s: float = 300.0,
        max_wait_s: float = 20.0,
    ) -> None:
        self.url = url.rstrip("/")
        self.stop_ids = stop_ids
        self.attempts = attempts
        self.patience_s = patience_s
        self.max_wait_s = max_wait_s
        self.timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._random = random.Random()  # a retry must not move the draws of a training

    async def generate(self, prompt: list[int], sampling: Sampling, session: str) -> Turn:
        """See `Policy.generate`."""
        request = self._request(prompt, sampling)
        # slime's router keeps a session on one engine by this header, SGLang's by the same.
        headers = {"X-SMG-Routing-Key": session}
        # Written out: tenacity makes a dozen objects in a circle for each request, a tenth of a
        # turn's CPU time, and work for the garbage collector, which stops all episodes.
        began, attempt = time.monotonic(), 0
        while True:
            attempt += 1
            try:
                answer = await self._post(request, headers)
                break
            except _Retryable as failure:
                if attempt >= self.attempts and time.monotonic() - began >= self.patience_s:
                    raise PolicyFailure(
                        f"{self.url}: {failure} ({attempt} attempts); is the server still running?"
                    ) from failure
            most = min(0.5 * 2 ** (attempt - 1), self.max_wait_s)
            await asyncio.sleep(self._random.uniform(0, most))
        await own_pass()  # hundreds may be answered at once
        return self._read(answer)

    async def check(self, warm_up_s: float = WARM_UP_S) -> bool:
        """Ask the server for a sign of life, and wait while it warms up, which is a 503.

        Returns whether it had to wait. Raises `PolicyFailure` with what to do when no server
        answers, or it still says 503 after `warm_up_s`.
        """
        began, waited = time.monotonic(), False
        try:
            while True:
                async with self._connections().get(f"{self.url}/health", timeout=SHORT) as response:
                    if response.status != 503 or time.monotonic() - began > warm_up_s:
                        response.raise_for_status()
                        return waited
                if not waited:
                    print(f"{self.url} is warming up; waiting", flush=True)
                waited = True
                await asyncio.sleep(min(1.0, warm_up_s))
        except NO_ANSWER as error:
            raise PolicyFailure(
                f"no SGLang server answers at {self.url} ({type(error).__name__}); start one with "
                f"`python -m sglang.launch_server --model-path CHECKPOINT --port "
                f"{self.url.rsplit(':', 1)[-1]}`, or leave the port out"
            ) from error

    async def server_info(self) -> dict[str, Any]:
        """What the server says of itself, its arguments among it. Raises PolicyFailure."""
        try:
            async with self._connections().get(f"{self.url}/get_server_info") as response:
                response.raise_for_status()
                return dict(orjson.loads(await response.read()))
        except (*NO_ANSWER, ValueError, TypeError) as error:
            raise PolicyFailure(
                f"{self.url} does not say how it serves ({type(error).__name__} at "
                "/get_server_info); is this an SGLang server of the pinned version?"
            ) from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session:
            await self._session.close()

    def _connections(self) -> aiohttp.ClientSession:
        """Those of this policy, made by the first request, since they belong to its event loop.

        No proxy from the environment is asked (aiohttp's default): it would swallow requests to
        localhost.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=10.0, sock_read=self.timeout_s
                ),
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
            )
        return self._session

    def _request(self, prompt: list[int], sampling: Sampling) -> dict[str, Any]:
        """What is sent for one turn."""
        parameters: dict[str, Any] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "max_new_tokens": sampling.max_new_tokens,
            "stop_token_ids": list(self.stop_ids),
            "skip_special_tokens": False,
            "spaces_between_special_tokens": False,
            "no_stop_trim": True,
        }
        if sampling.seed is not None:
            parameters["sampling_seed"] = sampling.seed
        return {"input_ids": prompt, "sampling_params": parameters, "return_logprob": True}

    async def _post(self, request: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        body = orjson.dumps(request)
        headers = {**headers, "Content-Type": "application/json"}
        try:
            async with self._connections().post(
                f"{self.url}/generate", data=body, headers=headers
            ) as response:
                status, content = response.status, await response.read()
        except NO_ANSWER as error:
            raise _Retryable(f"{type(error).__name__} {error}".strip()) from error
        text = content[:500].decode("utf-8", errors="replace")
        if status == 429 or status >= 500:
            raise _Retryable(f"HTTP {status}: {text[:200]}")
        if status != 200:
            raise PolicyFailure(f"{self.url}: HTTP {status}: {text}")
        try:
            return orjson.loads(content)
        except ValueError as error:
            raise _Retryable(f"an answer that is no JSON: {text[:200]}") from error

    def _read(self, answer: dict[str, Any]) -> Turn:
        try:
            meta = answer["meta_info"]
            reason = meta["finish_reason"]["type"]
            pairs = [(int(item[1]), float(item[0])) for item in meta["output_token_logprobs"]]
        except (KeyError, TypeError, IndexError, ValueError) as error:
            raise PolicyFailure(
                f"{self.url}: the answer has no finish reason or no token log probs; "
                "is this an SGLang server of the pinned version?"
            ) from error
        if reason not in ("stop", "length"):
            raise PolicyFailure(f"{self.url}: the request ended with {reason!r}")
        return Turn([token for token, _ in pairs], [log_prob for _, log_prob in pairs], reason)
