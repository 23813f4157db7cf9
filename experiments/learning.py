"""Does the CPU demo learn, and is GRPO's part of it more than more training time?

For each seed: the pipeline's own targets (base, SFT, GRPO), then a control that spends GRPO's CPU
time on more SFT instead. Everything is evaluated on the test split, the train split and tasks of
`extra_unseen`, which no stage has seen. Writes `runs/learning/seedN/…` and prints the table that
stands in the README. No setting was chosen by these numbers: see `tasks.extra_dev` in the README.

    python experiments/learning.py run --seeds 0 1 2 --jobs 3        (one core a seed)
    python experiments/learning.py table
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
from pathlib import Path

from copies import ROOT, Job, copy_project, cpu_seconds, run_all, snakemake

from tau2_agent import cli
from tau2_agent.errors import InputError

SPLITS = {"test": -1, "train": -1, "extra_unseen": -1}  # number of tasks; -1 is all
STAGES = ("base", "sft", "control", "rl")
NAMES = {"base": "base model", "sft": "SFT", "control": "SFT, GRPO's CPU time added", "rl": "GRPO"}
RUNS = ROOT / "runs/learning"


def run(seed: int) -> None:
    """All stages and the control of one seed; finished parts are not done again."""
    out = RUNS / f"seed{seed}"
    work = copy_project(RUNS / f"work{seed}")
    plain = {"seed": seed, "backend": "cpu", "resources": {"threads": 1}}
    plain["grpo"] = {"validation_every": 0}  # its time would be given to the control
    for split, count in SPLITS.items():
        config = plain | {"evaluation": {"num_tasks": count}}
        snakemake(work, [f"results/eval_{split}.json"], config)
        keep(work, out, split, {"base": "base/", "sft": "sft/", "rl": ""})
    # The control: as many epochs as fit into the CPU time of SFT and GRPO together.
    times = {"sft": cpu_seconds(work / "timings/sft.tsv")}
    times["rl"] = cpu_seconds(work / "timings/grpo.tsv")
    stage = work / "checkpoints/demo_sft_telecom/stage.json"
    summary = json.loads(stage.read_text(encoding="utf-8"))
    epochs = summary["fingerprint"]["hyperparameters"]["epochs"]
    more = round(epochs * sum(times.values()) / times["sft"])
    control = {"runs": {"control": {"sft": {"epochs": more}}}}
    for split, count in SPLITS.items():
        config = plain | control | {"evaluation": {"num_tasks": count}}
        snakemake(work, [f"results/control/sft/eval_{split}.json"], config)
        keep(work, out, split, {"control": "control/sft/"})
    times["control"] = cpu_seconds(work / "timings/control/sft.tsv")
    rows = times | {"epochs": epochs, "control_epochs": more}
    (out / "cpu_seconds.json").write_text(json.dumps(rows) + "\n", encoding="utf-8")


def keep(work: Path, out: Path, split: str, places: dict[str, str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for stage, place in places.items():
        shutil.copy(work / f"results/{place}eval_{split}.json", out / f"{stage}_{split}.json")


def baselines(split: str, count: int) -> dict[str, float]:
    """pass@1 of the scripted agents on the same tasks and against the same user."""
    from tau2_agent.benchmark.tasks import load_tasks
    from tau2_agent.reward.scoring import score
    from tau2_agent.rollout.episode import run_episode
    from tau2_agent.teachers.baselines import BASELINES, make_agent
    from tau2_agent.users.registry import make_user

    tasks = load_tasks(split)[: count if count > 0 else None]

    async def rate(name: str) -> float:
        rewards = []
        for task in tasks:
            episode = await run_episode(task, make_agent(name), make_user("scripted", task))
            rewards.append(score(episode, task).reward)
        return sum(rewards) / len(rewards)

    return {name: asyncio.run(rate(name)) for name in BASELINES}


def table() -> str:
    """Markdown: pass@1 of scripts and stages, and GRPO's gains with 95 % intervals."""
    from tau2_agent.evaluation.results import read_summary, task_values
    from tau2_agent.evaluation.statistics import paired_difference

    seeds = sorted(path for path in RUNS.glob("seed*") if (path / "cpu_seconds.json").exists())
    if not seeds:
        raise InputError(f"{RUNS} holds no finished seed; start with: learning.py run")
    columns: dict[str, dict[str, str]] = {}
    for split, count in SPLITS.items():
        read = {
            stage: [read_summary(path / f"{stage}_{split}.json") for path in seeds]
            for stage in STAGES
        }
        size = len(read["rl"][0].tasks)
        column = columns.setdefault(f"{split} ({size})", {})
        for name, value in baselines(split, count).items():
            column[f"*{name.replace('_', ' ')}*"] = f"{value:.3f}"
        for stage in STAGES:
            rates = [summary.pass_at_1 for summary in read[stage]]
            each = ", ".join(f"{rate:.2f}" for rate in rates)
            column[NAMES[stage]] = f"{sum(rates) / len(rates):.3f} ({each})"
        values = {
            stage: [task_values(summary) for summary in summaries]
            for stage, summaries in read.items()
        }
        for other in ("sft", "control"):
            gain = paired_difference(values[other], values["rl"])
            low, high = gain.interval.low, gain.interval.high
            column[f"**GRPO − {NAMES[other]}**"] = f"{gain.mean:+.3f} [{low:+.3f}, {high:+.3f}]"
    lines = ["| pass@1 | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    for row in next(iter(columns.values())):
        cells = [column[row] for column in columns.values()]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    for path in seeds:
        seconds = (path / "cpu_seconds.json").read_text(encoding="utf-8").strip()
        lines.append(f"\n{path.name}: CPU seconds {seconds}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1, help="seeds at once, one core each")
    args = parser.parse_args()
    failed = 0
    if args.what == "run":
        jobs = [Job(f"seed {seed}", lambda seed=seed: run(seed)) for seed in args.seeds]
        failed = run_all(jobs, args.jobs)
    print(table())
    return 1 if failed else 0


if __name__ == "__main__":
    cli.run(main)
