"""Runs share a stage exactly where its jobs are the same: each key is changed alone.

One dry run of a sweep with a run for each key, in which nothing is shared, says what jobs each
value makes; who shares what is then held against that.
"""

from __future__ import annotations

import re
from itertools import count
from typing import Any, NamedTuple

import pytest
import yaml
from changed_settings import (
    BESIDE,
    PRESETS,
    VALUES,
    another,
    presets,
    run_of,
    value_at,
    with_value,
)

from tau2_agent.config.backend import Backend
from tau2_agent.config.fields import leaves
from tau2_agent.config.settings import Settings
from tau2_agent.config.sweeps import resolve_runs

pytestmark = pytest.mark.workflow

STAGES = {
    "user_model": "user model",
    "teacher_traces": "traces",
    "leaks": "leaks",
    "base_model": "base",
    "convert_model": "base",
    "sft": "sft",
    "rejection_sampling": "rejection",
    "rejection_sft": "rejection",
    "grpo": "rl",
    **{f"evaluate_{stage}": f"{stage} results" for stage in ("base", "sft", "rejection")},
}
NOT_SHARED = """

_sharing = resolve_runs


def resolve_runs(*arguments):
    found = _sharing(*arguments)
    return {
        name: Run(name, run.settings, dict.fromkeys(run.owners, name))
        for name, run in found.items()
    }
"""
# Of the whole workflow, in names of files, or where and how a run works: nothing is made anew for
# these last.
WHOLE = ("backend", "preset", "runs", "model.name", "resources.", "tracking.")
OTHER = {
    "model.source": "another/one",
    "user.serve": {"source": "a/b", "revision": "d", "gpus": 1},
    "user.price": {"input": 2.0, "output": 3.0},
    "traces.price": {"input": 2.0, "output": 3.0},
    "tasks.sft": "small",
    "tasks.grpo": "small",
    "tasks.rejection_sampling": "base",
    "traces.source": "other/traces",
    "tasks.held_out": ["test", "extra_unseen"],
    "tasks.in_sample": ["train", "small"],
    "evaluation.splits": ["test", "small"],
    "evaluation.compare_with": ["sft"],
    "rejection_sampling.keep_per_task": 2,
    "rejection_sampling.lr": 7e-6,
}
SERVED = {"simulator": "llm", "serve": {"source": "a/b", "revision": "c", "gpus": 1}}
NEEDS = {
    "sft.epochs": {"sft": {"epochs": 5, "steps": None}},
    "sft.steps": {"sft": {"epochs": None, "steps": 20}},
    "model.source": {"model": {"name": "m", "revision": "v1"}},
    "model.revision": {"model": {"source": "some/other", "revision": "v1"}},
    "user.serve": {"user": SERVED},
    "user.price": {"user": {"simulator": "llm"}},
    "traces.price": {"traces": {"teacher": "llm", "model": "openai/x"}},
    "traces.teacher": {"traces": {"model": None}},
}


def sweep_of(preset: str, sampled: bool) -> tuple[dict[str, Any], list[tuple[str, str, str]]]:
    """Values of runs by name; and (key, run as it is, run with the key changed)."""
    sampling = {"samples_per_task": 4, "num_tasks": 9}
    common = {"rejection_sampling": sampling} if sampled else {}
    runs: dict[str, Any] = {}
    pairs, number = [], count()

    def run(values: dict[str, Any]) -> str:
        for name, known in runs.items():
            if known == values:
                return name
        name = f"r{next(number)}"
        runs[name] = values
        return name

    for key, field in leaves(Settings):
        if key.startswith(WHOLE) or preset not in presets(key):
            continue
        beside = {**common, **NEEDS.get(key, BESIDE.get(key, {}))}
        if key.startswith("rejection_sampling.") and common:
            beside = common
        now = value_at(run_of(preset, beside).settings.config, key)
        value = OTHER[key] if key in OTHER else another(key, field, now)
        changed = with_value(beside, key, value)
        if key == "traces.teacher":
            changed = with_value(changed, "traces.model", VALUES["traces.model"])
        assert value_at(run_of(preset, changed).settings.config, key) != now, key
        pairs.append((key, run(beside), run(changed)))
    return runs, pairs


class Job(NamedTuple):
    """A job without its run's name: its stage, inputs that other jobs make, and command."""

    stage: str
    inputs: frozenset[str]
    command: str


def jobs_of(text: str) -> dict[str, dict[str, Job]]:
    """Run -> first output of each of its jobs -> the job."""
    found: dict[str, dict[str, Job]] = {}
    said = re.findall(
        r"^Reason: Missing output files: ([^;\n]+)"
        r"(?:; Input files updated by another job: (.*))?\n"
        r"(?:(?!Reason).*\n)*?Shell command: (.*tee logs/(r\d+)/(\w+)\.log)$",
        text,
        re.M,
    )
    for outputs, inputs, command, run, log in said:
        rule = max((rule for rule in STAGES if log.startswith(rule)), key=len, default=None)
        if rule is None:
            continue
        own = re.compile(rf"\+{run}(?!\d)|\b{run}/")
        # a mixture of experts is converted on more GPUs, to the same files
        command = re.sub(r"--gpus \d+ ", " ", command) if rule == "convert_model" else command
        plain = [own.sub("", words) for words in (outputs, inputs, command)]
        stage, made_before = STAGES[rule], frozenset(filter(None, plain[1].split(", ")))
        output = min(plain[0].split(", "), key=len)
        found.setdefault(run, {})[output] = Job(stage, made_before, plain[2])
    return found


def touched(before: dict[str, Job], after: dict[str, Job]) -> set[str]:
    """The stages whose jobs are others, and those that read what these make.

    Only files that both make are compared: another split is another file.
    """
    changed = {before[file].stage for file in before.keys() & after if before[file] != after[file]}
    jobs = [*before.values(), *after.values()]
    makers = {file: jobs[file].stage for jobs in (before, after) for file in jobs}
    reads: dict[str, set[str]] = {job.stage: set() for job in jobs}
    for job in jobs:
        reads[job.stage] |= {makers[file] for file in job.inputs if file in makers}
    for stage in ("sft", "rejection"):
        # The gate of the run that makes it lets it begin; what GRPO plays there is not learnt.
        reads.get(stage, set()).discard("leaks")
    while more := {stage for stage in reads if reads[stage] & changed} - changed:
        changed |= more
    return changed


@pytest.mark.parametrize(("preset", "sampled"), [("demo", False), ("qwen3-4b", True)])
def test_runs_share_a_stage_where_its_jobs_are_the_same(project, preset, sampled) -> None:
    backend = {"demo": "cpu", "qwen3-4b": "slime"}[preset]
    runs, pairs = sweep_of(preset, sampled)
    values = {"preset": preset, "backend": backend, "runs": runs}
    found = resolve_runs([("config.yaml", values)], PRESETS, lambda *_: Backend(backend, "test"))
    with (project.folder / "scripts/tau2_agent/config/sweeps.py").open("a") as stream:
        stream.write(NOT_SHARED)
    project.write_config(yaml.safe_dump(values))
    outcome = project.dry_run("-p", "results/summary.csv")
    assert outcome.status == 0, outcome.text[-3000:]
    jobs = jobs_of(outcome.text)
    wrong = []
    for key, before, after in pairs:
        one, other = found[before].owners, found[after].owners
        both = one.keys() & other.keys()
        own = {stage for stage in both if one[stage] != other[stage]}
        expected = touched(jobs[before], jobs[after]) & both
        if own != expected:
            wrong.append((key, f"made anew: {own}, other jobs: {expected}"))
    assert len(pairs) > 60
    assert not wrong, "\n".join(map(str, wrong))
