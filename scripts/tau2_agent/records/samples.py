"""A few conversations of each rollout of a training, kept where its other records are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tau2.data_model.tasks import Task

from tau2_agent.records.conversation import make_transcript
from tau2_agent.records.episode_row import episode_row
from tau2_agent.records.transcripts import TranscriptFile
from tau2_agent.reward.scoring import Score
from tau2_agent.rollout.trajectory import Trajectory

TRANSCRIPTS = "transcripts.jsonl.gz"


@dataclass
class Sample:
    """An episode of a rollout. result: its score; shaped: the reward that is trained on."""

    task: Task
    trajectory: Trajectory
    result: Score | None
    shaped: float | None


class Samples:
    """Keeps the first `count` episodes of each rollout, tokens included.

    Prompts are drawn at random and the episodes of one prompt stand side by side, so these are
    whole groups on tasks drawn at random. A rollout that is played again after a kill replaces what
    was kept of it.
    """

    def __init__(self, path: Path, count: int, tokenizer: Any) -> None:
        self.count, self.tokenizer = count, tokenizer
        self._file = TranscriptFile(path) if count else None

    def keep(self, rollout: int, samples: Sequence[Sample | None]) -> None:
        """Keep what is wanted of a rollout, in the order of its batch; None was not finished."""
        for number, sample in enumerate(samples[: self.count]):
            if sample is None or self._file is None:
                continue
            row = episode_row(sample.task, sample.trajectory, result=sample.result)
            about = {"rollout": rollout, "sample": number, "shaped": sample.shaped}
            self._file.append(
                make_transcript(
                    sample.task, sample.trajectory, row, tokenizer=self.tokenizer, **about
                )
            )
