"""Write tau2 telecom tasks as the prompt files of an RL trainer: telecom_{split}_tasks.jsonl.

A line is {"index": 0, "metadata": {"domain", "task_id", "split"}}: all that a rollout needs to
find its task again. slime reads such a file with `--input-key index --metadata-key metadata`;
there is no prompt in it, because the episode writes the prompt. slime skips lines that it cannot
parse, so a file is written whole or not at all.

Tasks come from the installed tau2, or from the checkout that TAU2_DATA_DIR names.
"""

from __future__ import annotations

from pathlib import Path

from tau2_agent import cli
from tau2_agent.benchmark.tasks import DOMAIN, split_ids
from tau2_agent.errors import InputError
from tau2_agent.files import is_disk_full, write_jsonl


def task_lines(split: str) -> list[dict]:
    """The lines of a split's file, in the order of `split_ids`. Raises UnknownSplit."""
    return [
        {"index": index, "metadata": {"domain": DOMAIN, "task_id": task_id, "split": split}}
        for index, task_id in enumerate(split_ids(split))
    ]


def main(argv: list[str] | None = None) -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--local_dir", type=Path, required=True, help="folder for the files")
    parser.add_argument("--domain", choices=[DOMAIN], default=DOMAIN)
    parser.add_argument("--split", nargs="+", default=["train", "test"], help="splits to write")
    args = parser.parse_args(argv)
    files = {split: task_lines(split) for split in args.split}  # all names checked before a write
    for split, lines in files.items():
        path = args.local_dir / f"{args.domain}_{split}_tasks.jsonl"
        try:
            write_jsonl(path, lines)
        except OSError as error:
            if is_disk_full(error):
                raise InputError(
                    f"{path}: the disk or the quota is full; nothing was written. "
                    "Free some space and run again."
                ) from error
            raise InputError(
                f"{path}: cannot be written ({error.strerror}). "
                "Let --local_dir name a folder that you may write to."
            ) from error
        print(f"{path}: {len(lines)} tasks")


if __name__ == "__main__":
    cli.run(main)
