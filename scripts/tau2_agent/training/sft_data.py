"""What SFT learns from: each trace as the token stream that its episode had, or would have had.

The episode's own codec makes it once, before training begins. Both backends take it as it is: TRL
as labels, slime as the tokens and loss masks of its samples. A trace that a model of ours wrote
(rejection sampling) brings the tokens of its turns as they were sampled: made again from the text
they could be others, since a text has several spellings in tokens and JSON has several in text.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tau2_agent.benchmark.environment import system_prompt
from tau2_agent.benchmark.tasks import read_task_file
from tau2_agent.errors import InputError
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.trajectory import TokenRecord
from tau2_agent.teachers.trace_schema import require_trace

IGNORED = -100  # a label that TRL, like PyTorch's cross entropy, puts no loss on


def token_records(
    rows: list[dict[str, Any]], codec: ChatCodec, max_length: int
) -> list[TokenRecord]:
    """Return the token stream and loss mask of each trace, in order.

    rows: traces with `task_id`, `messages` and `tools`, and `sampled` where a model wrote them: the
    token ids of each assistant message after the greeting. Raises InputError if a trace is longer
    than `max_length` tokens (cut, it would teach the model to stop half-way), has nothing to learn,
    or if its tokens do not say what its messages say.
    """
    records = []
    for row in rows:
        sampled = row.get("sampled")
        if sampled is not None:
            try:
                codec.check_sampled(row["messages"], sampled)
            except ValueError as fault:
                raise InputError(
                    f"the trace of {row['task_id']} was sampled with another tokenizer than that "
                    f"of the model to be trained, or was edited ({fault}); sample it again"
                ) from None
        record = codec.trace(row["messages"], row["tools"], sampled)
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


def read_traces(paths: Sequence[Path], prompt: str) -> list[dict[str, Any]]:
    """The traces of all files, in order.

    Raises InputError unless every one is a trace with the system prompt that episodes will have,
    and `benchmark.tasks.TaskFileError` for a line that is nothing of the kind.
    """
    wanted = {"role": "system", "content": system_prompt(prompt)}
    rows = []
    for path in paths:
        for task_id, row in read_task_file(path):
            require_trace(row, f"{path}, {task_id}")
            if row["messages"][0] != wanted:
                raise InputError(
                    f"{path}: the trace of {task_id} has another system prompt than "
                    f"prompt {prompt!r}; make the traces again with --prompt {prompt}"
                )
            rows.append(row)
    return rows
