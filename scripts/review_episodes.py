"""Have a language model say whose fault failed episodes are: the agent's or the user simulator's.

    review_episodes.py --conversations data/teacher_traces.attempts.jsonl \\
        --model gemini/gemini-2.5-flash --budget-usd 2 --output review.json

CONVERSATIONS are files with a conversation a line: task_id, reward, end and messages with both
sides' tool calls (`*.attempts.jsonl`, transcripts, also with .gz). Without one, only the handful
labelled by hand is reviewed, which tells whether a model can be trusted with this: OUTPUT always
has the agreement with those labels (share, Cohen's kappa). Reviews are kept in
OUTPUT.reviews.jsonl as they end; a job that was stopped resumes without paying for them again.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tau2_agent import cli
from tau2_agent.config.program_options import add
from tau2_agent.errors import InputError, first_problem
from tau2_agent.evaluation.review import Conversation, Review, agreement, request, review
from tau2_agent.evaluation.statistics import figure
from tau2_agent.files import write_json
from tau2_agent.llm.client import LLM, Ledger, LLMFailure, settings_from_options
from tau2_agent.llm.ledger import spending
from tau2_agent.records.episode_row import SOLVED
from tau2_agent.rollout.episode import together
from tau2_agent.rollout.trajectory import JobStop

LABELLED = Path(__file__).resolve().parents[1] / "experiments" / "labelled_conversations.jsonl"


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    found = [c for path in [LABELLED, *args.conversations] for c in read_conversations(path)]
    chosen = [c for c in found if c.label or args.all or (c.reward or 0.0) < SOLVED]
    print(f"{len(chosen)} conversations to review", flush=True)
    reviews, usage = asyncio.run(review_all(chosen, args))
    summary = summarise(chosen, reviews) | {"model": args.model, "usage": usage}
    write_json(args.output, summary)
    show(summary)
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.parser(__doc__)
    parser.add_argument("--conversations", type=Path, nargs="*", default=[], help="files of them")
    parser.add_argument("--all", action="store_true", help="those that were solved too")
    parser.add_argument("--model", required=True, help="litellm's name of the reviewing model")
    parser.add_argument("--api-base", help="of an OpenAI-compatible server (model openai/NAME)")
    add(
        parser,
        "user.temperature user.max_tokens user.options user.concurrency traces.timeout_s"
        " user.budget_usd user.budget_tokens",
        "slime",
    )
    parser.add_argument(
        "--output", type=cli.file_to_write, required=True, help="JSON file to write"
    )
    return parser.parse_args(argv)


def read_conversations(path: Path) -> list[Conversation]:
    """The conversations of a file; of one that was played again, the last. Raises InputError."""
    opener = gzip.open if path.suffix == ".gz" else open
    found: dict[tuple[str, int], Conversation] = {}
    try:
        with opener(path, "rt", encoding="utf-8") as stream:
            number = 0
            for line in stream:
                number += 1
                if not line.endswith("\n"):
                    break  # a kill cut it
                one = Conversation.model_validate_json(line)
                found[one.task_id, one.trial] = one
    except ValidationError as error:
        raise InputError(
            f"{path}, line {number}: no conversation with its messages ({first_problem(error)}). "
            "Evaluations keep messages in their transcripts, teachers in *.attempts.jsonl"
        ) from None
    except (gzip.BadGzipFile, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error})") from None
    return list(found.values())


async def review_all(
    conversations: list[Conversation], args: argparse.Namespace
) -> tuple[dict[str, Review | None], dict[str, Any]]:
    """Review what was not reviewed yet; returns reviews by key, and what they cost."""
    decides = [args.model, args.temperature, args.max_tokens, args.options]
    fingerprint = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
    done = args.output.with_suffix(".reviews.jsonl")
    reviews: dict[str, Review | None] = dict(read_reviews(done, fingerprint))
    if reviews:
        print(f"{len(reviews)} reviews are done already", flush=True)
    ledger = Ledger(args.output.with_suffix(".review_calls.jsonl"), fingerprint)
    llm = LLM(settings_from_options(args, ""), ledger)
    done.parent.mkdir(parents=True, exist_ok=True)
    with open(done, "a", encoding="utf-8") as stream:

        async def one(key: str, conversation: Conversation) -> None:
            try:
                reviews[key] = found = await review(conversation, llm)
            except LLMFailure as failure:
                raise JobStop(
                    f"the reviewer: {failure}. What is done is kept: mend the cause and run the "
                    "same command again"
                ) from None
            if found is not None:
                row = {
                    "fingerprint": fingerprint,
                    "key": key,
                    "review": found.model_dump(mode="json"),
                }
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")
                stream.flush()

        todo = {key: c for c in conversations if (key := key_of(c)) not in reviews}
        try:
            await together(one(key, c) for key, c in todo.items())
        finally:
            await llm.close()
            total = {"model": args.model, **ledger.total()}
            print(spending(f"reviewer {args.model}", total), flush=True)
    return reviews, total


def key_of(conversation: Conversation) -> str:
    """What was asked names a review: other messages, or another prompt, are another one."""
    return hashlib.sha256(json.dumps(request(conversation)).encode()).hexdigest()[:16]


def read_reviews(path: Path, fingerprint: str):
    """(Key, review) of an earlier part of the same review; what a kill cut is done again."""
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            row = json.loads(line)
            # "run": its name in earlier versions
            if row.get("fingerprint", row.get("run")) == fingerprint:
                yield row["key"], Review.model_validate(row["review"])
        except (ValueError, KeyError, TypeError, AttributeError):
            continue


def summarise(chosen: list[Conversation], reviews: dict[str, Review | None]) -> dict[str, Any]:
    """Counts over the episodes, and the agreement on the labelled handful."""
    pairs = [(c, reviews[key_of(c)]) for c in chosen]
    unlabelled = [found for c, found in pairs if found and not c.label]
    errors = [error for found in unlabelled for error in found.errors]
    labelled = [(c.label, found) for c, found in pairs if c.label and found]
    return {
        "reviewed": len(unlabelled),
        "without_review": sum(found is None for _, found in pairs),
        "faults": dict(Counter(found.fault for found in unlabelled).most_common()),
        "errors": dict(Counter(f"{e.source}, {e.severity}" for e in errors).most_common()),
        "tags": dict(
            Counter(f"{e.source}, {tag}" for e in errors for tag in e.error_tags).most_common()
        ),
        "agreement_with_labels": agreement(labelled).model_dump(mode="json"),
        "episodes": [
            {
                "task_id": c.task_id,
                "trial": c.trial,
                "end": c.end,
                "label": c.label and c.label.fault,
                "fault": found and found.fault,
                "first_critical": found and found.first_critical,
                "review": found and found.model_dump(mode="json"),
            }
            for c, found in pairs
        ],
    }


def show(summary: dict[str, Any]) -> None:
    """Say the counts and how far they can be trusted."""
    if summary["reviewed"]:
        faults = ", ".join(f"{who} {count}" for who, count in summary["faults"].items())
        print(f"{summary['reviewed']} episodes; first critical error by: {faults}")
    if summary["without_review"]:
        print(f"{summary['without_review']} conversations without a review that could be read")
    known = summary["agreement_with_labels"]
    print(
        f"on {known['conversations']} conversations labelled by hand: same fault "
        f"{figure(known['same_fault'])}, Cohen's kappa {figure(known['kappa'])}, same message "
        f"{figure(known['same_message'])}"
    )


if __name__ == "__main__":
    cli.run(main)
