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
extra_unseen, which no stage and no choice has seen.

All arms have the same compute (`ablation_arms.py`); the tables (`ablation_table.py`) count
episodes, steps and CPU seconds as they were.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablation_arms import ARMS, DEFAULT, SPLITS, Arm, Values, of_sft
from ablation_table import table
from copies import ROOT, Job, copy_of, copy_project, cpu_seconds, run_all, snakemake

from tau2_agent import cli
from tau2_agent.config.backend import Backend
from tau2_agent.config.layers import read_yaml
from tau2_agent.config.resolve import resolve
from tau2_agent.evaluation.results import read_summary, task_values
from tau2_agent.files import read_jsonl, write_json, write_text
from tau2_agent.records.provenance import project_commit

RUNS = ROOT / "runs/ablation"


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
