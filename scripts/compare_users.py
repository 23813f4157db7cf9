"""Compare two user simulators on the same agent and tasks: do they lead to the same results?

    compare_users.py --plan
    compare_users.py --agent llm --agent-model PROVIDER/MODEL --user-b llm --output users.json
    compare_users.py --checkpoint DIR --backend cpu --user-b llm --output users.json
    compare_users.py --results results/a.json results/b.json --output users.json

The first prints how precise a comparison of so many tasks is. An agent that always succeeds with
one user has no kappa: take one that fails now and then (a language model, a checkpoint). The
options of the user are there twice: --user-a and --user-a-model as --user-b and --user-b-model, and
so on. Episodes are kept in OUTPUT.a.episodes.jsonl and OUTPUT.b.episodes.jsonl with their
conversations beside them, so a comparison that was stopped resumes where it was, and another reward
scores them anew. OUTPUT has rewards and their agreement, what the simulators
did not understand, lengths, ends, failures and cost; how it is computed says
tau2_agent/evaluation/user_agreement.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tau2_agent import cli
from tau2_agent.config.program_options import add, add_user
from tau2_agent.errors import InputError
from tau2_agent.evaluation.agent_players import agent_settings, play_agent
from tau2_agent.evaluation.model_evaluation import (
    add_flags,
    evaluate,
    selection,
)
from tau2_agent.evaluation.results import EvaluationSummary, played_at, read_summary
from tau2_agent.evaluation.statistics import figure
from tau2_agent.evaluation.user_agreement import (
    Agreement,
    Side,
    compare,
    precision,
    summarise_side,
)
from tau2_agent.files import write_json
from tau2_agent.llm.sent import as_sent
from tau2_agent.records.episode_log import read_rows
from tau2_agent.records.episode_row import EpisodeRow
from tau2_agent.records.provenance import versions
from tau2_agent.teachers.baselines import AGENTS
from tau2_agent.users import registry as users

SIDES = ("a", "b")
# What --plan assumes, and the numbers of tasks it shows: test, train, extra_dev, extra_unseen.
PLANNED, AGREEMENT, PASS_AT_1 = (20, 40, 74, 171, 300), 0.9, 0.5
WIDTH = 100  # of the table in a log
# What may differ between two evaluations that are compared.
MAY_DIFFER = {"user_simulator", "user_settings", "versions"}


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    if args.plan:
        show_precision(PLANNED, AGREEMENT, PASS_AT_1)
        return 0
    if args.results:
        sides = [read_side(path) for path in args.results]
        check_alike(args.results)
    else:
        sides = [play_side(side, args) for side in SIDES]
    (rows_a, side_a), (rows_b, side_b) = sides
    rows = [*rows_a.values(), *rows_b.values()]
    agreement = compare(rows_a, rows_b, {"a": side_a, "b": side_b})
    write_json(args.output, agreement.model_dump(mode="json") | record(args, rows))
    show(agreement)
    rate, solved = agreement.agreement, agreement.a.pass_at_1
    if rate is not None and solved is not None and rate < 1:
        show_precision(PLANNED, rate, solved)
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.parser(__doc__)
    parser.add_argument("--output", type=cli.file_to_write, help="JSON file to write")
    agent = parser.add_mutually_exclusive_group(required=True)
    agent.add_argument("--plan", action="store_true", help="say how precise so many tasks are")
    agent.add_argument("--agent", choices=[*sorted(AGENTS), "llm"], help="an agent, no checkpoint")
    agent.add_argument("--checkpoint", type=Path, help="Hugging Face folder of a model")
    agent.add_argument(
        "--results", type=Path, nargs=2, metavar=("A", "B"), help="two evaluations instead"
    )
    add_flags(parser)
    parser.set_defaults(task_split="extra_dev")
    asked = parser.add_argument_group("the agent llm; budgets are for each side")
    asked.add_argument("--agent-model", help="litellm's name of a model")
    asked.add_argument("--agent-api-base", help="of an OpenAI-compatible server")
    add(asked, "user.temperature user.budget_usd user.budget_tokens", "slime", prefix="agent-")
    for side in SIDES:
        add_user(parser, f"user-{side}")
    args = parser.parse_args(argv)
    if args.output is None and not args.plan:
        parser.error("--output is required")
    if (args.agent == "llm") != (args.agent_model is not None):
        parser.error("--agent llm and --agent-model go together")
    return args


def play_side(side: str, args: argparse.Namespace) -> tuple[dict, Side]:
    """Play every task with one simulator, or what is missing. Returns the rows and their sum."""
    options = of_side(side, args)
    print(f"{side}: {options.user}", flush=True)
    simulators = users.from_options(options, args.seed)
    ledger = options.output_path.with_suffix(".user_calls.jsonl")
    if args.checkpoint is not None:
        summary = evaluate(options)
        by_key, usage, spent = rows_of(summary, options.output_path), summary.user_usage, None
    else:
        by_key, usage, spent = play_agent(options, simulators, ledger)
    made = summarise_side(simulators.simulator, by_key, simulators.fingerprint_fields(), usage)
    return by_key, made.model_copy(update={"agent_usage": spent})


def of_side(side: str, args: argparse.Namespace) -> argparse.Namespace:
    """The options as evaluate_tau2.py has them, for one side's user."""
    options = argparse.Namespace(**vars(args))
    for name, value in vars(args).items():
        if name.startswith(f"user_{side}"):
            setattr(options, name.replace(f"user_{side}", "user", 1), value)
    options.output_path = args.output.with_suffix(f".{side}.json")
    options.stage = "compare"
    return options


def read_side(path: Path) -> tuple[dict, Side]:
    """An evaluation that was made before, with the episodes beside it."""
    summary = read_summary(path)
    rows = rows_of(summary, path)
    manifest = summary.manifest
    side = summarise_side(manifest.user_simulator, rows, manifest.user_settings, summary.user_usage)
    return rows, side


def rows_of(summary: EvaluationSummary, path: Path) -> dict[tuple[str, int], EpisodeRow]:
    """The episodes beside an evaluation that are its own: there may be others, of more tasks."""
    rows = {(r.task_id, r.trial): r for r in read_rows(path.with_suffix(".episodes.jsonl"))}
    wanted = {(t.task_id, trial) for t in summary.tasks for trial in range(summary.trials)}
    return {key: row for key, row in rows.items() if key in wanted}


def check_alike(paths: list[Path]) -> None:
    """Two evaluations are compared only if nothing but the user differs. Raises InputError."""
    a, b = (
        {"checkpoint": s.checkpoint, "split": s.split, "trials": s.trials}
        | s.manifest.model_dump(mode="json", exclude=MAY_DIFFER)
        for s in map(read_summary, paths)
    )
    if other := [name for name in a if a[name] != b[name]]:
        raise InputError(
            f"{paths[0]} and {paths[1]} differ in more than the user: {', '.join(other)} "
            f"({a[other[0]]} and {b[other[0]]}). Evaluate again with one of them the same"
        )


def record(args: argparse.Namespace, rows: Sequence[EpisodeRow]) -> dict[str, Any]:
    """What made the numbers."""
    if args.results:
        return {"results": [str(path) for path in args.results]}
    return {
        "agent": args.agent or str(args.checkpoint),
        "agent_model": args.agent_model,
        "agent_temperature": as_sent(agent_settings(args))["temperature"]
        if args.agent == "llm"
        else None,
        "split": args.task_split,
        "selection": selection(args),
        "trials": args.trials,
        "seed": args.seed,
        "played_at": played_at(rows),
        "versions": versions(),
    }


def show(agreement: Agreement) -> None:
    """Print the comparison to the terminal, or 100 columns wide to a log."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    a, b, both = agreement.a, agreement.b, agreement.differences
    table = Table(box=SIMPLE_HEAD, pad_edge=False, caption="95 % intervals in brackets")
    table.add_column("")
    for name in (f"a: {a.user}", f"b: {b.user}", "b - a"):
        table.add_column(name, justify="right")
    table.add_row("episodes", str(a.episodes), str(b.episodes))
    table.add_row("excluded", str(a.excluded), str(b.excluded))
    for name, field, digits in (
        ("pass@1", "pass_at_1", 3),
        ("partial", "partial", 3),
        ("steps", "steps", 1),
        ("agent turns", "agent_turns", 1),
    ):
        gap = both.get(field)
        table.add_row(
            name,
            figure(getattr(a, field), getattr(a, f"{field}_interval", None), digits=digits),
            figure(getattr(b, field), getattr(b, f"{field}_interval", None), digits=digits),
            figure(gap and gap.mean, gap and gap.interval, sign="+", digits=digits),
        )
    table.add_row("unknown utterances", figure(a.unknown_rate), figure(b.unknown_rate))
    if a.early_stops is not None or b.early_stops is not None:
        early = ("-" if side.early_stops is None else str(side.early_stops) for side in (a, b))
        table.add_row("stops while agreeing", *early)
    for end in sorted({*a.ends, *b.ends}):
        table.add_row(f"end: {end}", str(a.ends.get(end, 0)), str(b.ends.get(end, 0)))
    for kind in sorted({*a.failures, *b.failures}):
        row = str(a.failures.get(kind, 0)), str(b.failures.get(kind, 0))
        table.add_row(f"failure: {kind}", *row)
    console = Console(width=None if Console().is_terminal else WIDTH)
    console.print(table)
    rate = figure(agreement.agreement, agreement.agreement_interval)
    kappa = figure(agreement.kappa, agreement.kappa_interval)
    solved = ", ".join(f"{who} {count}" for who, count in agreement.solved_by.items())
    console.print(
        f"{agreement.pairs} pairs, {agreement.unpaired} episodes without a partner; solved by: "
        f"{solved}\nagreement {rate}, Cohen's kappa {kappa}, same end {figure(agreement.same_end)}",
        markup=False,
        highlight=False,
    )


def show_precision(counts: Sequence[int], rate: float, solved: float) -> None:
    """Print how precise a comparison of so many tasks is."""
    print(f"with agreement {rate:.3g} and pass@1 {solved:.3g}, one trial a task (95 % intervals):")
    print("tasks    agreement       kappa    b - a of pass@1")
    for count in counts:
        made = precision(count, rate, solved)
        kappa = "   -" if made.kappa_half_width is None else f"±{made.kappa_half_width:.2f}"
        print(
            f"{count:5d}    [{made.agreement.low:.2f}, {made.agreement.high:.2f}]    {kappa}    "
            f"±{made.difference_half_width:.3f}"
        )


if __name__ == "__main__":
    cli.run(main)
