"""Fail when training data and an evaluated split share a fault combination, whatever the persona.

tau2 makes its telecom tasks by combining faults; two tasks with the same faults differ only in
how the user talks. The report is one JSON object. It is written when the data is clean and
when it leaks; a leak also ends the program with status 1 and the offending ids.

A split that is evaluated on purpose on the tasks that were trained on (train, to see how far the
model overfits) is named with --in-sample-splits: its report says "in_sample": true and passes.

The other way round is no error and worth a note: a fault of the evaluated split that one of the
files has in no task. The stage that trains on that file learns nothing of it and may forget it.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tau2_agent import cli
from tau2_agent.benchmark.tasks import Leak, faults, find_leaks, read_task_file, split_ids
from tau2_agent.files import write_json

SHOWN = 20  # ids of each side in the report and in the message
NOTED = 5  # faults in a note; the report has all


def leak_report(
    train_files: list[Path], split: str, in_sample_splits: list[str]
) -> tuple[dict[str, Any], list[Leak]]:
    """Compare the tasks of `train_files` with `split`; returns the report and the leaks.

    Raises TaskFileError and UnknownSplit.
    """
    eval_ids = split_ids(split)
    by_file = {str(path): {row.task_id for row in read_task_file(path)} for path in train_files}
    train_ids = set().union(*by_file.values())
    leaks = find_leaks(train_ids, eval_ids)
    in_sample = split in in_sample_splits
    report = {
        "split": split,
        "train_files": list(by_file),
        "train_tasks": len(train_ids),
        "eval_tasks": len(eval_ids),
        "in_sample": in_sample,
        "leaks": len(leaks),
        "leaked_train_ids": _first({leak.train_id for leak in leaks}),
        "leaked_eval_ids": _first({leak.eval_id for leak in leaks}),
        "ok": in_sample or not leaks,
        "missing_faults": {file: missing_faults(ids, eval_ids) for file, ids in by_file.items()},
    }
    return report, leaks


def missing_faults(train_ids: Iterable[str], eval_ids: Iterable[str]) -> dict[str, int]:
    """Faults that evaluated tasks of an issue have and trained ones do not: "[issue]fault", and
    how many evaluated tasks have it, most first."""

    def counts(ids: Iterable[str]) -> Counter[str]:
        told = map(faults, ids)
        return Counter(f"[{issue}]{name}" for issue, names in told for name in names)

    trained, evaluated = counts(train_ids), counts(eval_ids)
    return {
        name: count
        for name, count in sorted(evaluated.items(), key=lambda one: (-one[1], one))
        if name not in trained
    }


def main(argv: list[str] | None = None) -> int:
    parser = cli.parser(__doc__)
    parser.add_argument("--train", type=Path, nargs="+", required=True, help="task or trace files")
    parser.add_argument("--eval-split", required=True)
    parser.add_argument("--output", type=cli.file_to_write, required=True, help="the JSON report")
    parser.add_argument("--in-sample-splits", nargs="*", default=[], help="may share tasks")
    args = parser.parse_args(argv)
    report, leaks = leak_report(args.train, args.eval_split, args.in_sample_splits)
    write_json(args.output, report)
    if report["ok"]:
        how = f"in sample: {len(leaks)} shared" if report["in_sample"] else "no shared"
        print(f"{args.eval_split}: {how} fault combinations, {report['train_tasks']} train tasks")
        for file, missing in report["missing_faults"].items():
            if missing:
                told = [f"{name} (in {count})" for name, count in missing.items()]
                if len(told) > NOTED:
                    told[NOTED:] = [f"and {len(told) - NOTED} more"]
                print(
                    f"note: of what {args.eval_split} has, no task of {file} has "
                    f"{', '.join(told)}; a stage that trains on this alone may forget it"
                )
        return 0
    print(
        f"error: the training data shares {len(leaks)} fault combinations with the split "
        f"{args.eval_split}. Train on other tasks, or declare the split as in-sample.\n"
        f"In the training data:\n{_listed({leak.train_id for leak in leaks})}\n"
        f"In {args.eval_split}:\n{_listed({leak.eval_id for leak in leaks})}",
        file=sys.stderr,
    )
    return 1


def _first(ids: set[str]) -> list[str]:
    return sorted(ids)[:SHOWN]


def _listed(ids: set[str]) -> str:
    more = len(ids) - SHOWN
    lines = [f"  {task_id}" for task_id in _first(ids)]
    return "\n".join(lines + ([f"  and {more} more"] if more > 0 else []))


if __name__ == "__main__":
    cli.run(main)
