"""The page: everything that was read, put into one HTML file that loads nothing.

Scripts, styles and data are in the file; its content security policy forbids every request, and
allows the page's own scripts by their hashes only, so that not even a mistake in escaping could run
what a model wrote.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from tau2_agent.records.counters import COUNTERS
from tau2_agent.records.samples import TRANSCRIPTS
from tau2_agent.records.transcripts import read_transcripts, transcripts_path
from tau2_agent.report import charts, costs, figures, provenance, trainings
from tau2_agent.report.episodes import Column, viewer
from tau2_agent.report.figures import STAGES, Evaluated
from tau2_agent.report.trainings import Sampled, Training

HERE = Path(__file__).parent
# In the order in which they build on each other.
SCRIPTS = (
    *("dom", "store", "filters", "route", "matrix", "conversation", "tokens", "compare"),
    *("viewer", "keys", "page", "main"),
)
STYLES = ("page", "viewer")
ROLLOUTS_SHOWN = 60  # of a training; more are thinned out evenly


@dataclass
class Sources:
    """What the page is made of."""

    evaluations: list[Evaluated]
    columns: list[Column]
    trainings: list[Training]
    files: list[Path]
    timings: Path | None = None
    traces: Path | None = None
    sampled: Sequence[Sampled] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""

    @property
    def episodes(self) -> int:
        """How many conversations there are."""
        return sum(len(column.episodes) for column in self.columns)

    @classmethod
    def read(
        cls,
        runs: Mapping[str, Sequence[Path]],
        trained: Sequence[tuple[str, str, Path]],
        **more: Any,
    ) -> Sources:
        """Read evaluations and trainings.

        Raises ResultsError or FileNotFoundError. An evaluation without conversations has none in
        the viewer.
        """
        found = figures.read_evaluations(runs)
        paths = {id(one): path for path, one in found.items()}
        columns: list[Column] = []
        for one in figures.ordered(list(found.values())):
            path = transcripts_path(paths[id(one)])
            if path.exists():
                before = one.before and (one.before.summary.split, one.before.id)
                kept = _of_evaluation(read_transcripts(path), one)
                columns.append(Column(one.summary.split, one.id, one.label, kept, before))
        trained_on = [Training.read(*one) for one in trained]
        samples = [column for one in trained_on for column in _rollout_columns(one)]
        return cls(list(found.values()), columns + samples, trained_on, list(found), **more)


def make_page(sources: Sources) -> str:
    """The whole HTML file."""
    specs: dict[str, Any] = {}

    def chart(name: str, spec: Any) -> str:
        specs[f"chart-{name}"] = spec
        return f"chart-{name}"

    splits = [
        _split(split, [one for one in sources.evaluations if one.summary.split == split], chart)
        for split in dict.fromkeys(one.summary.split for one in sources.evaluations)
    ]
    index, chunks = viewer(sources.columns)
    scripts = [Markup(script) for script in _scripts()]
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            splits=splits,
            stages=_stages(sources, chart),
            jobs=costs.jobs(sources.timings, _gpus(sources.config)) if sources.timings else [],
            usages=costs.usages(
                sources.evaluations, sources.trainings, sources.traces, sources.sampled
            ),
            provenance=provenance.gather(sources),
            kinds=figures.KINDS,
            episodes=sources.episodes,
            index=_json(index),
            specs={name: _json(spec) for name, spec in specs.items()},
            chunks=chunks,
            styles=[
                Markup((HERE / "assets" / f"{name}.css").read_text("utf-8")) for name in STYLES
            ],
            scripts=scripts,
            script_hashes=[_hash(script) for script in scripts],
        )
    )


def _split(split: str, evaluations: list[Evaluated], chart: Any) -> dict[str, Any]:
    """All that the page says about one split."""
    found = figures.ordered(evaluations)
    progress = []
    for kind, title in figures.KINDS.items():
        rows = figures.progress_rows(found, kind)
        if rows:
            lines = figures.progress_lines(found, kind)
            tasks = figures.rate_of(found[-1].summary, kind).tasks
            name = chart(f"{split}-{kind}", charts.progress(rows, lines))
            progress.append({"title": title, "tasks": tasks, "chart": name})
    ends = figures.end_rows(found)
    kinds = sorted({row["kind"] for row in ends})
    return {
        "name": split,
        "headline": figures.headline(found),
        "progress": progress,
        "table": figures.main_table(found),
        "baselines": figures.baseline_table(found),
        "ks": figures.ks(found),
        "comparisons": figures.comparisons(found),
        "breakdowns": figures.breakdowns(found),
        "labels": [one.label for one in found],
        "counters": figures.counter_table(found, COUNTERS),
        "ends": chart(f"{split}-ends", charts.shares(ends, kinds)) if ends else None,
        "trials": max(one.summary.trials for one in found),
        "user": sorted({one.summary.manifest.user_simulator for one in found}),
    }


def _stages(sources: Sources, chart: Any) -> list[dict[str, Any]]:
    """Curves by stage, in the order of the stages, and what rejection sampling kept."""
    stages, found = [], sources.trainings
    for stage in sorted({one.stage for one in found}, key=_stage_place):
        own = [one for one in found if one.stage == stage]
        drawn = [
            {
                "title": panel.title,
                "note": panel.note,
                "chart": chart(f"{stage}-{number}", charts.curve(rows, axis)),
            }
            for number, (panel, axis, rows) in enumerate(trainings.panels(own))
        ]
        for one in own:
            rows = trainings.ends(one)
            if rows:
                kinds = sorted({row["kind"] for row in rows})
                name = chart(f"{stage}-ends-{one.run}", charts.areas(rows, kinds))
                note = one.run if len(own) > 1 else "share of episodes"
                drawn.append({"title": "Where episodes end", "note": note, "chart": name})
        notes = [(one.label, one.told()) for one in sources.sampled if stage == "rejection"]
        if drawn or notes:
            stages.append({"name": STAGES.get(stage, stage), "panels": drawn, "notes": notes})
    return stages


def _stage_place(stage: str) -> int:
    return list(STAGES).index(stage) if stage in STAGES else len(STAGES)


def _of_evaluation(transcripts: Sequence[Any], one: Evaluated) -> list[Any]:
    """The conversations that the summary is about: its tasks and trials, and no older ones."""
    tasks = {task.task_id: place for place, task in enumerate(one.summary.tasks)}
    kept = [t for t in transcripts if t.task_id in tasks and t.trial < one.summary.trials]
    return sorted(kept, key=lambda t: (tasks[t.task_id], t.trial))


def _rollout_columns(training: Training) -> list[Column]:
    """The episodes that a training kept: a set of tasks of its own, a column a rollout."""
    path = training.folder / TRANSCRIPTS
    if not path.exists():
        return []
    by_rollout: dict[int, list[Any]] = {}
    for transcript in read_transcripts(path):
        by_rollout.setdefault(transcript.rollout or 0, []).append(transcript)
    rollouts = sorted(by_rollout)
    every = max(1, -(-len(rollouts) // ROLLOUTS_SHOWN))
    name = f"{training.label} rollouts"
    return [
        Column(name, f"rollout-{rollout}", f"rollout {rollout}", by_rollout[rollout])
        for rollout in rollouts[::every]
    ]


def _gpus(config: Mapping[str, Any]) -> int:
    """GPUs of a training job: the configuration's, if it trains on any."""
    if config.get("backend") != "slime":
        return 0
    resources = config.get("resources", {})
    return int(resources.get("gpus", 0)) * int(resources.get("nodes", 1))


def _scripts() -> list[str]:
    """The page's own script, and Vega: first the viewer, which does not wait for charts."""
    parts = [(HERE / "assets" / f"{name}.js").read_text("utf-8") for name in SCRIPTS]
    own = '"use strict";\n(() => {\n' + "\n".join(parts) + "\n})();\n"
    # Text in a script ends at the first "</script", wherever it stands.
    return [code.replace("</script", "<\\/script") for code in (charts.runtime(), own)]


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _json(value: Any) -> Markup:
    """JSON that may stand in a script element: without any "<"."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(
        text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"figure": _number, "interval": _interval, "duration": _duration}
    return environment


def _number(value: float | None, digits: int = 3, sign: str = "") -> str:
    return "–" if value is None else f"{value:{sign}.{digits}f}".replace("-", "−")


def _interval(figure: Any, sign: str = "") -> str:
    if figure is None or figure.interval is None:
        return ""
    low, high = figure.interval.low, figure.interval.high
    return f"{low:{sign}.2f} to {high:{sign}.2f}".replace("-", "−")


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
