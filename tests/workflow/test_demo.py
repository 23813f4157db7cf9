"""The README's first command: the whole demo, from nothing to results that improved.

On one core: the other one runs the other tests.
"""

from __future__ import annotations

import json

import pytest

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


def test_demo_learns_and_shows_it(project) -> None:
    outcome = project.run("results/eval_test.json", "--cores", "1", timeout=1700)
    assert outcome.status == 0, outcome.text
    results = {
        stage: json.loads((project.folder / path).read_text())
        for stage, path in {
            "base": "results/base/eval_test.json",
            "sft": "results/sft/eval_test.json",
            "rl": "results/eval_test.json",
        }.items()
    }
    assert all(result["total_tasks"] == 40 for result in results.values())
    # Far from the demo's usual numbers, so that only a broken stage fails here.
    assert results["base"]["successes"] == 0
    assert results["sft"]["successes"] >= 8
    assert results["rl"]["successes"] >= 8
    for path in ("results/base/eval_test", "results/sft/eval_test", "results/eval_test"):
        kept = (
            project.folder / f"{path}.transcripts.jsonl.gz",
            project.folder / f"{path}.episodes.jsonl",
        )
        assert sum(file.stat().st_size for file in kept) < 1_000_000  # as docs/results.md says
    # The last words are the comparison.
    table = outcome.text[outcome.text.rindex(" partial ") :]
    assert all(f" {stage} " in table for stage in results)
