"""slime's router as an episode's policy: patient, sticky, and telling what slime wants to know.

Elsewhere: the episodes (generate_with_tau.py), and which engines the router has (arguments.py).
"""

from __future__ import annotations

import base64
import time
from contextvars import ContextVar
from typing import Any

from tau2_agent.inference.sglang_client import SGLangPolicy
from tau2_agent.rollout.policy import Policy, Sampling
from tau2_agent.rollout.trajectory import PolicyFailure, Turn

PATIENCE_S = 60.0  # of a request while nothing answers, as slime's own
# What the server said of each turn of the episode that this task plays.
ANSWERS: ContextVar[list[dict[str, Any]]] = ContextVar("answers")


class Router(SGLangPolicy):
    """slime's router; what it says of each answer is kept for slime's own metrics.

    Requests wait as long as slime takes to notice that an engine is dead, and stop when the rollout
    has enough samples.
    """

    def __init__(self, args: Any, stop_ids: tuple[int, ...]) -> None:
        url = f"http://{args.sglang_router_ip}:{args.sglang_router_port}"
        super().__init__(url, stop_ids, patience_s=patience(args))
        self.args = args

    def _request(self, prompt: list[int], sampling: Sampling) -> dict[str, Any]:
        request = super()._request(prompt, sampling)
        if option(self.args, "use_rollout_routing_replay", False):
            answers = ANSWERS.get()
            request["return_routed_experts"] = True
            # What earlier turns said needs no sending again: 15 MB an episode, not a turn.
            request["routed_experts_start_len"] = _length(answers[-1]) - 1 if answers else 0
        return request

    async def _post(self, request: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        if rollout_state(self.args).aborted:
            raise PolicyFailure("the rollout is full; the rest of this episode is not needed")
        return await super()._post(request, headers)

    def _read(self, answer: dict[str, Any]) -> Turn:
        turn = super()._read(answer)
        ANSWERS.get().append(answer["meta_info"])
        return turn


def patience(args: Any) -> float:
    """Seconds that a request waits while nothing answers: an engine may have to be found dead."""
    if not option(args, "use_fault_tolerance", False):
        return PATIENCE_S
    return PATIENCE_S + args.rollout_health_check_interval + args.rollout_health_check_timeout


def _length(answer: dict[str, Any]) -> int:
    """Tokens of a turn's prompt and answer together."""
    return answer["prompt_tokens"] + len(answer["output_token_logprobs"])


class Timed:
    """A policy that measures its own time."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.seconds = 0.0

    async def generate(self, prompt: list[int], sampling: Sampling, session: str) -> Turn:
        began = time.perf_counter()
        try:
            return await self.policy.generate(prompt, sampling, session)
        finally:
            self.seconds += time.perf_counter() - began


def routed_experts(answers: list[dict[str, Any]]) -> bytes | None:
    """The experts that each token but the last went to, as the engine said turn by turn.

    int32, tokens × layers × experts a token; None where no turn has any. slime replays them in
    training, or a token's probability would be that of other experts than it was sampled with.
    """
    parts = [answer.get("routed_experts") for answer in answers]
    if not parts or None in parts:
        return None
    return b"".join(base64.b64decode(part) for part in parts)


def rollout_state(args: Any) -> Any:
    """slime's own state of a rollout process: its tokenizer, and whether it has enough."""
    from slime.rollout.sglang_rollout import GenerateState

    return GenerateState(args)


def option(args: Any, name: str, default: Any) -> Any:
    """slime sets options that were not given to None."""
    value = getattr(args, name, None)
    return default if value is None else value
