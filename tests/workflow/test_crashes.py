"""A part of the crash matrix (experiments/crash_matrix.py), as its script does it.

Here is what the other tests of the pipeline do not do: they kill trainers with -9.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments"))

from crash_matrix import run_cell

pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.long]


@pytest.mark.parametrize(
    ("stage", "fault", "words", "lost"),
    [
        ("SFT", "last checkpoint cut in half", "the cut one is set aside", None),
        ("GRPO", "SIGTERM with a grace period", "resumes at", "0 rollouts"),
        ("evaluation", "kill -9 of its process group", "resumes at", "0 episodes"),
    ],
)
def test_what_an_interruption_costs(tiny_project, tmp_path, stage, fault, words, lost) -> None:
    cell = run_cell(stage, fault, tiny_project.folder, tmp_path / "cell")
    assert words in cell["outcome"], cell
    assert lost in (None, cell["lost"]), cell
