"""slime's SFT data and loss masks beside the episode's own.

A model must be trained on the tokens that it will see and write in an episode. slime renders and
masks a conversation message by message, our codec turn by turn: on the same trace both must give
the same tokens and put the loss on the same ones. There is one difference, and it costs nothing:
slime also trains the line break that templates put after an answer's stop token.
"""

from __future__ import annotations

import importlib.util
from typing import Any

from tau2_agent.errors import PipelineError
from tau2_agent.training.slime.install import Install


class MaskMismatch(PipelineError):
    """slime would train on other tokens than an episode samples."""


def slime_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the traces as slime's SFT rollout wants them."""
    prepared = []
    for row in rows:
        messages = [dict(message) for message in row["messages"]]
        while messages and messages[-1]["role"] != "assistant":
            messages.pop()
        greeting = next((m for m in messages if m["role"] == "assistant"), None)
        if greeting is not None:
            greeting["step_loss_mask"] = 0  # slime's own switch; chat templates ignore it
        prepared.append({"messages": messages, "tools": row["tools"], "task_id": row["task_id"]})
    return prepared


def check_masks(rows: list[dict[str, Any]], codec: Any, install: Install) -> None:
    """Compare slime's tokens and loss mask with the codec's. Raises MaskMismatch."""
    generator = load_mask_generator(install)(codec.tokenizer, tokenizer_type="qwen3")
    for row in rows:
        theirs, mask = generator.get_loss_mask(row["messages"], tools=row["tools"] or None)
        ours = codec.trace(row["messages"], row["tools"])
        length = len(ours.ids)
        if theirs[:length] != ours.ids:
            pairs = enumerate(zip(theirs, ours.ids, strict=False))
            place = next((i for i, (a, b) in pairs if a != b), len(theirs))
            raise MaskMismatch(f"{row['task_id']}: slime renders other tokens from {place} on")
        after_stop = [False, *(i == codec.stop_id for i in ours.ids[:-1])]
        for place, (on, wanted) in enumerate(zip(mask, ours.loss_mask, strict=False)):
            if on != wanted and not (on and after_stop[place]):
                raise MaskMismatch(
                    f"{row['task_id']}: token {place} has loss {wanted} here, {on} in slime"
                )


def load_mask_generator(install: Install) -> Any:
    """slime's class for loss masks, without importing the rest of slime."""
    path = install.slime / "slime" / "utils" / "mask_utils.py"
    spec = importlib.util.spec_from_file_location("slime_mask_utils", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.MultiTurnLossMaskGenerator
