"""Take traces from a file or a Hugging Face data set, keep those that can be trained on.

The source is JSON lines, a JSON array or Parquet: `messages` in OpenAI's form, `tools`, `task_id`;
`reward`, `end`, `steps` if known. Or it is what tau2 writes: a results.json, or its folder. Each
conversation is checked by itself: tau2_agent/teachers/trace_checks.py says for what.
OUTPUT.rejected.jsonl lists every one that was left out, with its place and the reason;
OUTPUT.source.json says where the others came from. A source of which too much is rejected is
refused as a whole: it is probably not what it was taken for.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from tau2_agent import cli
from tau2_agent.config.program_options import add
from tau2_agent.errors import InputError
from tau2_agent.files import write_json, write_jsonl
from tau2_agent.teachers.trace_checks import RejectedTrace, TraceRules, checked
from tau2_agent.teachers.trace_forms import as_trace
from tau2_agent.teachers.trace_sources import PATTERNS, Entry, entries, files_of, form_of

SHOWN = 10  # rejected conversations on the terminal; the file has all


def main(argv: list[str] | None = None) -> int:
    parser = cli.parser(__doc__)
    parser.add_argument("--source", required=True, help="file, folder, or data set id of the hub")
    parser.add_argument("--teacher", default="file", choices=["file", "hub"], help="what it is")
    parser.add_argument("--revision", help="of a data set: commit hash or tag")
    parser.add_argument(
        "--output", type=cli.file_to_write, required=True, help="trace file to write"
    )
    add(parser, "prompt traces.replace_prompt traces.max_length traces.max_rejected_share", "slime")
    parser.add_argument("--tokenizer", type=Path, help="trained model, whose tokens are counted")
    args = parser.parse_args(argv)

    rules = trace_rules(args)
    files = source_files(args)
    kept, rejected = sift(files, rules)
    write_jsonl(args.output.with_suffix(".rejected.jsonl"), rejected)
    report(kept, rejected, args)
    write_json(args.output.with_suffix(".source.json"), provenance(files, kept, rejected, args))
    write_jsonl(args.output, kept)
    print(f"kept {len(kept)} of {len(kept) + len(rejected)} traces in {args.output}")
    return 0


def trace_rules(args) -> TraceRules:
    """What the traces are held against; loads the tokenizer only if lengths are checked."""
    if (args.tokenizer is None) != (args.max_length is None):
        raise InputError("--tokenizer and --max-length go together: tokens are the model's")
    codec = None
    if args.tokenizer is not None:
        from tau2_agent.rollout.chat_template import ChatCodec
        from tau2_agent.rollout.loading import load_tokenizer

        codec = ChatCodec(load_tokenizer(args.tokenizer))
    return TraceRules(args.prompt, args.replace_prompt, codec, args.max_length)


def source_files(args) -> dict[str, Path]:
    """The files of the source by name, downloaded if need be. Raises InputError."""
    if args.teacher == "hub":
        return files_of(download(args.source, args.revision))
    return files_of(Path(args.source))


def download(source: str, revision: str | None) -> Path:
    """Download a data set of the hub at a revision; returns its folder. Raises InputError."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    from huggingface_hub.utils import disable_progress_bars

    if not revision:
        raise InputError(
            f"traces.source: {source} has no revision; pin one (traces.revision: a commit hash or "
            "tag), so that two runs learn from the same traces"
        )
    disable_progress_bars()
    try:
        folder = snapshot_download(
            source, repo_type="dataset", revision=revision, allow_patterns=list(PATTERNS)
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk, not the hub
        reason = " ".join(str(error).split())
        raise InputError(
            f"traces.source: {source}@{revision} could not be downloaded "
            f"({type(error).__name__}: {reason}). Check the id, the revision, the network and "
            "HF_TOKEN, or take a file (traces.teacher: file)"
        ) from error
    return Path(folder)


def sift(files: dict[str, Path], rules: TraceRules) -> tuple[list[dict], list[dict]]:
    """Check every conversation; returns the good ones, and what is wrong with each other one."""
    kept: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    seen: dict[str, str] = {}
    for name, path in files.items():
        kinds: Counter[str] = Counter()
        for entry in entries(name, path):
            kinds[entry.kind] += 1
            row: Any = None
            try:
                row = _read(entry.content)
                trace = checked(as_trace(row, entry.info), rules)
                _check_new(trace, entry, seen)
            except RejectedTrace as fault:
                task_id = row.get("task_id") if isinstance(row, dict) else None
                rejected.append(
                    {
                        "file": entry.file,
                        entry.kind: entry.number,
                        "task_id": task_id if isinstance(task_id, str) else None,
                        "reason": fault.kind,
                        "detail": fault.detail,
                        "place": entry.place,
                    }
                )
            else:
                kept.append(trace)
        if kinds:
            print(f"{name}: {kinds.total()} conversations, read as {form_of(set(kinds))}")
    return kept, rejected


def report(kept: list[dict], rejected: list[dict], args) -> None:
    """Say what was left out and why. Raises InputError when too little is left."""
    total, where = len(kept) + len(rejected), args.output.with_suffix(".rejected.jsonl")
    if not total:
        raise InputError(f"traces.source: {args.source} holds no trace")
    if unknown := sum(trace["reward"] is None for trace in kept):
        print(f"{unknown} traces do not say their reward; they are taken on trust")
    if not rejected:
        return
    for row in rejected[:SHOWN]:
        print(f"rejected: {row['place']}: {row['reason']}: {row['detail']}")
    if len(rejected) > SHOWN:
        print(f"rejected: {len(rejected) - SHOWN} more")
    counts = Counter(row["reason"] for row in rejected).most_common()
    why = ", ".join(f"{count} {reason}" for reason, count in counts)
    print(f"rejected {len(rejected)} of {total} lines ({why}); all of them are in {where}")
    if not kept:
        raise InputError(
            f"traces.source: no trace of {args.source} can be trained on ({why}); see {where}"
        )
    if len(rejected) > args.max_rejected_share * total:
        raise InputError(
            f"traces.source: {len(rejected)} of {total} lines of {args.source} are rejected "
            f"({why}), more than traces.max_rejected_share {args.max_rejected_share:g}. See "
            f"{where}; mend the source, or raise that share"
        )


def provenance(files: dict[str, Path], kept: list, rejected: list, args) -> dict[str, Any]:
    """Where the traces came from, for the record beside them."""
    return {
        "teacher": args.teacher,
        "source": args.source,
        "revision": args.revision,
        "files": {
            name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()
        },
        "kept": len(kept),
        "rejected": len(rejected),
        "without_reward": sum(trace["reward"] is None for trace in kept),
    }


def _read(content: bytes | dict[str, Any]) -> Any:
    try:
        row = json.loads(content) if isinstance(content, bytes) else content
        json.dumps(row, ensure_ascii=False, default=str).encode()  # JSON can escape half characters
    except (ValueError, RecursionError) as error:  # UnicodeError is a ValueError too
        raise RejectedTrace("json", f"not valid JSON ({getattr(error, 'msg', error)})") from None
    return row


def _check_new(trace: dict[str, Any], entry: Entry, seen: dict[str, str]) -> None:
    """The same conversation twice would count twice."""
    text = json.dumps(trace["messages"], ensure_ascii=False)
    digest = hashlib.sha256(text.encode()).hexdigest()
    if digest in seen:
        raise RejectedTrace("duplicate", f"the same conversation as {seen[digest]}")
    seen[digest] = entry.place


if __name__ == "__main__":
    cli.run(main)
