"""Make results/report.html: one page with the results, the curves, the cost and every conversation.

The page is one file and loads nothing from anywhere: it can be mailed, archived, or opened from a
disk. First the numbers with their intervals, then training curves, time and cost, what made the
numbers; and a viewer for the episodes that the evaluations kept. Nothing is computed here that the
evaluations do not say; what a record does not hold is left out of the page.
"""

from __future__ import annotations

import json
from pathlib import Path

from tau2_agent import cli
from tau2_agent.errors import InputError
from tau2_agent.evaluation.table import PLAIN


def main(argv: list[str] | None = None) -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--results", type=Path, nargs="+", required=True, help="evaluation files")
    parser.add_argument(
        "--run",
        nargs="+",
        action="append",
        default=[],
        metavar=("NAME", "FILE"),
        help="name and evaluation files of a run beside them",
    )
    parser.add_argument(
        "--training",
        nargs=3,
        action="append",
        default=[],
        metavar=("RUN", "STAGE", "FOLDER"),
        help="a checkpoint whose curves are shown, such as: plain sft checkpoints/x_sft_telecom",
    )
    parser.add_argument("--traces", type=Path, help="the teacher traces")
    parser.add_argument(
        "--sampled",
        nargs=2,
        action="append",
        default=[],
        metavar=("RUN", "FILE"),
        help="traces of rejection sampling of a run",
    )
    parser.add_argument("--timings", type=Path, help="folder of Snakemake's benchmark files")
    parser.add_argument("--config", default="{}", help="the configuration in force, as JSON")
    parser.add_argument("--command", default="", help="the command that makes the results again")
    parser.add_argument("--output", type=cli.file_to_write, required=True, help="the HTML file")
    args = parser.parse_args(argv)

    try:
        config = json.loads(args.config)
    except ValueError as error:
        raise InputError(f"--config is not valid JSON: {error}") from None
    if not isinstance(config, dict):
        raise InputError(f"--config is no mapping of keys to values: {args.config}")

    from tau2_agent.files import write_text
    from tau2_agent.report.page import Sources, make_page
    from tau2_agent.report.trainings import Sampled

    runs = {PLAIN: args.results} | {name: list(map(Path, files)) for name, *files in args.run}
    sources = Sources.read(
        runs,
        [(run, stage, Path(folder)) for run, stage, folder in args.training],
        traces=args.traces,
        sampled=[Sampled.read(run, Path(file)) for run, file in args.sampled],
        timings=args.timings,
        config=config,
        command=args.command,
    )
    page = make_page(sources)
    write_text(args.output, page)
    print(f"{args.output}: {len(page.encode()) / 1e6:.1f} MB, {sources.episodes} episodes")


if __name__ == "__main__":
    cli.run(main)
