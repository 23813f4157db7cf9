"""What SFT learns from: each trace as the token stream that its episode would have had.

The episode's own codec makes it once, before training begins. Both backends take it as it is: TRL
as labels, slime as the tokens and loss masks of its samples.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tau2_agent.benchmark.environment import system_prompt
from tau2_agent.errors import InputError
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.trajectory import TokenRecord

IGNORED = -100  # a label that TRL, like PyTorch's cross entropy, puts no loss on


def token_records(
    rows: list[dict[str, Any]], codec: ChatCodec, max_length: int
) -> list[TokenRecord]:
    """Return the token stream and loss mask of each trace, in order.

    rows: traces with `task_id`, `messages` and `tools`. Raises InputError if a trace is longer than
    `max_length` tokens (cut, it would teach the model to stop half-way), or has nothing to learn.
    """
    records = []
    for row in rows:
        record = codec.trace(row["messages"], row["tools"])
        if len(record.ids) > max_length:
            raise InputError(
                f"the trace of {row['task_id']} has {len(record.ids)} tokens, sft.max_length is "
                f"{max_length}; raise it, or leave that trace out"
            )
        if not any(record.loss_mask):
            raise InputError(
                f"the trace of {row['task_id']} has no answer after the greeting; leave it out"
            )
        records.append(record)
    return records


def labels(record: TokenRecord) -> list[int]:
    """The token ids, and -100 where the loss mask is 0: what TRL reads."""
    return [i if on else IGNORED for i, on in zip(record.ids, record.loss_mask, strict=True)]


def check_prompt(rows: list[dict[str, Any]], prompt: str, path: Path) -> None:
    """Raise InputError unless every trace has the system prompt that episodes will have."""
    wanted = {"role": "system", "content": system_prompt(prompt)}
    for row in rows:
        if row["messages"][0] != wanted:
            raise InputError(
                f"{path}: the trace of {row['task_id']} has another system prompt than "
                f"prompt {prompt!r}; make the traces again with --prompt {prompt}"
            )
