"""The tables over evaluations for the terminal: a block for each split.

"gain" is the paired difference in pass@1 to the stage before it (SFT to base, RL to SFT, or to
rejection sampling) on the same split, over the tasks that both have; its interval says whether it
is more than luck, and "won" and "lost" count the tasks that rose and fell. A stage that is there
with several seeds is compared seed by seed. The first rows of a split are baselines that need no
model (baselines.py); fix and transfer tasks stand apart, for an agent that transfers everybody
solves all of the latter.

Runs of a sweep (`--run NAME FILES`) are compared within themselves. A file that an earlier run has
too, such as the evaluation of a base model that they share, has its row there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tau2_agent.benchmark.facets import FACETS
from tau2_agent.evaluation.comparison import compare
from tau2_agent.evaluation.rates import Baseline, Rate
from tau2_agent.evaluation.results import COPIES, EvaluationSummary, read_summary, task_values
from tau2_agent.evaluation.statistics import Difference, figure, paired_difference
from tau2_agent.records.counters import COUNTERS

KINDS = ("fix", "transfer")
STAGES = ["base", "sft", "rejection", "rl"]
# An evaluation that these end mostly measures them: a note says so.
LIMITS = ("context_length", "max_steps")
PLAIN = "plain"  # the run without values of its own
WIDTH = 132  # of the table in a log
SPLITS = ["test", "train", "extra_unseen", "extra_dev"]  # the order of the blocks; others follow


class Gain(NamedTuple):
    """What a stage gained over the one before it; tasks won and lost, over all seeds."""

    difference: Difference
    won: int
    lost: int


class Row(NamedTuple):
    """A line of the table: a run's name, an evaluation, its gain over the stage before it."""

    run: str
    summary: EvaluationSummary
    gain: Gain | None


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


def stage_gains(summaries: Sequence[EvaluationSummary]) -> dict[tuple[str, str], Gain]:
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
            difference = paired_difference(
                [task_values(old) for old, _ in pairs], [task_values(new) for _, new in pairs]
            )
        except ValueError:
            continue
        each = [compare(old, new) for old, new in pairs]
        won, lost = sum(len(one.won) for one in each), sum(len(one.lost) for one in each)
        gains[split, stage] = Gain(difference, won, lost)
    return gains


def _order(summary: EvaluationSummary) -> tuple:
    split = SPLITS.index(summary.split) if summary.split in SPLITS else len(SPLITS)
    stage = STAGES.index(summary.stage) if summary.stage in STAGES else len(STAGES)
    return split, summary.split, stage, summary.stage, summary.manifest.seed


def show(summaries: Sequence[EvaluationSummary]) -> None:
    """Print the table of one run to the terminal, or 132 columns wide to a log."""
    gains = stage_gains(summaries)
    ordered = sorted(summaries, key=_order)
    show_rows([Row(PLAIN, s, gains.get((s.split, s.stage))) for s in ordered])


def show_rows(rows: Sequence[Row], parts: bool = False) -> None:
    """Print the tables, split by split; with a column of runs if there are several.

    parts: also issue by issue and so on, and what was counted beside the score.
    """
    several = len({row.run for row in rows}) > 1
    headings = ["split", "stage", *(["run"] if several else []), "n", "pass@1", "fix", "transfer"]
    headings += ["gain", "won/lost", "partial", "steps", "excluded"]
    blocks: dict[str, list[list[str]]] = {}
    for row in rows:
        block = blocks.setdefault(row.summary.split, [])
        if not block:
            block += [_baseline_line(baseline, several) for baseline in row.summary.baselines]
        block.append(_line(row, several))
    for split, block in blocks.items():
        for number, line in enumerate(block):
            line.insert(0, "" if number else split)
    _print(headings, list(blocks.values()), _caption(rows))
    _show_trials(rows, several)
    if parts:
        for split in blocks:
            of_split = [row for row in rows if row.summary.split == split]
            _show_parts(of_split, several)
            _show_counts(of_split, several)


def _line(row: Row, several: bool) -> list[str]:
    _, s, gain = row
    difference = gain and gain.difference
    return [
        s.stage,
        *([row.run] if several else []),
        str(sum(task.counted > 0 for task in s.tasks)),
        figure(s.pass_at_1, s.pass_at_1_interval),
        *(figure(s.groups.get("kind", {}).get(kind, Rate()).value) for kind in KINDS),
        figure(difference and difference.mean, difference and difference.interval, sign="+"),
        f"{gain.won}/{gain.lost}" if gain else "-",
        figure(s.avg_partial_score),
        figure(s.avg_steps, digits=1),
        str(s.excluded),
    ]


def _baseline_line(baseline: Baseline, several: bool) -> list[str]:
    rates = [figure(rate.value) for rate in (baseline.fix, baseline.transfer)]
    return [
        baseline.label,
        *([""] if several else []),
        str(baseline.all.tasks),
        figure(baseline.all.value, baseline.all.interval),
        *rates,
        *[""] * 5,
    ]


def _caption(rows: Sequence[Row]) -> str:
    """What the numbers need beside them."""
    said = ["95 % intervals in brackets; gain: pass@1 over the stage before, paired"]
    if any(row.summary.baselines for row in rows):
        said.append("first rows: no model, played with the scripted user")
    for _, s, _ in rows:
        where = f"{s.split}, {s.stage}"
        if s.excluded:
            bound = figure(s.lower_bound.value, s.lower_bound.interval)
            said.append(f"{where}: pass@1 {bound} with every excluded episode as a failure")
        if s.user_errors:
            kinds = counted(s.user_errors)
            said.append(f"{where}: excluded for the user simulator's sake: {kinds}")
        if s.user_ends.get("out_of_scope"):
            number = s.user_ends["out_of_scope"]
            said.append(f"{where}: the user simulator gave up as out of scope {number} times")
        for limit in LIMITS:
            number, of = s.ends.get(limit, 0), sum(s.ends.values())
            if 2 * number >= of > 0:
                said.append(
                    f"{where}: {number} of {of} episodes were ended by "
                    f"evaluation.{limit} {s.manifest.limits.get(limit, '')}"
                )
        if s.selection["rule"] != "all":
            said.append(f"{where}: {s.total_tasks} tasks of the split ({s.selection['rule']})")
        if s.copies:
            said.append(f"{where}: {COPIES}")
    return "\n".join(said)


def _show_trials(rows: Sequence[Row], several: bool) -> None:
    """pass^k and pass@k, where there are several trials."""
    lines = []
    for run, s, _ in rows:
        for k in list(s.pass_hat_k)[1:]:
            hat, at = s.pass_hat_k_interval.get(k), s.pass_at_k_interval.get(k)
            of_run = [run] if several else []
            about = [s.split, s.stage, *of_run, str(k)]
            lines.append([*about, figure(s.pass_hat_k[k], hat), figure(s.pass_at_k[k], at)])
    if lines:
        names = ["split", "stage", *(["run"] if several else []), "k", "pass^k", "pass@k"]
        _print(names, [lines], "pass^k: k trials all succeed; pass@k: one of k does")


def _show_parts(rows: Sequence[Row], several: bool) -> None:
    """pass@1 by facet: a column for each evaluation of a split."""
    blocks = []
    for facet in FACETS:
        block = []
        parts = sorted({part for row in rows for part in row.summary.groups.get(facet, {})})
        for part in parts:
            rates = [row.summary.groups.get(facet, {}).get(part, Rate()) for row in rows]
            tasks = str(max(rate.tasks for rate in rates))
            values = [figure(rate.value, rate.interval) for rate in rates]
            block.append(["" if block else facet, part, tasks, *values])
        blocks.append(block)
    names = [rows[0].summary.split, "", "n", *_names(rows, several)]
    _print(names, [block for block in blocks if block], "pass@1 by part")


def _show_counts(rows: Sequence[Row], several: bool) -> None:
    """What was counted beside the score, and where episodes ended."""
    counters = [
        [label, *(str(row.summary.counters.get(name, {}).get("total", 0)) for row in rows)]
        for name, label in COUNTERS.items()
        if any(name in row.summary.counters for row in rows)
    ]
    ends = []
    for kind in ("ends", "user_ends"):
        of_kind = [getattr(row.summary, kind) for row in rows]
        for end in sorted({end for one in of_kind for end in one}):
            label = f"end: {end}" if kind == "ends" else f"user said: {end}"
            ends.append([label, *(str(one.get(end, 0)) for one in of_kind)])
    blocks = [block for block in (counters, ends) if block]
    _print([rows[0].summary.split, *_names(rows, several)], blocks, "counted beside the score")


def _names(rows: Sequence[Row], several: bool) -> list[str]:
    return [f"{row.summary.stage} {row.run}" if several else row.summary.stage for row in rows]


def _print(headings: Sequence[str], blocks: Sequence[list[list[str]]], caption: str) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), caption=caption)
    for number, name in enumerate(headings):
        text = name in ("split", "stage", "run", "") or number == 0
        table.add_column(name, justify="left" if text else "right")
    for block in blocks:
        for line in block:
            table.add_row(*line)
        table.add_section()
    Console(width=None if Console().is_terminal else WIDTH).print(table)


def counted(counts: Mapping[str, int]) -> str:
    """Counts as words: "2 timed_out, 1 refused"."""
    return ", ".join(f"{count} {name}" for name, count in counts.items())
