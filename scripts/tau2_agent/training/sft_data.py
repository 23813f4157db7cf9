"""Teacher traces as training data: the episode's own tokens, a loss mask, the right prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tau2_agent.benchmark.environment import system_prompt
from tau2_agent.errors import InputError


def tokenised(rows: list[dict[str, Any]], codec, max_length: int) -> list[dict[str, list[int]]]:
    """`input_ids` and `labels` of each trace; labels are -100 where the loss mask is 0.

    Raises InputError if a trace is longer than `max_length` tokens: cut, it would teach the model
    to stop half-way.
    """
    samples = []
    for row in rows:
        record = codec.trace(row["messages"], row["tools"])
        if len(record.ids) > max_length:
            raise InputError(
                f"the trace of {row['task_id']} has {len(record.ids)} tokens, sft.max_length is "
                f"{max_length}; raise it, or leave that trace out"
            )
        labels = [i if on else -100 for i, on in zip(record.ids, record.loss_mask, strict=True)]
        samples.append({"input_ids": record.ids, "labels": labels})
    return samples


def check_prompt(rows: list[dict[str, Any]], prompt: str, path: Path) -> None:
    """The traces' system prompt must be the one that episodes will have."""
    for row in rows:
        if row["messages"][0] != {"role": "system", "content": system_prompt(prompt)}:
            raise InputError(
                f"{path}: the trace of {row['task_id']} has another system prompt than "
                f"prompt {prompt!r}; make the traces again with --prompt {prompt}"
            )
