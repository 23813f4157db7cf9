"""What helps? One setting at a time is changed, and its model compared with the default's.

    python experiments/ablation.py run --jobs 20 --seeds 0 1 2
    python experiments/ablation.py run --jobs 2 --arms default alpha_0
    python experiments/ablation.py table            (at any time, from what is there)

On the CPU, with the demo's model. An arm of a seed is one process of one core in a copy of the
project (runs/ablation/seedN/ARM). Base model, traces and SFT are made once a seed and then copied.
What an arm gave is one file in runs/ablation/results/, written when it is done; the same command
goes on where it stopped. All copies are of the code of the first start: for other code, move
runs/ablation away.

Nothing is played on test: models are compared on extra_dev, on which settings are chosen, and on
extra_unseen, which no stage and no choice has seen. Differences are paired by task over the seeds
that both arms have (`evaluation.statistics.paired_difference`).

Equal compute: each arm may play as many episodes in training as the default, rollouts × prompts ×
samples, and makes at most as many optimizer steps of GRPO. Where an arm plays episodes for
something else it does with less: the episodes of rejection sampling are taken off the rollouts, and
with dynamic sampling a rollout has a quarter fewer groups, as many as may be played in place of
dropped ones. The table counts episodes, steps and CPU seconds as they were.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from copies import ROOT, Job, copy_of, copy_project, cpu_seconds, run_all, snakemake

from tau2_agent import cli
from tau2_agent.config.backend import Backend
from tau2_agent.config.layers import read_yaml
from tau2_agent.config.resolve import resolve
from tau2_agent.errors import InputError
from tau2_agent.evaluation.results import read_summary, task_values
from tau2_agent.evaluation.statistics import figure, paired_difference
from tau2_agent.files import read_jsonl, write_json, write_text
from tau2_agent.records.provenance import project_commit

RUNS = ROOT / "runs/ablation"
SPLITS = ("extra_dev", "extra_unseen")
PHRASINGS = ("fixed", "train", "held_out")
Values = Mapping[str, Any]

# Said in full, so that the table means the same when a default follows it.
DEFAULT: dict[str, Any] = {
    "backend": "cpu",
    "preset": "demo",
    "tasks": {"grpo": "train"},
    "user": {"phrasing": "fixed"},
    "rejection_sampling": {"samples_per_task": 0},
    "grpo": {
        "scale_by_group_std": True,
        "loss_weighting": "token",
        "curriculum": "none",
        "dynamic_sampling": False,
        "validation_every": 0,  # it plays extra_dev
        "checkpoint": "last",
        "repeat_limit": 0,
        "repeat_penalty": 0.0,
    },
    "reward": {"alpha": 0.5},
    "evaluation": {"compare_with": []},
    "resources": {"threads": 1},
}


@dataclass(frozen=True)
class Arm:
    """What is changed. values: over DEFAULT, or a function of the default's configuration.

    stage: whose model is evaluated. phrasings: of the users it is evaluated with.
    """

    says: str
    values: Values | Callable[[Values], Values] = field(default_factory=dict)
    stage: str = "rl"
    phrasings: tuple[str, ...] = ("fixed",)


def grpo(**values: Any) -> Values:
    return {"grpo": values}


def rejection(**values: Any) -> Callable[[Values], Values]:
    """Rejection sampling, its episodes taken off GRPO's rollouts."""

    def over(default: Values) -> Values:
        from tau2_agent.benchmark.tasks import load_tasks

        played = values["samples_per_task"] * len(load_tasks("train"))
        each = default["grpo"]["prompts_per_rollout"] * default["grpo"]["samples_per_prompt"]
        rollouts = max(default["grpo"]["rollouts"] - math.ceil(played / each), 1)
        return {"rejection_sampling": values, "grpo": {"rollouts": rollouts}}

    return over


def dynamic(default: Values) -> Values:
    """Three quarters of the groups, and the fourth in place of dropped ones."""
    all_groups = default["grpo"]["prompts_per_rollout"]
    groups = max(all_groups * 3 // 4, 1)
    episodes = groups * default["grpo"]["samples_per_prompt"]
    return grpo(
        dynamic_sampling=True,
        prompts_per_rollout=groups,
        max_resampled_groups=all_groups - groups,
        micro_batch_size=math.gcd(default["grpo"]["micro_batch_size"], episodes),
    )


# In the order in which they are run: what is asked most comes first.
ARMS: dict[str, Arm] = {
    "default": Arm("default", phrasings=PHRASINGS),
    "sft": Arm("SFT alone, no GRPO", stage="sft", phrasings=PHRASINGS),
    "alpha_0": Arm("alpha 0: tau2's reward alone", {"reward": {"alpha": 0.0}}),
    "no_std": Arm("advantages not divided by the deviation", grpo(scale_by_group_std=False)),
    "sample_weighting": Arm("each episode weighs the same", grpo(loss_weighting="sample")),
    "curriculum": Arm("curriculum: success_rate", grpo(curriculum="success_rate")),
    "dynamic": Arm("dynamic sampling", dynamic),
    "rejection": Arm(
        "rejection sampling before GRPO, goes on from SFT",
        rejection(samples_per_task=4, start_from="sft", epochs=3),
    ),
    "extra_train": Arm("GRPO on extra_train", {"tasks": {"grpo": "extra_train"}}),
    "balanced": Arm(
        "GRPO on extra_train, issues balanced",
        {"tasks": {"grpo": "extra_train"}, **grpo(issues="balanced")},
    ),
    "extra_curriculum": Arm(
        "GRPO on extra_train, curriculum: success_rate",
        {"tasks": {"grpo": "extra_train"}, **grpo(curriculum="success_rate")},
    ),
    "balanced_curriculum": Arm(
        "GRPO on extra_train, issues balanced, curriculum: success_rate",
        {"tasks": {"grpo": "extra_train"}, **grpo(issues="balanced", curriculum="success_rate")},
    ),
    "repeat_limit": Arm("repeat_limit 3", grpo(repeat_limit=3)),
    "repeat_penalty": Arm("repeat_penalty 0.02", grpo(repeat_penalty=0.02)),
    "alpha_1": Arm("alpha 1", {"reward": {"alpha": 1.0}}),
    "alpha_025": Arm("alpha 0.25", {"reward": {"alpha": 0.25}}),
    "rejection_base": Arm(
        "rejection sampling before GRPO, trained anew", rejection(samples_per_task=4)
    ),
    "words": Arm(
        "SFT and GRPO with varied words", {"user": {"phrasing": "train"}}, phrasings=PHRASINGS
    ),
    "words_sft": Arm(
        "SFT alone with varied words",
        {"user": {"phrasing": "train"}},
        stage="sft",
        phrasings=PHRASINGS,
    ),
}
# Arms of the table of words: what each is compared with, and its name there.
WORDS = {
    "sft": (None, "SFT, fixed words"),
    "default": (None, "SFT and GRPO, fixed words"),
    "words_sft": ("sft", "SFT, varied words"),
    "words": ("default", "SFT and GRPO, varied words"),
}
# Arms of the table by issue, and what each is compared with.
BY_ISSUE = {
    "sft": None,
    "extra_train": "sft",
    "balanced": "extra_train",
    "extra_curriculum": "extra_train",
    "balanced_curriculum": "extra_curriculum",
}
ISSUES = ("mms_issue", "mobile_data_issue", "service_issue")
OF_SFT = ("user",)  # sections that SFT reads: arms that are equal in them share one


def of_sft(arm: Arm) -> Values:
    """Those of an arm's values that its SFT model depends on."""
    fixed = {} if callable(arm.values) else arm.values
    return {key: fixed[key] for key in OF_SFT if key in fixed}


# --- running --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """Where things are made, and what is laid over the default everywhere."""

    runs: Path
    configfiles: tuple[Path, ...] = ()

    def config(self, arm: Arm, seed: int) -> dict[str, Any]:
        """What Snakemake is told: DEFAULT and the arm's values."""
        values = arm.values(self.default()) if callable(arm.values) else arm.values
        return {"seed": seed, **merged(DEFAULT, values)}

    def default(self) -> Values:
        """The default's whole configuration."""
        layers = [(str(path), read_yaml(path)) for path in self.configfiles]
        layers = [*layers, ("the ablation", DEFAULT)]
        return resolve(layers, ROOT / "presets", lambda *_: Backend("cpu", "told")).config

    def shared(self, arm: Arm, seed: int) -> Path:
        """The copy in which the SFT model of an arm is made."""
        marks = [str(value) for section in of_sft(arm).values() for value in section.values()]
        return self.runs / f"seed{seed}" / "-".join(["shared", *marks])

    def result(self, name: str, seed: int) -> Path:
        """The file of what an arm gave."""
        return self.runs / "results" / f"{name}_seed{seed}.json"


def merged(below: Values, above: Values) -> dict[str, Any]:
    """Values laid over values, section by section."""
    both = dict(below)
    for key, value in above.items():
        deeper = isinstance(value, Mapping) and isinstance(both.get(key), Mapping)
        both[key] = merged(both[key], value) if deeper else value
    return both


def jobs(plan: Plan, names: Sequence[str], seeds: Sequence[int]) -> list[Job]:
    """Arm by arm with all its seeds, since a comparison needs them; before it the SFT it shares."""
    found: dict[str, Job] = {}
    for name in names:
        arm = ARMS[name]
        for seed in seeds:
            if plan.result(name, seed).exists():
                continue
            shared = plan.shared(arm, seed)
            first = f"{shared.parent.name} {shared.name}"
            if first not in found:
                found[first] = Job(first, lambda s=shared, a=arm, n=seed: make_sft(plan, s, a, n))
            found[f"seed{seed} {name}"] = Job(
                f"seed{seed} {name}", lambda n=name, s=seed: play(plan, n, s), after=(first,)
            )
    return list(found.values())


def make_sft(plan: Plan, folder: Path, arm: Arm, seed: int) -> None:
    """Traces, base model and SFT of a seed, in a copy that nobody works in afterwards."""
    copy_of(plan.runs / "project", folder)
    config = plan.config(Arm("SFT", of_sft(arm)), seed)
    snakemake(folder, ["checkpoints/demo_sft_telecom"], config, plan.configfiles)


def play(plan: Plan, name: str, seed: int) -> None:
    """Train an arm and evaluate it; its result is written when all is there."""
    arm, config = ARMS[name], plan.config(ARMS[name], seed)
    work = copy_of(plan.shared(arm, seed), plan.runs / f"seed{seed}" / name)
    place = "results/sft" if arm.stage == "sft" else "results"
    evaluations = []
    for phrasing in arm.phrasings:
        splits = SPLITS if phrasing == arm.phrasings[0] else SPLITS[:1]
        told = merged(config, {"evaluation": {"phrasing": phrasing}})
        files = {split: f"{place}/eval_{split}.json" for split in splits}
        snakemake(work, list(files.values()), told, plan.configfiles)
        for split, file in files.items():
            summary = read_summary(work / file)
            evaluations.append(
                {
                    "split": split,
                    "phrasing": phrasing,
                    "rewards": task_values(summary),
                    "partial": summary.avg_partial_score,
                    "ends": summary.ends,
                    "counters": summary.counters,
                }
            )
    result = {
        "arm": name,
        "seed": seed,
        "config": config,
        "commit": (plan.runs / "commit").read_text(encoding="utf-8").strip(),
        **compute(work, plan.shared(arm, seed), arm.stage),
        "evaluations": evaluations,
    }
    plan.result(name, seed).parent.mkdir(parents=True, exist_ok=True)
    write_json(plan.result(name, seed), result)


def compute(work: Path, shared: Path, stage: str) -> dict[str, Any]:
    """What training took: episodes, optimizer steps of GRPO, CPU seconds of each rule.

    SFT's seconds are those of the copy that made it: where GRPO's tasks are others its rule runs
    again, finds it done and takes none. A rule that was stopped and went on has the seconds of its
    last start only.
    """
    seconds = {
        path.stem: cpu_seconds(path)
        for path in sorted((work / "timings").glob("*.tsv"))
        if not path.stem.startswith(("evaluate", "leaks", "tasks"))
    }
    seconds["sft"] = cpu_seconds(shared / "timings/sft.tsv")
    if stage == "sft":
        return {"episodes": 0, "steps": 0, "cpu_seconds": seconds}
    rows = list(read_jsonl(work / "checkpoints/demo_rl_telecom/rollouts.jsonl"))  # dropped ones too
    sampled = work / "data/sampled_traces.episodes.jsonl"
    return {
        "episodes": len(rows) + (sum(1 for _ in read_jsonl(sampled)) if sampled.exists() else 0),
        "steps": len({row["step"] for row in rows}),
        "cpu_seconds": seconds,
    }


# --- the table ------------------------------------------------------------------------------------


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
            "none, and of balanced issues over proportional ones.\n",
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


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--jobs", type=int, default=1, help="processes at once, one core each")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), help="default: all")
    parser.add_argument("--runs", type=Path, default=RUNS, help="where all is made")
    parser.add_argument(
        "--configfile", type=Path, nargs="+", default=[], help="under the arms' values: a quick try"
    )
    args = parser.parse_args()
    plan = Plan(args.runs.resolve(), tuple(path.resolve() for path in args.configfile))
    if args.what == "table":
        print(table(plan.runs))
        return 0
    copy_project(plan.runs / "project")
    if not (plan.runs / "commit").exists():
        write_text(plan.runs / "commit", f"{project_commit() or 'without git'}\n")
    failed = run_all(jobs(plan, args.arms, args.seeds), args.jobs)
    print(table(plan.runs))
    return 1 if failed else 0


if __name__ == "__main__":
    cli.run(main)
