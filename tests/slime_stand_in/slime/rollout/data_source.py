"""slime's data source: prompts from JSON lines, shuffled anew in each epoch.

Written anew from what slime 624b824a8's `RolloutDataSource` and `Dataset` do.
"""

import copy
import json
import random
from pathlib import Path

from slime.utils.types import Sample


class RolloutDataSource:
    def __init__(self, args) -> None:
        self.args = args
        rows = map(json.loads, Path(args.prompt_data).read_text(encoding="utf-8").splitlines())
        self.origin = [
            Sample(prompt=row.get(args.input_key), metadata=row.get("metadata") or {})
            for row in rows
        ]
        self.epoch_id = self.sample_offset = self.sample_index = 0
        self._shuffle()

    def get_samples(self, number: int) -> list[list[Sample]]:
        taken = self.samples[self.sample_offset : self.sample_offset + number]
        self.sample_offset += len(taken)
        if len(taken) < number:
            self.epoch_id += 1
            self._shuffle()
            self.sample_offset = number - len(taken)
            taken = taken + self.samples[: self.sample_offset]
        groups = []
        for prompt in taken:
            sample = copy.deepcopy(prompt)
            sample.group_index = sample.index = self.sample_index
            self.sample_index += 1
            groups.append([sample])
        return groups

    def _shuffle(self) -> None:
        order = list(range(len(self.origin)))
        random.Random(self.args.rollout_seed + self.epoch_id).shuffle(order)
        self.samples = [self.origin[place] for place in order]
