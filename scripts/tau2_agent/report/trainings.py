"""Training curves: which quantities of a stage's logs are shown, under which title.

Both backends write a line a step and a line an episode of a rollout, under names that differ a
little; what a log does not have is left out. A panel's names are tried in order, the first that a
row has counts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from tau2_agent.files import DONE_FILE, read_jsonl, read_object
from tau2_agent.records.counters import LOOPS
from tau2_agent.records.validation import read_validation
from tau2_agent.report.figures import STAGES

METRICS, ROLLOUTS = "metrics.jsonl", "rollouts.jsonl"
# Of a rollout's episodes the mean of these is shown.
MEANS = ("reward", "partial", "shaped", "tokens", "agent_turns", "turns", *LOOPS)

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Training:
    """A stage's logs. `run` names the run of a sweep, `stage` is sft, rl, …; `folder` the store.

    taken: which of its weights became the model, if there was a choice.
    """

    run: str
    stage: str
    folder: Path
    metrics: Sequence[Row] = field(default_factory=list)
    rollouts: Sequence[Row] = field(default_factory=list)
    validation: Sequence[Row] = field(default_factory=list)
    taken: str = ""

    @property
    def label(self) -> str:
        """The name for people: the stage, and the run of a sweep."""
        name = STAGES.get(self.stage, self.stage)
        return name if self.run == "plain" else f"{name} {self.run}"

    @classmethod
    def read(cls, run: str, stage: str, folder: Path) -> Training:
        """Read what the folder holds; a log that is not there is empty."""
        logs = (_read(folder / METRICS), _read(folder / ROLLOUTS))
        validation = [row.model_dump() for row in read_validation(folder)]
        return cls(run, stage, folder, *logs, validation, _taken(folder))


@dataclass(frozen=True)
class Sampled:
    """The traces of rejection sampling of a run; `record` is OUTPUT.source.json beside them."""

    run: str
    traces: Path
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The name for people."""
        return "rejection sampling" if self.run == "plain" else f"rejection sampling {self.run}"

    @classmethod
    def read(cls, run: str, traces: Path) -> Sampled:
        """Read the record beside the traces. Raises FileNotFoundError."""
        path = traces.with_suffix(".source.json")
        return cls(run, traces, read_object(path, needed=True))

    def told(self) -> str:
        """What was kept and what was dropped, in a sentence."""
        of, why = self.record, self.record["dropped"]
        dropped = ", ".join(f"{count} {reason}" for reason, count in why.items()) or "none"
        return (
            f"{of['kept']} of {of['episodes']} episodes kept, on {of['tasks_kept']} of "
            f"{of['tasks']} tasks ({of['tasks_solved']} were solved); dropped: {dropped}."
        )


class Panel(NamedTuple):
    """A chart: label of a line -> names under which a log may have its value."""

    title: str
    note: str
    lines: Mapping[str, Sequence[str]]


VALIDATION = "Validation of the policy"
# Of rows of metrics, over steps.
OF_STEPS = (
    Panel("Loss", "", {"loss": ["loss"]}),
    Panel("Validation", "", {"loss": ["eval_loss", "validation/loss", "eval/loss"]}),
    Panel("Token accuracy", "share of trained tokens", {"accuracy": ["mean_token_accuracy"]}),
    Panel("KL", "to the model it began with", {"KL": ["kl", "kl_loss"]}),
    Panel("Entropy", "nats a token", {"entropy": ["entropy", "entropy_loss"]}),
    Panel("Gradient norm", "", {"norm": ["grad_norm"]}),
    Panel(
        "Clipped tokens",
        "share with a policy ratio outside the bounds",
        {"clipped": ["clip_ratio/region_mean", "pg_clipfrac"]},
    ),
    Panel(
        "Sampler and trainer",
        "mean difference of their log probs",
        {
            "difference": [
                "sampling/sampling_logp_difference/mean",
                "train_rollout_logprob_abs_diff",
            ]
        },
    ),
    Panel("Learning rate", "", {"rate": ["learning_rate"]}),
)
# Of what is said about a whole rollout.
OF_ROLLOUTS = (
    Panel("Reward", "mean over episodes", {"tau2's reward": ["reward"], "partial": ["partial"]}),
    Panel("Shaped reward", "reward + alpha × partial", {"shaped": ["shaped"]}),
    Panel(
        VALIDATION,
        "greedy, tasks of extra_dev",
        {"pass@1": ["validation_pass_at_1"], "partial": ["validation_avg_partial_score"]},
    ),
    Panel(
        "Validation by issue",
        "pass@1 of the same episodes; an issue of few tasks is a rough figure",
        {
            "MMS": ["validation_mms_issue"],
            "mobile data": ["validation_mobile_data_issue"],
            "service": ["validation_service_issue"],
        },
    ),
    Panel(
        "Length",
        "tokens an episode; of those trained on, and with those of dropped groups",
        {"trained": ["tokens"], "played": ["tokens_played"]},
    ),
    Panel("Agent turns", "an episode", {"turns": ["agent_turns", "turns"]}),
    Panel(
        "Repeated and cut turns",
        "an episode; loops, and turns cut at the limit of tokens",
        {"repeated": ["repeated_turns"], "cut": ["cut_turns"]},
    ),
    Panel(
        "Dropped groups",
        "played and not trained on: all episodes solved the task, none did, or another reason",
        {
            "all solved": ["dropped_all_solved"],
            "all failed": ["dropped_all_failed"],
            "other": ["dropped_other"],
        },
    ),
    Panel("Groups without a spread", "share; they teach nothing", {"share": ["without_spread"]}),
    Panel("Sampling", "seconds a rollout", {"seconds": ["seconds"]}),
)


def panels(trainings: Sequence[Training]) -> list[tuple[Panel, str, list[dict[str, Any]]]]:
    """(panel, axis, rows of `charts.curve`) of one stage's trainings, those with a value only."""
    several = len(trainings) > 1
    drawn = []
    rollouts = {id(one): _by_rollout(one) for one in trainings}
    for found, axis in ((OF_ROLLOUTS, "rollout"), (OF_STEPS, "step")):
        for panel in found:
            rows: list[dict[str, Any]] = []
            for one in trainings:
                source = rollouts[id(one)] if axis == "rollout" else _steps(one.metrics)
                for label, names in panel.lines.items():
                    line = " ".join([one.run] * several + [label] * (len(panel.lines) > 1))
                    rows += _points(source, names, line or label)
            if panel.title == VALIDATION and not several and trainings[0].taken:
                panel = panel._replace(note=f"{panel.note}; {trainings[0].taken}")
            if rows and not _flat_zero(panel, rows):
                drawn.append((panel, axis, rows))
    return drawn


def ends(training: Training) -> list[dict[str, Any]]:
    """Where the episodes that were trained on ended: rows of `charts.areas`."""
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for row in training.rollouts:
        if not row.get("dropped"):
            counts[_rollout(row)][row.get("end") or "unknown"] += 1
    return [
        {"step": step, "kind": kind.replace("_", " "), "count": counts[step][kind]}
        for step in sorted(counts)
        for kind in sorted({kind for of_step in counts.values() for kind in of_step})
    ]


def _read(path: Path) -> list[Row]:
    """The lines of a log; none if there is no such log. Raises JsonLineError."""
    return list(read_jsonl(path)) if path.exists() else []


def _taken(folder: Path) -> str:
    """Which weights became the model, in words; "" where nothing says so."""
    try:
        taken = read_object(folder / DONE_FILE)["summary"]["taken"]
        rule = "the best" if taken["checkpoint"] == "best" else "the last"
        return f"the model is that of rollout {taken['rollout']}, {rule}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _rollout(row: Row) -> int:
    """The rollout of an episode; on the CPU it is called by the step that it precedes."""
    return row.get("rollout", row.get("step"))


def _steps(metrics: Sequence[Row]) -> dict[int, Row]:
    """step -> all that was logged about it."""
    merged: dict[int, dict[str, Any]] = defaultdict(dict)
    for row in metrics:
        step = row.get("step", row.get("rollout"))
        if row.get("kind", "step") == "step" and isinstance(step, int):
            merged[step] |= row
    return dict(sorted(merged.items()))


def _by_rollout(training: Training) -> dict[int, Row]:
    """rollout -> means over its episodes, and what the log says of it."""
    episodes: dict[int, list[Row]] = defaultdict(list)
    for row in training.rollouts:
        episodes[_rollout(row)].append(row)
    found: dict[int, dict[str, Any]] = {}
    for rollout, rows in episodes.items():
        played = [row for row in rows if row.get("shaped") is not None and _finished(row)]
        scored = [row for row in played if not row.get("dropped")]
        found[rollout] = {
            name: fmean(values)
            for name in MEANS
            if (values := [row[name] for row in scored if row.get(name) is not None])
        }
        found[rollout]["without_spread"] = _without_spread(scored)
        if len(scored) < len(played):
            found[rollout]["tokens_played"] = fmean(row["tokens"] for row in played)
        found[rollout] |= _dropped(rows)
    for row in training.metrics:
        kind, rollout = row.get("kind"), _rollout(row)
        if kind in ("tau2", "rollout") and isinstance(rollout, int):
            said = {name: value for name, value in row.items() if _is_number(value)}
            found.setdefault(rollout, {}).update(said | found.get(rollout, {}))
    for row in training.validation:
        said = {f"validation_{name}": value for name, value in row.items()}
        for issue, (solved, of) in row["by_issue"].items():
            said[f"validation_{issue}"] = solved / of
        found.setdefault(row["rollout"], {}).update(said)
    return dict(sorted(found.items()))


def _finished(row: Row) -> bool:
    """Whether an episode was finished; those that slime aborted have rewards of 0."""
    return row.get("status") != "aborted"


def _dropped(rows: Iterable[Row]) -> dict[str, int]:
    """How many groups were not trained on, by reason."""
    groups = {row.get("group"): row["dropped"] for row in rows if row.get("dropped")}
    named = ("all_solved", "all_failed")
    counts = Counter(why if why in named else "other" for why in groups.values())
    return {f"dropped_{why}": counts[why] for why in (*named, "other")}


def _without_spread(rows: Iterable[Row]) -> float | None:
    """Share of groups whose episodes all have the same reward."""
    groups: dict[Any, set[float]] = defaultdict(set)
    for row in rows:
        groups[row.get("group", row["task_id"])].add(round(row["shaped"], 9))
    return fmean(len(rewards) == 1 for rewards in groups.values()) if groups else None


def _points(source: Mapping[int, Row], names: Sequence[str], line: str) -> list[dict[str, Any]]:
    points = []
    for step, row in source.items():
        value = next((row[name] for name in names if _is_number(row.get(name))), None)
        if value is not None:
            points.append({"step": step, "value": value, "line": line})
    return points


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _flat_zero(panel: Panel, rows: Sequence[Row]) -> bool:
    """A quantity that a log names and the recipe does not use, such as KL with weight 0."""
    unused = ("KL", "Clipped tokens", "Sampler and trainer", "Dropped groups")
    return panel.title in unused and not any(row["value"] for row in rows)
