"""Who computes the next tokens: all that an episode knows of a model.

Behind it stand an SGLang server or slime's router (inference/sglang_client.py), and a transformers
model in this process (inference/transformers_policy.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tau2_agent.rollout.trajectory import Turn


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. Temperature 0 is greedy; `top_k` -1 keeps all tokens.

    seed: of the draws, where the server draws deterministically; None leaves it to the server.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = -1
    max_new_tokens: int = 1024
    seed: int | None = None


class Policy(Protocol):
    """All that an episode knows of a model."""

    async def generate(self, prompt: list[int], sampling: Sampling, session: str) -> Turn:
        """Continue `prompt`. Prompts of one session extend each other, so a prefix can be reused.

        Raises `PolicyFailure` when no answer is to be had.
        """
        ...
