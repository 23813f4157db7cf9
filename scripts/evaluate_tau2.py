"""Evaluate a checkpoint on a split of tau2 telecom, all tasks concurrently.

The model is behind an SGLang server, which is started for it unless `--sglang-port` names one that
runs already, or is loaded here (`--backend cpu`). One JSON line is written as each episode ends, to
OUTPUT.episodes.jsonl: an interrupted evaluation resumes where it was, as long as the checkpoint and
the settings are the same. Then OUTPUT is written, with the averages, their intervals, the reasons
for the ends, every task's result, what needs no model (baselines), and what made the numbers.
Beside it stand the conversations (OUTPUT.transcripts.jsonl.gz; show_episode.py prints them) and the
same episodes as tau2's own results (OUTPUT.tau2.json).

The prompt, the limits and the user are those that the checkpoint was trained with, which it
remembers, unless they are told; a line says where that differs. An edited reward, or other weights,
scores the kept conversations anew and plays nothing.

An episode that ended because the user simulator or the server failed is played again, then left
out of the averages and counted by kind. It is never scored as the agent's. What a language model as
user cost is kept in OUTPUT.user_calls.jsonl; a spent budget, a refused key or too many failures end
the evaluation without a result, and the same command resumes it.
"""

from __future__ import annotations

from pathlib import Path

from tau2_agent import cli
from tau2_agent.config.program_options import add_user
from tau2_agent.evaluation.model_evaluation import add_flags, evaluate
from tau2_agent.evaluation.recalled import USER, leave_out


def main() -> int:
    parser = cli.parser(__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="Hugging Face folder")
    parser.add_argument(
        "--output-path", type=cli.file_to_write, required=True, help="JSON file to write"
    )
    parser.add_argument("--stage", default="rl", help="a name for the table: base, sft, rl")
    parser.add_argument(
        "--compare", type=Path, nargs="*", default=[], help="results to show beside"
    )
    add_flags(parser)
    add_user(parser)
    leave_out(parser, USER)
    args = parser.parse_args()

    from tau2_agent.evaluation.results import read_summary
    from tau2_agent.evaluation.table import show

    summary = evaluate(args)
    show([*map(read_summary, args.compare), summary])
    return 0


if __name__ == "__main__":
    cli.run(main)
