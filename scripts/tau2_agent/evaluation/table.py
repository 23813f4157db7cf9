"""The table over evaluations: a block for each split, for the terminal and as rows of a CSV.

"gain" is the paired difference in pass@1 to the stage before it (SFT to base, RL to SFT) on the
same split, over the tasks that both have; its interval says whether it is more than luck. A stage
that is there with several seeds is compared seed by seed.

Runs of a sweep (`--run NAME FILES`) are compared within themselves. A file that an earlier run has
too, such as the evaluation of a base model that they share, has its row there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tau2_agent.evaluation.results import EvaluationSummary, read_summary, task_values
from tau2_agent.evaluation.statistics import Difference, figure, paired_difference

STAGES = ["base", "sft", "rl"]
PLAIN = "plain"  # the run without values of its own
WIDTH = 100  # of the table in a log
SPLITS = ["test", "train", "extra_unseen", "extra_dev"]  # the order of the blocks; others follow


class Row(NamedTuple):
    """A line of the table: a run's name, an evaluation, its gain over the stage before it."""

    run: str
    summary: EvaluationSummary
    gain: Difference | None


def rows_of_runs(runs: Mapping[str, Sequence[Path]]) -> list[Row]:
    """Read the files of each run; a file of several runs is the first one's row."""
    rows, seen = [], set()
    for name, files in runs.items():
        read = [(file, read_summary(file)) for file in files]
        gains = stage_gains([summary for _, summary in read])
        for file, summary in read:
            if file not in seen:
                seen.add(file)
                rows.append(Row(name, summary, gains.get((summary.split, summary.stage))))
    order = list(runs)

    def place(row: Row) -> tuple:
        *stage, seed = _order(row.summary)
        return *stage, order.index(row.run), seed

    return sorted(rows, key=place)


def stage_gains(summaries: Sequence[EvaluationSummary]) -> dict[tuple[str, str], Difference]:
    """(split, stage) -> paired difference in pass@1 to the stage before it.

    Stages pair by seed. Without a seed in common, or a task, there is no gain to state.
    """
    runs: dict[tuple[str, str], dict[int, EvaluationSummary]] = defaultdict(dict)
    for summary in summaries:
        runs[summary.split, summary.stage][summary.manifest.seed] = summary
    gains = {}
    for split, stage in runs:
        if stage not in STAGES[1:]:
            continue
        earlier = STAGES[: STAGES.index(stage)]
        before = next((runs[split, s] for s in reversed(earlier) if (split, s) in runs), {})
        after = runs[split, stage]
        pairs = [(before[seed], after[seed]) for seed in sorted(before.keys() & after.keys())]
        try:
            gains[split, stage] = paired_difference(
                [task_values(old) for old, _ in pairs], [task_values(new) for _, new in pairs]
            )
        except ValueError:
            continue
    return gains


def _order(summary: EvaluationSummary) -> tuple:
    split = SPLITS.index(summary.split) if summary.split in SPLITS else len(SPLITS)
    stage = STAGES.index(summary.stage) if summary.stage in STAGES else len(STAGES)
    return split, summary.split, stage, summary.stage, summary.manifest.seed


def csv_row(row: Row) -> dict:
    """A line of the CSV: numbers in full, intervals as two columns."""
    summary, gain = row.summary, row.gain
    values = {
        "run": row.run,
        "split": summary.split,
        "stage": summary.stage,
        "checkpoint": summary.checkpoint,
        "seed": summary.manifest.seed,
        "n": sum(task.counted > 0 for task in summary.tasks),
        "total_tasks": summary.total_tasks,
        "trials": summary.trials,
        "successes": summary.successes,
        "excluded": summary.excluded,
    }
    for name in ("pass_at_1", "avg_reward", "avg_partial_score", "avg_steps"):
        interval = getattr(summary, f"{name}_interval")
        values[name] = getattr(summary, name)
        values[f"{name}_low"] = interval and interval.low
        values[f"{name}_high"] = interval and interval.high
    values |= {
        "gain": gain and gain.mean,
        "gain_low": gain and gain.interval.low,
        "gain_high": gain and gain.interval.high,
        "backend": summary.manifest.backend,
        "prompt": summary.manifest.prompt,
        "user_simulator": summary.manifest.user_simulator,
        "user_errors": _counts(summary.user_errors),
    }
    usage = summary.user_usage or {}
    for name in ("prompt_tokens", "completion_tokens", "dollars"):
        values[f"user_{name}"] = usage.get(name)
    return values


def show(summaries: Sequence[EvaluationSummary]) -> None:
    """Print the table of one run to the terminal, or 100 columns wide to a log."""
    gains = stage_gains(summaries)
    ordered = sorted(summaries, key=_order)
    show_rows([Row(PLAIN, s, gains.get((s.split, s.stage))) for s in ordered])


def show_rows(rows: Sequence[Row]) -> None:
    """Print the table, split by split; with a column of runs if there are several."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    caption = "95 % intervals in brackets; gain: pass@1 over the stage before"
    for _, s, _ in rows:
        if s.user_errors:
            kinds = _counts(s.user_errors)
            caption += f"\n{s.split}, {s.stage}: excluded for the user simulator's sake: {kinds}"
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), caption=caption)
    several = len({row.run for row in rows}) > 1
    for name in ("split", "stage", *(["run"] if several else []), "n"):
        table.add_column(name, justify="right" if name == "n" else "left")
    for name in ("pass@1", "gain", "reward", "partial", "steps", "excluded"):
        table.add_column(name, justify="right")
    last = None
    for run, s, gain in rows:
        if last not in (None, s.split):
            table.add_section()
        table.add_row(
            s.split if last != s.split else "",
            s.stage,
            *([run] if several else []),
            str(sum(task.counted > 0 for task in s.tasks)),
            figure(s.pass_at_1, s.pass_at_1_interval),
            figure(gain and gain.mean, gain and gain.interval, sign="+"),
            figure(s.avg_reward),
            figure(s.avg_partial_score),
            figure(s.avg_steps, digits=1),
            str(s.excluded),
        )
        last = s.split
    Console(width=None if Console().is_terminal else WIDTH).print(table)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
