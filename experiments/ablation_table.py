"""The tables of an ablation, from what its arms gave: by arm, by words, by issue.

Differences are paired by task over the seeds that both arms have
(`evaluation.statistics.paired_difference`).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import copies  # noqa: F401  the project's packages are found by it
from ablation_arms import ARMS, BY_ISSUE, ISSUES, PHRASINGS, SPLITS, WORDS, Values

from tau2_agent.errors import InputError
from tau2_agent.evaluation.statistics import figure, paired_difference
from tau2_agent.files import write_text


def read_results(runs: Path) -> dict[str, dict[int, Any]]:
    """Arm -> seed -> result, arms in the order of ARMS."""
    found: dict[str, dict[int, Any]] = {}
    for path in sorted((runs / "results").glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        found.setdefault(result["arm"], {})[result["seed"]] = result
    return {name: found[name] for name in ARMS if name in found}


def rewards(result: Values, split: str, phrasing: str, issue: str = "") -> dict[str, float] | None:
    """Task -> reward of one evaluation of a result, None if it was not made; of one issue's tasks.

    issue: of tau2's task ids; "" for all tasks.
    """
    for one in result["evaluations"]:
        if (one["split"], one["phrasing"]) == (split, phrasing):
            found = one["rewards"]
            return {t: r for t, r in found.items() if not issue or t.startswith(f"[{issue}]")}
    return None


def cells(
    one: Values, other: Values | None, split: str, phrasing: str, name: str, issue: str = ""
) -> dict[str, Any]:
    """pass@1 over seeds, and the paired difference to `other` over the seeds that both have.

    one, other: seed -> result. issue: whose tasks count; "" for all.
    """
    told = (split, phrasing, issue)
    values = {seed: rewards(result, *told) for seed, result in sorted(one.items())}
    values = {seed: found for seed, found in values.items() if found}
    means = [fmean(found.values()) for found in values.values()]
    row: dict[str, Any] = {
        name: fmean(means) if means else None,
        f"{name}_seeds": " ".join(f"{mean:.3f}" for mean in means),
    }
    against = {seed: rewards(result, *told) for seed, result in (other or {}).items()}
    both = [seed for seed in values if against.get(seed)]
    gain = None
    if both:
        gain = paired_difference([against[s] for s in both], [values[s] for s in both])
    row[f"{name}_gain"] = gain and gain.mean
    row[f"{name}_low"] = gain and gain.interval.low
    row[f"{name}_high"] = gain and gain.interval.high
    return row


def arm_rows(found: Mapping[str, Mapping[int, Any]]) -> list[dict[str, Any]]:
    """A row an arm of those that differ from the default in one setting."""
    rows = []
    for name, results in found.items():
        if name in WORDS and WORDS[name][0]:  # they have a table of their own
            continue
        row: dict[str, Any] = {"arm": name, "says": ARMS[name].says, "seeds": len(results)}
        for split in SPLITS:
            other = None if name == "default" else found.get("default")
            row |= cells(results, other, split, ARMS[name].phrasings[0], split)
        counted = list(results.values())
        row["episodes"] = fmean(result["episodes"] for result in counted)
        row["steps"] = fmean(result["steps"] for result in counted)
        row["cpu_seconds"] = fmean(sum(r["cpu_seconds"].values()) for r in counted)
        rows.append(row)
    return rows


def word_rows(found: Mapping[str, Mapping[int, Any]]) -> list[dict[str, Any]]:
    """Trained on fixed or varied words, evaluated on each kind, on extra_dev."""
    rows = []
    for name, (other, says) in WORDS.items():
        if name in found:
            row: dict[str, Any] = {"arm": name, "says": says}
            for phrasing in PHRASINGS:
                against = found.get(other) if other else None
                row |= cells(found[name], against, SPLITS[0], phrasing, phrasing)
            rows.append(row)
    return rows


def issue_rows(found: Mapping[str, Mapping[int, Any]]) -> list[dict[str, Any]]:
    """What training on many tasks of one issue does to the others: an arm of a split a row."""
    rows = []
    for name, other in BY_ISSUE.items():
        for split in SPLITS if name in found else ():
            row: dict[str, Any] = {"arm": name, "says": f"{ARMS[name].says}: {split}"}
            against = found.get(other) if other else None
            for issue in ISSUES:
                row |= cells(found[name], against, split, ARMS[name].phrasings[0], issue, issue)
            rows.append(row)
    return rows


def markdown(rows: Sequence[Values], columns: Sequence[str], more: Sequence[str] = ()) -> str:
    """A table with a rate and a gain for each of the columns."""
    heads = [head for column in columns for head in (column, "gain")]
    lines = [f"| arm | {' | '.join([*heads, *more]).replace('_seconds', ' seconds')} |"]
    lines.append("| --- |" + " --- |" * (len(heads) + len(more)))
    for row in rows:
        texts = [str(row["says"])]
        for column in columns:
            low, high, gain = (row[f"{column}_{part}"] for part in ("low", "high", "gain"))
            texts.append(figure(row[column]))
            texts.append("-" if gain is None else f"{gain:+.3f} [{low:+.2f}, {high:+.2f}]")
        texts += [f"{row[name]:.0f}" for name in more]
        lines.append("| " + " | ".join(texts) + " |")
    return "\n".join(lines)


def table(runs: Path) -> str:
    """The tables as markdown; the same numbers in full are written to runs/ablation/*.csv."""
    found = read_results(runs)
    if not found:
        raise InputError(f"{runs / 'results'} holds no result yet; start with: ablation.py run")
    arms, words, issues = arm_rows(found), word_rows(found), issue_rows(found)
    for name, rows in (("arms", arms), ("words", words), ("issues", issues)):
        if rows:
            write_csv(runs / f"{name}.csv", rows)
    seeds = sorted({seed for results in found.values() for seed in results})
    text = [
        f"pass@1, greedy, mean over seeds {', '.join(map(str, seeds))}; gains over the default,",
        "paired by task, with 95 % intervals over tasks and seeds.\n",
        markdown(arms, SPLITS, ("seeds", "episodes", "steps", "cpu_seconds")),
    ]
    if issues:
        text += [
            "\npass@1 by issue; gains of GRPO on extra_train over SFT, of its curriculum over",
            "none, of balanced issues over proportional ones, and of all_train over extra_train.\n",
            markdown(issues, ISSUES),
        ]
    if any(WORDS[row["arm"]][0] for row in words):
        text += [
            "\npass@1 on extra_dev with a user of fixed, varied (train) and kept-out words; gains",
            "of varied words in training over fixed ones.\n",
            markdown(words, PHRASINGS),
        ]
    return "\n".join(text)


def write_csv(path: Path, rows: Sequence[Values]) -> None:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, stream.getvalue())
