"""Let the SFT model play tasks several times and keep what it solved, as traces for a second SFT.

The evaluation's own loop plays: the same episodes, server or local model, transcripts, and resume
after a kill; more --samples-per-task play only what is missing. Which episodes are kept says
tau2_agent/teachers/kept_episodes.py. OUTPUT has them as traces, with the tokens as they were
sampled; OUTPUT.rejected.jsonl lists every other episode with the reason, OUTPUT.source.json counts
both and says what made them. Beside these lie the rows (OUTPUT.episodes.jsonl) and all
conversations (OUTPUT.transcripts.jsonl.gz; show_episode.py prints them).

What is kept is chosen anew at each start; no episode is played twice.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from tau2_agent import cli
from tau2_agent.config.program_options import add, add_user, backend_of
from tau2_agent.errors import InputError
from tau2_agent.evaluation.model_evaluation import add_playing
from tau2_agent.files import content_hash, write_json, write_jsonl
from tau2_agent.source_code import code_digest


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = cli.parser(__doc__)
    backend = backend_of(arguments)
    parser.add_argument("--checkpoint", type=Path, required=True, help="the model that plays")
    parser.add_argument("--tasks", type=Path, required=True, help="task file (tau2_mock.py)")
    parser.add_argument(
        "--output",
        dest="output_path",
        type=cli.file_to_write,
        required=True,
        help="trace file to write",
    )
    parser.add_argument(
        "--beside", type=Path, nargs="*", default=[], help="trace files that are learnt from, too"
    )
    add(
        parser.add_argument_group("what is played and kept"),
        "rejection_sampling.samples_per_task rejection_sampling.num_tasks rejection_sampling.issues"
        " rejection_sampling.keep_per_task rejection_sampling.min_partial sft.max_length",
        backend,
        dest={"rejection_sampling.samples_per_task": "trials"},  # as in an evaluation
    )
    add_playing(
        parser,
        "rejection_sampling.temperature grpo.max_new_tokens grpo.context_length grpo.max_steps"
        " grpo.repeat_limit",
        backend,
    )
    add_user(parser, trains=True)
    parser.set_defaults(domain="telecom", keep_tokens=True)
    return parser.parse_args(arguments)


def main() -> int:
    args = parse()
    if args.trials == 0:
        raise InputError("--samples-per-task 0 plays nothing; say how many episodes a task")
    if args.issues == "balanced" and args.num_tasks < 0:
        raise InputError(
            "--issues balanced is about which tasks are drawn, and --num-tasks -1 plays all; give "
            "a number, or --issues proportional"
        )

    from tau2_agent.benchmark.tasks import get_task
    from tau2_agent.evaluation.model_evaluation import played
    from tau2_agent.records.transcripts import read_transcripts
    from tau2_agent.rollout.chat_template import ChatCodec
    from tau2_agent.rollout.loading import load_tokenizer
    from tau2_agent.rollout.model_folder import require_model
    from tau2_agent.rollout.room import require_room
    from tau2_agent.teachers.kept_episodes import Choice, choose
    from tau2_agent.training.sft_data import read_traces

    task_ids = chosen_tasks(args)
    # Now: what cannot be learnt from, or is not there, must not cost the episodes' hours.
    require_model(args.checkpoint)
    codec = ChatCodec(load_tokenizer(args.checkpoint))
    require_room(codec, args.prompt, args.max_length, "sft.max_length (--max-length)")
    beside = read_traces(args.beside, args.prompt)
    with played(args, [get_task(task_id) for task_id in task_ids], "sample") as done:
        told = {(one.task_id, one.trial): one for one in read_transcripts(done.transcripts)}
        # Not as they ended: the order of a trace file must not depend on the machine.
        episodes = [told[i, trial] for i in task_ids for trial in range(args.trials)]
        kept = choose(
            episodes,
            Choice(
                args.prompt,
                codec,
                args.max_length,
                args.keep_per_task,
                args.min_partial,
                beside,
            ),
        )
    counts = count(episodes, kept)
    write_jsonl(args.output_path.with_suffix(".rejected.jsonl"), kept.dropped)
    write_json(
        args.output_path.with_suffix(".source.json"),
        {
            "stage": "rejection_sampling",
            "checkpoint": str(args.checkpoint),
            **counts,
            "samples_per_task": args.trials,
            "num_tasks": args.num_tasks,
            "issues": args.issues,
            "keep_per_task": args.keep_per_task,
            "min_partial": args.min_partial,
            "inputs": {
                str(path): content_hash(path)
                for path in (args.checkpoint, args.tasks, *args.beside)
            },
            "fingerprint": done.log.fingerprint,
            "code": code_digest("rejection_sampling"),
            "manifest": done.manifest.model_dump(mode="json"),
            "user_usage": done.user_usage,
        },
    )
    say(counts, args)
    write_jsonl(args.output_path, kept.traces)
    return 0


def chosen_tasks(args: argparse.Namespace) -> list[str]:
    """Ids of the tasks that are played, in the order of the file. Raises TaskFileError."""
    from tau2_agent.benchmark.selection import draw, draw_evenly
    from tau2_agent.benchmark.tasks import read_task_file

    task_ids = list(dict.fromkeys(row.task_id for row in read_task_file(args.tasks)))
    if args.num_tasks < 0:
        return task_ids
    return (draw_evenly if args.issues == "balanced" else draw)(task_ids, args.num_tasks)


def count(episodes: list[Any], kept: Any) -> dict[str, Any]:
    """Episodes and tasks: played, solved, kept; how they ended, and why others were dropped."""
    return {
        "episodes": len(episodes),
        "solved": sum(one.solved for one in episodes),
        "kept": len(kept.traces),
        "tasks": len({one.task_id for one in episodes}),
        "tasks_solved": len({one.task_id for one in episodes if one.solved}),
        "tasks_kept": len({trace["task_id"] for trace in kept.traces}),
        "ends": dict(Counter(one.end.value for one in episodes).most_common()),
        "dropped": dict(Counter(row["reason"] for row in kept.dropped).most_common()),
    }


def say(counts: dict[str, Any], args: argparse.Namespace) -> None:
    """One line on what was kept. Raises InputError if that is nothing."""
    why = ", ".join(f"{number} {reason}" for reason, number in counts["dropped"].items())
    where = args.output_path.with_suffix(".rejected.jsonl")
    if not counts["kept"]:
        ends = ", ".join(f"{end} {number}" for end, number in counts["ends"].items())
        raise InputError(
            f"of {counts['episodes']} episodes of {args.checkpoint} none can be learnt from "
            f"({why}; {where} has each); they ended by {ends}. Play other tasks "
            "(tasks.rejection_sampling), raise rejection_sampling.samples_per_task, set "
            "rejection_sampling.min_partial, or leave the stage out (samples_per_task: 0)"
        )
    print(
        f"kept {counts['kept']} of {counts['episodes']} episodes, on {counts['tasks_kept']} of "
        f"{counts['tasks']} tasks ({counts['tasks_solved']} were solved); "
        f"dropped: {why or 'none'}; each with its reason in {where}",
        flush=True,
    )


if __name__ == "__main__":
    cli.run(main)
