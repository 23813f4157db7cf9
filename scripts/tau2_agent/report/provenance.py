"""What made the numbers: configuration, versions, commit, seeds, hashes, the command."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import yaml

from tau2_agent.files import DONE_FILE, read_object
from tau2_agent.source_code import code_digest

if TYPE_CHECKING:
    from tau2_agent.report.page import Sources


def gather(sources: Sources) -> dict[str, Any]:
    """Facts of every evaluation, of single ones, of trainings; files, configuration, command."""
    told = {
        f"{one.label} on {one.summary.split}": dict(_facts(one.summary))
        for one in sources.evaluations
    }
    first = next(iter(told.values()), {})
    common = {
        name: value
        for name, value in first.items()
        if all(facts.get(name) == value for facts in told.values())
    }
    commit = common.get("commit", "")
    checkout = commit and f"git checkout {commit.rstrip('+')}"
    own = {
        label: {name: value for name, value in facts.items() if name not in common}
        for label, facts in told.items()
    }
    return {
        "common": common | {"code digest, as it is now": code_digest("evaluate_tau2")},
        "own": own,
        "stages": [_stage(one) for one in sources.trainings],
        "files": _files(sources),
        "config": yaml.safe_dump(dict(sources.config), sort_keys=False, allow_unicode=True)
        if sources.config
        else "",
        "command": "\n".join(filter(None, [checkout, sources.command])),
        "changed": commit.endswith("+"),
    }


def _facts(summary: Any) -> Iterator[tuple[str, str]]:
    """Names and values, flat: what a summary says about how it was made."""
    for name in ("commit", "checkpoint", "domain", "split", "trials", "selection"):
        value = getattr(summary, name)
        if value is not None:
            yield from _flat(name, value)
    for name, value in summary.manifest.model_dump(mode="json").items():
        yield from _flat(name, value)


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _flat(f"{name}: {key}" if name != "versions" else key, below)
    elif value is not None:
        yield name.replace("_", " "), value if isinstance(value, str) else json.dumps(value)


def _stage(training: Any) -> dict[str, Any]:
    """A training's store: its name, what decided the weights, when it was done, its summary."""
    folder = training.folder.resolve()
    done = read_object(folder / DONE_FILE)
    record = read_object(folder / "stage.json").get("fingerprint", {})
    facts = [
        ("store", folder.name),
        ("finished", done.get("finished")),
        ("id", done.get("id")),
    ]
    facts += _flat("", done.get("summary", {}))
    facts += _flat("decides", record)
    return {
        "label": training.label,
        "facts": {name.removeprefix(": "): value for name, value in facts if value is not None},
    }


def _files(sources: Sources) -> list[dict[str, Any]]:
    """Name, size and SHA-256 of the files that the page was made from."""
    paths = [*sources.files, *([sources.traces] if sources.traces else [])]
    paths += [one.traces for one in sources.sampled]
    found = []
    for path in paths:
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        found.append({"path": str(path), "bytes": len(content), "sha256": digest})
    return found
