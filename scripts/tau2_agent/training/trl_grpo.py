"""TRL's GRPO trainer where its own objective is not that of objective.py."""

from __future__ import annotations

import os
from typing import Any

import torch
from trl import GRPOTrainer

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"  # the rollout hook is what we use TRL for


class ObjectiveTrainer(GRPOTrainer):
    """Two differences of TRL 1.16 are mended, both in the batch before its loss is computed.

    - Advantages are those of the rollout function (`advantages`, one an episode, in its order).
      TRL's own have another epsilon (1e-4) and know no group that is smaller than the others.
    - The mean over tokens counts an episode without any as one token, as slime does.
    """

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        output = super()._generate_and_score_completions(inputs)
        given = torch.tensor(self.rollout_func.advantages, dtype=output["advantages"].dtype)
        if given.shape != output["advantages"].shape:
            raise ValueError(
                f"{len(given)} advantages for {len(output['advantages'])} episodes: one each"
            )
        output["advantages"] = given.to(output["advantages"].device)
        trained = output["completion_mask"] * output["tool_mask"]
        output["num_items_in_batch"] = trained.sum(1).clamp(min=1).sum()
        return output
