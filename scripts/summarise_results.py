"""One table over evaluations: results/summary.csv and the terminal, a block for each split.

"gain" is the paired difference in pass@1 to the stage before it (SFT to base, RL to SFT) on the
same split, over the tasks that both have; its interval says whether it is more than luck. A stage
that is there with several seeds is compared seed by seed. Not here: plots.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from tau2_agent import command
from tau2_agent.files import write_text
from tau2_agent.intervals import Difference, Interval, paired_difference
from tau2_agent.results import EvaluationSummary, read_summary, task_values

STAGES = ["base", "sft", "rl"]
WIDTH = 100  # of the table in a log
SPLITS = ["test", "train", "extra_unseen", "extra_dev"]  # the order of the blocks; others follow


def main(argv: list[str] | None = None) -> None:
    parser = command.parser(__doc__)
    parser.add_argument("--results", type=Path, nargs="+", required=True, help="evaluation files")
    parser.add_argument("--output", type=Path, required=True, help="the CSV file")
    args = parser.parse_args(argv)

    import pandas as pd

    summaries = sorted(map(read_summary, args.results), key=_order)
    gains = stage_gains(summaries)
    rows = [_row(s, gains.get((s.split, s.stage))) for s in summaries]
    write_text(args.output, pd.DataFrame(rows).to_csv(index=False))
    show(summaries)


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


def _row(summary: EvaluationSummary, gain: Difference | None) -> dict:
    """A line of the CSV: numbers in full, intervals as two columns."""
    row = {
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
        row[name] = getattr(summary, name)
        row[f"{name}_low"] = interval and interval.low
        row[f"{name}_high"] = interval and interval.high
    row |= {
        "gain": gain and gain.mean,
        "gain_low": gain and gain.interval.low,
        "gain_high": gain and gain.interval.high,
        "backend": summary.manifest.backend,
        "prompt": summary.manifest.prompt,
        "user_simulator": summary.manifest.user_simulator,
    }
    return row


def show(summaries: Sequence[EvaluationSummary]) -> None:
    """Print the table to the terminal, or 100 columns wide to a log; split by split."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    caption = "95 % intervals in brackets; gain: pass@1 over the stage before"
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), caption=caption)
    for name in ("split", "stage", "n"):
        table.add_column(name, justify="right" if name == "n" else "left")
    for name in ("pass@1", "gain", "reward", "partial", "steps", "excluded"):
        table.add_column(name, justify="right")
    last, gains = None, stage_gains(summaries)
    for s in sorted(summaries, key=_order):
        if last not in (None, s.split):
            table.add_section()
        gain = gains.get((s.split, s.stage))
        table.add_row(
            s.split if last != s.split else "",
            s.stage,
            str(sum(task.counted > 0 for task in s.tasks)),
            _figure(s.pass_at_1, s.pass_at_1_interval),
            _figure(gain and gain.mean, gain and gain.interval, sign="+"),
            _figure(s.avg_reward),
            _figure(s.avg_partial_score),
            _figure(s.avg_steps, digits=1),
            str(s.excluded),
        )
        last = s.split
    Console(width=None if Console().is_terminal else WIDTH).print(table)


def _figure(
    value: float | None, interval: Interval | None = None, sign: str = "", digits: int = 3
) -> str:
    if value is None:
        return "-"
    text = f"{value:{sign}.{digits}f}"
    if interval is not None:
        text += f" [{interval.low:{sign}.2f}, {interval.high:{sign}.2f}]"
    return text


if __name__ == "__main__":
    command.run(main)
