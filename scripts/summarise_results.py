"""One table over evaluations: results/summary.csv and the terminal.

tau2_agent/evaluation/table.py says what its columns are.
"""

from __future__ import annotations

from pathlib import Path

from tau2_agent import cli
from tau2_agent.evaluation.summary_csv import csv_rows
from tau2_agent.evaluation.table import PLAIN, rows_of_runs, show_rows
from tau2_agent.files import write_text


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
    parser.add_argument("--output", type=cli.file_to_write, required=True, help="the CSV file")
    args = parser.parse_args(argv)

    import pandas as pd

    runs = {PLAIN: args.results} | {name: list(map(Path, files)) for name, *files in args.run}
    rows = rows_of_runs(runs)
    frame = pd.DataFrame(csv_rows(rows))
    write_text(args.output, frame.to_csv(index=False))
    show_rows(rows, parts=True)


if __name__ == "__main__":
    cli.run(main)
