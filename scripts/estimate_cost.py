"""Say what language models will cost, before anything runs: tokens and dollars for each stage.

    estimate_cost.py --config preset=qwen3-4b 'user={simulator: llm}'

The configuration is the workflow's: config.yaml, --configfile, --config, presets. Lengths are those
that earlier stages here paid for the same model (data/*.usage.json, results/), or else those of the
scripted conversations; which of the two, and what is assumed beside, stands below the table. Stages
that are done already are not left out: this is the price of a whole run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tau2_agent import cli
from tau2_agent.config import user_options as user_config
from tau2_agent.config.backend import choose
from tau2_agent.config.command_line import program_layers
from tau2_agent.config.program_options import add_configuration
from tau2_agent.config.stage_files import compared
from tau2_agent.config.sweeps import resolve_runs
from tau2_agent.config.task_splits import sampled_split
from tau2_agent.files import write_json
from tau2_agent.llm import ledger as costs
from tau2_agent.users.mixture import parse_mix

ROOT = Path(__file__).resolve().parents[1]
COUNTED_TASKS = 40  # scripted conversations to count
WIDTH = 100  # of the table in a log
ASSUMED = (
    "no call is made twice (retries, episodes that failed for the user's sake)",
    "no discount for cached prompts, and no hidden reasoning tokens",
    "episodes of a weak agent are as long as those that end well; they can be several times longer",
)


@dataclass(frozen=True)
class Job:
    """Episodes of one stage in which a model plays; `most` where the number is not certain."""

    stage: str
    side: str  # teacher or user
    model: str
    price: Mapping[str, float] | None
    episodes: float
    most: float
    own_server: bool = False


@dataclass(frozen=True)
class Estimate:
    """What a job will take; numbers are (low, high). dollars None: no price is known."""

    stage: str
    side: str
    model: str
    episodes: tuple[float, float]
    calls: tuple[float, float]
    prompt_tokens: tuple[float, float]
    completion_tokens: tuple[float, float]
    dollars: tuple[float, float] | None
    lengths: str
    measured: bool
    own_server: bool


def main(argv: list[str] | None = None) -> int:
    parser = cli.parser(__doc__)
    add_configuration(parser)
    parser.add_argument("--folder", type=Path, default=Path(), help="where data/ and results/ are")
    parser.add_argument("--output", type=cli.file_to_write, help="JSON file to write")
    args = parser.parse_args(argv)
    runs = resolve_runs(
        program_layers(ROOT, args.configfile, args.config),
        ROOT / "presets",
        choose,
    )
    jobs = [job for run in runs.values() for job in jobs_of(run)]
    estimates = [estimate(job, split, args.folder) for job, split in jobs]
    if args.output is not None:
        write_json(args.output, record(estimates))
    show(estimates)
    return 0


def jobs_of(run) -> Iterator[tuple[Job, str]]:
    """The jobs of one run that ask a language model, each with the split of its tasks."""
    from tau2_agent.benchmark.tasks import split_ids

    config = run.settings.config
    prefix = f"{run.name}: " if run.name else ""

    def user(stage: str, name: str, low: float, high: float) -> Iterator[Job]:
        simulator = user_config.simulator_of(config, stage)
        share = parse_mix(simulator.simulator).get("llm", 0.0)
        if share:
            yield Job(
                prefix + name,
                "user",
                user_config.model_name(config["user"]),
                config["user"]["price"],
                share * low,
                share * high,
                own_server=simulator.serve is not None,
            )

    traces, grpo, evaluation = config["traces"], config["grpo"], config["evaluation"]
    if run.owns("traces") and traces["teacher"] not in ("file", "hub"):
        split = config["tasks"]["sft"]
        count = len(split_ids(split))
        paid = traces["teacher"] == "llm"
        # A scripted teacher has several attempts, too, at a user who is a language model.
        most = count * traces["attempts"]
        if paid:
            model = Job(f"{prefix}traces", "teacher", traces["model"], traces["price"], count, most)
            yield model, split
        for job in user("traces", "traces", count, most):
            yield job, split
    if run.owns("rejection"):
        sampling, split = config["rejection_sampling"], sampled_split(config)
        count = len(split_ids(split))
        if sampling["num_tasks"] > 0:
            count = min(count, sampling["num_tasks"])
        episodes = count * sampling["samples_per_task"]
        for job in user("rejection_sampling", "rejection sampling", episodes, episodes):
            yield job, split
    if run.owns("rl"):
        low, most = groups_of(config)
        group = grpo["rollouts"] * grpo["samples_per_prompt"]
        for job in user("grpo", "grpo", low * group, most * group):
            yield job, config["tasks"]["grpo"]
        if every := grpo["validation_every"]:
            times = len({*range(0, grpo["rollouts"], every), grpo["rollouts"]})
            played = times * grpo["validation_tasks"]
            for job in user("grpo", "validate", played, played):
                yield job, "extra_dev"
    for stage in [*compared(run), "rl"]:
        if stage != "rl" and not run.owns(f"{stage} results"):
            continue
        for split in evaluation["splits"]:
            count = len(split_ids(split))
            if evaluation["num_tasks"] > 0:
                count = min(count, evaluation["num_tasks"])
            episodes = count * evaluation["trials"]
            for job in user("evaluation", f"evaluate {stage} {split}", episodes, episodes):
                yield job, split


def groups_of(config: Mapping[str, Any]) -> tuple[int, int]:
    """The groups that a rollout of GRPO plays at least, and at most with those resampled."""
    grpo = config["grpo"]
    ahead = grpo["over_sampling_groups"] if config["backend"] == "slime" else 0
    more = grpo["max_resampled_groups"] if grpo["dynamic_sampling"] else 0
    return grpo["prompts_per_rollout"] + ahead, grpo["prompts_per_rollout"] + more


def estimate(job: Job, split: str, folder: Path) -> Estimate:
    """The tokens and dollars of one job."""
    from tau2_agent.evaluation.token_estimates import paid_teacher, paid_user
    from tau2_agent.llm.prices import price_of

    if job.side == "teacher":
        lengths = paid_teacher(job.model, folder / "data")
    else:
        lengths = paid_user(job.model, folder / "results")
    if lengths is None:
        lengths = scripted_lengths(split, job.model)[job.side]
    low, high = job.episodes, job.most
    if lengths.attempts is not None:  # of this teacher, a task
        low = high = min(job.most, lengths.attempts * job.episodes)
    price = None if job.own_server else price_of(job.model, job.price)
    an_episode = lengths.dollars
    if an_episode is None and price is not None:
        an_episode = (
            lengths.prompt_tokens * price["input"] + lengths.completion_tokens * price["output"]
        ) / 1e6
    return Estimate(
        job.stage,
        job.side,
        job.model,
        episodes=(low, high),
        calls=(low * lengths.calls, high * lengths.calls),
        prompt_tokens=(low * lengths.prompt_tokens, high * lengths.prompt_tokens),
        completion_tokens=(low * lengths.completion_tokens, high * lengths.completion_tokens),
        dollars=None if an_episode is None else (low * an_episode, high * an_episode),
        lengths=lengths.source,
        measured=lengths.measured,
        own_server=job.own_server,
    )


@cache
def scripted_lengths(split: str, model: str) -> dict[str, Any]:
    """Lengths of scripted conversations on the first tasks of a split, for both sides."""
    from tau2_agent.benchmark.tasks import load_tasks
    from tau2_agent.evaluation.token_estimates import counted

    return asyncio.run(counted(load_tasks(split)[:COUNTED_TASKS], model, split))


def total_dollars(estimates: list[Estimate]) -> tuple[float, float] | None:
    """The sum; None if a model that is paid for has no known price."""
    paid = [one.dollars for one in estimates if not one.own_server]
    if any(dollars is None for dollars in paid):
        return None
    return sum(low for low, _ in paid), sum(high for _, high in paid)


def record(estimates: list[Estimate]) -> dict[str, Any]:
    """The estimate as JSON."""
    return {
        "stages": [asdict(one) for one in estimates],
        "dollars": total_dollars(estimates),
        "assumed": list(ASSUMED),
    }


def show(estimates: list[Estimate]) -> None:
    """Print the table and what it rests on."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    if not estimates:
        print("this configuration asks no language model: nothing is paid")
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("stage")
    table.add_column("who", overflow="fold")
    for name in ("episodes", "calls", "prompt", "completion", "dollars"):
        table.add_column(name, justify="right")
    for one in estimates:
        table.add_row(
            one.stage,
            f"{one.side} {one.model}",
            span(one.episodes, "{:.0f}".format),
            span(one.calls, costs.tokens),
            span(one.prompt_tokens, costs.tokens),
            span(one.completion_tokens, costs.tokens),
            "own server" if one.own_server else span(one.dollars, costs.dollars),
        )
    console = Console(width=None if Console().is_terminal else WIDTH)
    console.print(table)
    lines = [f"in all: {span(total_dollars(estimates), costs.dollars)}"]
    for kind, measured in (("measured", True), ("not measured", False)):
        for source in dict.fromkeys(e.lengths for e in estimates if e.measured is measured):
            stages = dict.fromkeys(
                f"{e.stage} ({e.side})" for e in estimates if e.lengths == source
            )
            lines.append(f"{kind}, lengths from {source}: {', '.join(stages)}")
    if any(e.dollars is None and not e.own_server for e in estimates):
        lines.append("a price that litellm does not know goes into user.price and traces.price")
    lines += [f"assumed: {text}" for text in ASSUMED]
    console.print("\n".join(lines), markup=False, highlight=False)


def span(values: tuple[float, float] | None, text) -> str:
    """Low to high, or one number where they are the same."""
    if values is None:
        return costs.NO_PRICE
    low, high = map(text, values)
    return low if low == high else f"{low}–{high}"


if __name__ == "__main__":
    cli.run(main)
