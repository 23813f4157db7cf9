"""What each job took: time and memory from Snakemake's benchmarks, tokens and dollars from records.

A benchmark is of a job's last start: a training that was stopped and continued took more.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tau2_agent.files import DONE_FILE, read_object
from tau2_agent.report.figures import Evaluated
from tau2_agent.report.trainings import Sampled, Training


class Job(NamedTuple):
    """Times in seconds, memory in GB; None where nothing says it."""

    name: str
    seconds: float | None
    cpu_seconds: float | None
    memory: float | None
    gpu_hours: float | None


class Usage(NamedTuple):
    """What a language model was asked for; of a price that nobody knows, dollars are None."""

    what: str
    calls: int | None
    prompt_tokens: int | None
    completion_tokens: int | None
    dollars: float | None


TRAINED_ON_GPUS = ("sft", "rejection_sft", "grpo")  # rules


def jobs(folder: Path, gpus: int = 0) -> list[Job]:
    """Jobs by their benchmark files, in the order in which they ended. gpus: of a training job."""
    files = sorted(folder.rglob("*.tsv"), key=lambda file: file.stat().st_mtime)
    found = []
    for file in files:
        with open(file, encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        if not rows:
            continue
        row = rows[-1]
        seconds, memory = _number(row.get("s")), _number(row.get("max_rss"))
        trains = file.stem in TRAINED_ON_GPUS
        found.append(
            Job(
                str(file.relative_to(folder).with_suffix("")),
                seconds,
                _number(row.get("cpu_time")),
                None if memory is None else memory / 1000,
                gpus * seconds / 3600 if gpus and trains and seconds else None,
            )
        )
    return found


def usages(
    evaluations: Sequence[Evaluated],
    trainings: Sequence[Training],
    traces: Path | None,
    sampled: Sequence[Sampled] = (),
) -> list[Usage]:
    """Every use of a language model that is on record."""
    found = []
    if traces is not None:
        record = traces.with_name(f"{traces.name.removesuffix('.jsonl')}.usage.json")
        found += _flat("teacher traces", read_object(record))
    for one in sampled:
        found += _flat(f"user simulator, {one.label}", one.record.get("user_usage"))
    for one in trainings:
        summary = read_object(one.folder / DONE_FILE).get("summary", {})
        found += _flat(f"user simulator, {one.label}", summary.get("user_usage"))
    for evaluated in evaluations:
        what = f"user simulator, evaluation of {evaluated.label} on {evaluated.summary.split}"
        found += _flat(what, evaluated.summary.user_usage)
    return found


def _flat(what: str, usage: Mapping[str, Any] | None) -> list[Usage]:
    """A record's own line, or one for each part of a record that has parts (teacher, user)."""
    if not usage:
        return []
    if "prompt_tokens" not in usage:
        parts = [(name, part) for name, part in usage.items() if isinstance(part, dict)]
        return [line for name, part in parts for line in _flat(f"{what}: {name}", part)]
    if not usage.get("prompt_tokens"):
        return []
    return [
        Usage(
            what,
            usage.get("calls"),
            usage.get("prompt_tokens"),
            usage.get("completion_tokens"),
            usage.get("dollars"),
        )
    ]


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:  # "-" or "NA": the job was too quick, or not measured
        return None
