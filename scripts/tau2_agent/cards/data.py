"""The data card of a trace file, in the hub's format, made from the file and its records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from huggingface_hub import DatasetCardData

from tau2_agent.benchmark.facets import facets
from tau2_agent.benchmark.tasks import is_task
from tau2_agent.errors import InputError
from tau2_agent.files import content_hash, read_jsonl, read_object

LICENSE = "mit"  # tau2-bench's, whose tasks, policy and tools the conversations are made of
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**9, "100K<n<1M"))


def data_card(traces: Path, teacher: str, user: str, leaks: Sequence[Path], command: str) -> str:
    """The card of a trace file. teacher, user: who made it. leaks: files of the leak gate."""
    rows = list(read_jsonl(traces))
    front = DatasetCardData(
        pretty_name="τ²-bench telecom: solved conversations",
        license=LICENSE,
        language="en",
        task_categories=["text-generation"],
        tags=["tau2-bench", "telecom", "tool-use", "agents"],
        size_categories=[next(name for most, name in SIZES if len(rows) < most)],
        configs=[{"config_name": "default", "data_files": traces.name}],
    )
    parts = [
        f"---\n{front.to_yaml()}\n---",
        "# τ²-bench telecom: solved conversations",
        f"{summary(rows)} Made by {teacher} with {user} as the user. SHA-256 of the file, as the "
        f"project's keys have it: `{content_hash(traces)}`.",
        "## Fields",
        "One JSON object a line: `task_id`, `reward` (tau2's; 1 in every line), `end`, `steps`, "
        "`messages` (roles system, assistant, user, tool, as the agent saw them; arguments of tool "
        "calls are JSON text) and `tools` (OpenAI schemas; empty where the prompt has none).",
        "## Tasks",
        _tasks(rows),
        "## Contamination",
        _leaks(leaks),
        "## Made again by",
        f"```\n{command}\n```" if command else "Not recorded.",
        "## Limits",
        "The user is simulated; no person's words are in here. Names, numbers and accounts are "
        "those of τ²-bench's invented customers. A language model as teacher or user may bring "
        "terms of its provider with it.",
    ]
    return "\n\n".join(parts) + "\n"


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """How many conversations, on how many tasks, how long."""
    if not rows:
        return "No conversations."
    turns = fmean(sum(m["role"] == "assistant" for m in row["messages"]) for row in rows)
    tasks = len({row["task_id"] for row in rows})
    return (
        f"{len(rows)} conversations on {tasks} tasks, each solved (reward 1), with {turns:.1f} "
        "turns of the agent on average."
    )


def sampled_summary(traces: Path) -> str:
    """What rejection sampling added, from the record beside its traces."""
    of = read_object(traces.with_suffix(".source.json"), needed=True)
    return (
        f"Rejection sampling: of {of['episodes']} episodes that the SFT model played on "
        f"{of['tasks']} tasks, {of['solved']} were solved and {of['kept']} were learnt from, with "
        "their tokens as they were sampled."
    )


def _tasks(rows: Sequence[dict[str, Any]]) -> str:
    about = [facets(row["task_id"]) for row in rows if is_task(row["task_id"])]
    kinds = Counter(one.kind for one in about)
    issues = Counter(one.issue for one in about)
    personas = Counter(one.persona for one in about)
    lines = [
        f"- {name}: " + ", ".join(f"{value} {count}" for value, count in sorted(counts.items()))
        for name, counts in (("kind", kinds), ("issue", issues), ("persona", personas))
    ]
    return "\n".join(lines)


def _leaks(files: Sequence[Path]) -> str:
    said = []
    for file in files:
        gate = read_object(file, needed=True)
        if not {"split", "leaks", "eval_tasks"} <= gate.keys():
            raise InputError(f"{file} is not of check_leakage.py; give its --output")
        if gate.get("in_sample"):
            said.append(f"- `{gate['split']}` was trained on, by intention.")
        else:
            said.append(
                f"- `{gate['split']}`: {gate['leaks']} of {gate['eval_tasks']} evaluated tasks "
                "share a fault combination with these."
            )
    return "\n".join(said) or "Not checked."
