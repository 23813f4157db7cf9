"""Print conversations of an evaluation in the terminal, with calls, changes of state and checks.

    show_episode.py results/eval_test.json                     every episode, a line each
    show_episode.py results/eval_test.json roaming_off         the tasks whose id has these words
    show_episode.py results/eval_test.json 3 --trial 1         the task of that number in the list
    show_episode.py results/eval_test.json --failures          the conversations that failed
    show_episode.py results/eval_test.json 3 --compare results/sft/eval_test.json    two models
    show_episode.py checkpoints/NAME_rl_telecom --rollout 7    what GRPO kept of a rollout

It reads FILE.transcripts.jsonl.gz beside the results, also while the evaluation runs, and files
that `tau2 run` wrote.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tau2_agent import cli
from tau2_agent.errors import InputError
from tau2_agent.evaluation.conversation_text import first_difference, headline, show
from tau2_agent.evaluation.tau2_results import read_tau2_results
from tau2_agent.records.samples import TRANSCRIPTS
from tau2_agent.records.transcripts import Transcript, read_transcripts, transcripts_path


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    episodes = chosen(read(args.results), args)
    if not episodes:
        raise InputError(
            f"{args.results}: no episode is what was asked for; to list all of its episodes: "
            f"show_episode.py {args.results}"
        )
    others = read(args.compare) if args.compare else []

    from rich.console import Console

    console = Console(highlight=False)
    # Everything is a list; what was picked out is told in full.
    if args.task is None and args.rollout is None and not args.failures:
        for number, episode in episodes:
            console.print(f"{number:4} ", headline(episode), soft_wrap=True)
        return
    for number, episode in episodes:
        console.print(show(episode, f"{number}, {args.results}", args.whole))
        for other in others:
            if (other.task_id, other.trial) == (episode.task_id, episode.trial):
                place = first_difference(episode, other)
                console.print(show(other, f"{number}, {args.compare}", args.whole))
                same = "say the same" if place is None else f"differ from message {place} on"
                console.print(f"{args.results} and {args.compare} {same}", style="bold")


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("results", type=Path, help="an evaluation, a GRPO checkpoint, or tau2's")
    parser.add_argument("task", nargs="?", help="words of its id, or its number in the list")
    parser.add_argument("--trial", type=int, help="one of several trials")
    parser.add_argument("--failures", action="store_true", help="only episodes that failed")
    parser.add_argument("--rollout", type=int, help="of a GRPO checkpoint")
    parser.add_argument("--compare", type=Path, help="the same episode by another model")
    parser.add_argument("--whole", action="store_true", help="long answers of tools in full")
    return parser.parse_args(argv)


def read(path: Path) -> list[Transcript]:
    """The episodes behind a path. Raises InputError when there are none."""
    candidates = [path, path / TRANSCRIPTS, transcripts_path(path)]
    for file in candidates:
        if file.name.endswith(".jsonl.gz") and file.is_file():
            return read_transcripts(file, tokens=False)
    if path.name.endswith(".tau2.json") or path.is_dir() or path.is_file():
        return read_tau2_results(path)
    raise InputError(f"{path}: no conversations here; looked for {', '.join(map(str, candidates))}")


def chosen(episodes: list[Transcript], args: argparse.Namespace) -> list[tuple[int, Transcript]]:
    """(number, episode) of what was asked for. Episodes are numbered task by task, from 1."""
    numbers = {
        task_id: n for n, task_id in enumerate(dict.fromkeys(e.task_id for e in episodes), 1)
    }
    return [
        (numbers[episode.task_id], episode)
        for episode in episodes
        if (args.trial is None or episode.trial == args.trial)
        and (args.rollout is None or episode.rollout == args.rollout)
        and not (args.failures and (episode.solved or episode.excluded))
        and _named(args.task, episode.task_id, numbers)
    ]


def _named(wanted: str | None, task_id: str, numbers: dict[str, int]) -> bool:
    if wanted is None:
        return True
    if wanted.isdecimal():
        return numbers[task_id] == int(wanted)
    return all(word in task_id for word in wanted.split())


if __name__ == "__main__":
    cli.run(main)
