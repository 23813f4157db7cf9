"""SFT data for slime, with tokens and loss masks made beforehand by the episode's own codec.

    --rollout-function-path tau2_agent.training.slime.sft_rollout.generate_rollout
    --prompt-data           what `prompt_rows` returns, as JSON lines
    --input-key index

In the place of `slime.rollout.sft_rollout`, which renders, tokenises and masks every trace again in
every epoch, for a few chat templates only. Which traces a rollout takes, their order in each epoch
and the position after a resumption stay with slime's data source. slime imports this module in its
rollout process; it imports nothing of slime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # tau2, which slime's process needs nothing of, takes seconds to import
    from tau2_agent.rollout.trajectory import TokenRecord


def prompt_rows(task_ids: list[str], records: list[TokenRecord]) -> list[dict[str, Any]]:
    """Return a line of slime's prompt data for each trace.

    slime calls everything after the first prompt the response; its loss mask is that long, 1 on
    what the teacher wrote, and begins with a 1.
    """
    return [
        {
            "index": index,
            "metadata": {
                "task_id": task_id,
                "tokens": record.ids,
                "loss_mask": record.loss_mask[record.prompt_length :],
            },
        }
        for index, (task_id, record) in enumerate(zip(task_ids, records, strict=True))
    ]


def generate_rollout(
    args: Any, rollout_id: int, data_buffer: Any, evaluation: bool = False
) -> list[list[Any]]:
    """Return the next `rollout_batch_size` traces as slime's samples, each in a list of its own."""
    if evaluation:
        raise ValueError("SFT has nothing to evaluate by a rollout; take --eval-interval away")
    groups = data_buffer.get_samples(args.rollout_batch_size)
    for (sample,) in groups:
        row = sample.metadata
        sample.tokens = row["tokens"]
        sample.loss_mask = row["loss_mask"]
        sample.response_length = len(sample.loss_mask)
        sample.reward = 0
        sample.metadata = {"task_id": row["task_id"]}  # the rest would be in every dump
    return groups
