"""Make the model card of a run's final checkpoint and the data card of its traces.

OUTPUT is the model card; it is also put into the checkpoint as README.md, so that publishing is one
command of the hub's own client, which is printed. The data card, README.md beside the traces, does
the same for them.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from tau2_agent import cli
from tau2_agent.cards.data import data_card, sampled_summary, summary
from tau2_agent.cards.model import base_of, model_card
from tau2_agent.evaluation.results import read_summary
from tau2_agent.files import write_text
from tau2_agent.teachers.trace_schema import read_trace_lines

# What of a checkpoint's folder is no part of the model: states of the training and its records.
NOT_PUBLISHED = ("checkpoint-*", "broken-*", "iter_*", "hf/*", "rollout/*", "logs/*", "*.jsonl*")
NOT_PUBLISHED += ("*.pt", "*.yaml", "latest_checkpointed_iteration.txt")


def main(argv: list[str] | None = None) -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="the final model")
    parser.add_argument("--sft", type=Path, required=True, help="the SFT model")
    parser.add_argument("--rejection", type=Path, nargs="?", help="that of rejection sampling")
    parser.add_argument("--results", type=Path, nargs="+", required=True, help="evaluations")
    parser.add_argument("--traces", type=Path, required=True)
    parser.add_argument("--sampled", type=Path, nargs="?", help="traces of rejection sampling")
    parser.add_argument("--leaks", type=Path, nargs="*", default=[], help="files of the leak gate")
    parser.add_argument("--base", default="demo", help="demo, a hub id, or a folder")
    parser.add_argument("--base-folder", type=Path, required=True, help="where it lies here")
    parser.add_argument("--revision", help="of a hub id")
    parser.add_argument("--teacher", default="the scripted teacher", help="who made the traces")
    parser.add_argument("--user", default="the scripted user", help="who was the user in them")
    parser.add_argument("--command", default="", help="what makes the run again")
    parser.add_argument("--output", type=cli.file_to_write, required=True, help="the model card")
    parser.add_argument("--data-card", type=cli.file_to_write, required=True)
    args = parser.parse_args(argv)

    rows = read_trace_lines(args.traces)
    data = f"{summary(rows)} Made by {args.teacher} with {args.user} as the user."
    if args.sampled is not None:
        data += f" {sampled_summary(args.sampled)}"
    stages = {"sft": args.sft, "rejection": args.rejection, "rl": args.checkpoint}
    card = model_card(
        args.checkpoint.name,
        [read_summary(path) for path in args.results],
        base_of(args.base, args.revision, args.base_folder),
        {stage: folder for stage, folder in stages.items() if folder is not None},
        data,
        args.command,
    )
    told = data_card(args.traces, args.teacher, args.user, args.leaks, args.command)
    write_text(args.data_card, told)
    put_into(args.checkpoint, card)
    write_text(args.output, card)
    print(f"wrote {args.output}, {args.checkpoint / 'README.md'} and {args.data_card}; to publish:")
    excluded = " ".join(shlex.quote(pattern) for pattern in NOT_PUBLISHED)
    print(f"  hf upload YOU/{args.checkpoint.name} {args.checkpoint} --exclude {excluded}")
    included = f"{args.data_card.name} {args.traces.name}"
    print(
        f"  hf upload YOU/tau2-telecom-traces {args.traces.parent} --repo-type dataset "
        f"--include {included}"
    )


def put_into(checkpoint: Path, card: str) -> None:
    """Write the card into a checkpoint that stays as old as it is.

    Snakemake tells by the folder's time whether the model is a new one, to be evaluated again.
    """
    before = checkpoint.stat()
    write_text(checkpoint / "README.md", card)
    os.utime(checkpoint, ns=(before.st_atime_ns, before.st_mtime_ns))


if __name__ == "__main__":
    cli.run(main)
