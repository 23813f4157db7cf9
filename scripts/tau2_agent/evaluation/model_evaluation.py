"""A checkpoint plays every task of a split: what evaluate_tau2.py does, as functions.

Rows go into a log as episodes end, so that an interrupted evaluation resumes; then they are
summarised. Where the model runs: model_players.py. Rejection sampling plays by this, too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tau2_agent.benchmark.data_files import data_sha256
from tau2_agent.config.program_options import add, add_partial_weights
from tau2_agent.errors import InputError
from tau2_agent.evaluation.model_players import local_model, served_model, server_account
from tau2_agent.evaluation.playing import PLAYING
from tau2_agent.evaluation.recalled import EPISODE, leave_out, recall
from tau2_agent.rollout.model_folder import require_model
from tau2_agent.source_code import code_digest
from tau2_agent.training.fingerprint import fingerprint
from tau2_agent.users import registry as users

if TYPE_CHECKING:  # tau2 takes a second to import
    from tau2.data_model.tasks import Task

    from tau2_agent.evaluation.results import Manifest
    from tau2_agent.records.episode_log import EpisodeLog
    from tau2_agent.training.trained_for import TrainedFor

EPISODE_TIMEOUT_S = 1800.0


def check(args) -> None:
    """Refuse what cannot work before anything is loaded."""
    require_model(args.checkpoint)
    if args.backend == "cpu" and args.sglang_port:
        raise InputError("--sglang-port goes with --backend slime, not with cpu")


def make_settings(args, simulators: users.Users | None = None) -> Any:
    """The episode's settings, from the options. simulators: those that there are already."""
    from tau2_agent.rollout.episode import Limits
    from tau2_agent.rollout.model_rollout import EpisodeSettings
    from tau2_agent.rollout.policy import Sampling

    return EpisodeSettings(
        prompt=args.prompt,
        users=simulators or users.from_options(args, args.seed),
        sampling=Sampling(args.temperature, max_new_tokens=args.max_new_tokens),
        context_length=args.context_length,
        limits=Limits(
            max_steps=args.max_steps,
            timeout_s=EPISODE_TIMEOUT_S,
            repeat_limit=args.repeat_limit,
        ),
    )


def make_manifest(args, settings) -> Any:
    """What made the numbers."""
    from tau2_agent.benchmark.environment import prompt_sha256
    from tau2_agent.evaluation.results import Manifest
    from tau2_agent.records.provenance import versions

    return Manifest(
        versions=versions(),
        backend=args.backend,
        prompt=settings.prompt,
        prompt_sha256=prompt_sha256(settings.prompt),
        user_simulator=settings.users.simulator,
        user_settings=settings.users.fingerprint_fields(),
        seed=args.seed,
        sampling=asdict(settings.sampling),
        limits=asdict(settings.limits) | {"context_length": settings.context_length},
        partial_weights=args.weights._asdict(),
        server=server_account(args),
    )


def evaluation_fingerprint(args, manifest) -> str:
    """Name what decides how episodes go: rows of the same name belong together."""
    from tau2_agent.inference.server_arguments import deciding

    decides = manifest.model_dump(exclude={"partial_weights"})
    server = decides["server"]
    for name in [name for name in server if name.endswith("p_size")]:
        del server[name]  # GPUs: last digits
    if "arguments" in server:
        server["arguments"] = deciding(server["arguments"])
    decides |= {"domain": args.domain, "data": data_sha256()}
    mark = fingerprint({"checkpoint": args.checkpoint}, decides, code=code_digest(*PLAYING))
    return hashlib.sha256(json.dumps(mark, sort_keys=True).encode()).hexdigest()


def selection(args) -> dict[str, Any]:
    """Which tasks of the split are played, for the record."""
    if args.first is not None:
        return {"rule": "first", "num_tasks": args.first}
    rule = "all" if args.num_tasks < 0 else "stratified"
    return {"rule": rule, "num_tasks": args.num_tasks}


def chosen_tasks(args) -> list[Any]:
    """The tasks to play, in the order of the split. Raises InputError if none is left."""
    from tau2_agent.benchmark.selection import draw
    from tau2_agent.benchmark.tasks import get_task, load_tasks, split_ids

    if args.first is not None and args.num_tasks >= 0:
        raise InputError("--first and --num-tasks both say which tasks are played; give one")
    tasks = load_tasks(args.task_split)
    if args.first is not None:
        tasks = tasks[: max(args.first, 0)]
    elif args.num_tasks >= 0:
        tasks = [get_task(task_id) for task_id in draw(split_ids(args.task_split), args.num_tasks)]
    if not tasks:
        asked = selection(args)
        raise InputError(f"{asked['rule']} {asked['num_tasks']}: no task is left to evaluate")
    return tasks


@dataclass(frozen=True)
class Played:
    """Every task's episodes: their rows, the file of their transcripts, and what made them.

    user_usage: what a language model as user was asked for, None if none was. trained_for: what the
    checkpoint remembers.
    """

    log: EpisodeLog
    transcripts: Path
    manifest: Manifest
    user_usage: dict[str, Any] | None
    copies: bool
    trained_for: TrainedFor | None


@contextlib.contextmanager
def played(args, tasks: Sequence[Task], doing: str = "evaluate") -> Iterator[Played]:
    """Play what is missing of `args.trials` episodes of each task; the files are held meanwhile.

    The files lie beside `args.output_path`. doing: a word for the lines that say how far it is.
    """
    from tau2_agent.evaluation.rescoring import made_by, rescore
    from tau2_agent.evaluation.results import COPIES
    from tau2_agent.records.episode_log import EpisodeLog
    from tau2_agent.records.transcripts import TranscriptFile, transcripts_path

    check(args)
    record = recall(args, args.checkpoint)
    by_id = {task.id: task for task in tasks}
    settings = make_settings(args)
    manifest = make_manifest(args, settings)
    fingerprint = evaluation_fingerprint(args, manifest)
    copies = args.trials > 1 and args.temperature == 0 and settings.users.deterministic
    if copies:
        print(f"--trials {args.trials}: {COPIES}", flush=True)
    said = transcripts_path(args.output_path)
    with (
        EpisodeLog(
            args.output_path.with_suffix(".episodes.jsonl"),
            fingerprint,
            made_by=made_by(args.weights),
        ) as log,
        TranscriptFile(said, fingerprint) as transcripts,
    ):
        ledger = args.output_path.with_suffix(".user_calls.jsonl")
        rescore(log, transcripts, by_id, args.weights)
        play_missing(by_id, settings, args, log, transcripts, (ledger, fingerprint), doing)
        usage = settings.users.usage(ledger, fingerprint)
        yield Played(log, said, manifest, usage, copies, record)


def evaluate(args) -> Any:
    """Play what is missing, write the summary and tau2's own results, return the summary."""
    from tau2_agent.evaluation.baselines import baselines
    from tau2_agent.evaluation.results import summarise
    from tau2_agent.evaluation.tau2_results import write_tau2_results
    from tau2_agent.files import write_text

    tasks = chosen_tasks(args)
    task_ids = [task.id for task in tasks]
    with played(args, tasks) as done:
        rows, record = done.log.rows, done.trained_for
        summary = summarise(
            rows.values(),
            task_ids=task_ids,
            trials=args.trials,
            stage=args.stage,
            checkpoint=str(args.checkpoint),
            split=args.task_split,
            manifest=done.manifest,
            user_usage=done.user_usage,
            selection=selection(args),
            copies=done.copies,
            baselines=baselines(task_ids),
            trained_for=record and record.model_dump(exclude_none=True),
        )
        tau2 = args.output_path.with_suffix(".tau2.json")
        write_tau2_results(tau2, summary, rows, done.transcripts)
    write_text(args.output_path, summary.model_dump_json(indent=2) + "\n")
    return summary


def play_missing(by_id, settings, args, log, transcripts, ledger, doing) -> None:
    """Play what has no row yet, with its transcript; the same command continues it."""
    from tau2_agent.records.progress import Progress

    missing = log.missing(by_id, args.trials, transcripts.keys)
    jobs = [(by_id[task_id], trial) for task_id, trial in missing]
    if lost := len(missing) - len(log.missing(by_id, args.trials)):
        print(f"{lost} episodes have no transcript in {transcripts.path}: played again", flush=True)
    done = len(by_id) * args.trials - len(jobs)
    if done:
        print(f"{done} episodes of {len(by_id) * args.trials} are done already", flush=True)
    if not jobs:
        return

    # imports PyTorch: not for what is done already
    from transformers.utils.logging import disable_progress_bar

    from tau2_agent.rollout.chat_template import ChatCodec
    from tau2_agent.rollout.loading import load_tokenizer
    from tau2_agent.rollout.room import require_room

    disable_progress_bar()  # of loading weights
    codec = ChatCodec(load_tokenizer(args.checkpoint))
    section = "grpo" if doing == "sample" else "evaluation"
    option = f"{section}.context_length (--context-length)"
    require_room(codec, args.prompt, args.context_length, option)
    settings.users.open(*ledger)
    settings.users.failures.counted(done)
    player = served_model if args.backend == "slime" else local_model
    tokenizer = codec.tokenizer if args.keep_tokens else None
    with Progress(f"{doing} {args.output_path}", done + len(jobs), done) as progress:
        progress.solved = log.solved(by_id, args.trials)
        write = recorder(by_id, log, transcripts, progress, tokenizer)
        asyncio.run(player(jobs, codec, settings, args, write))


def recorder(by_id, log, transcripts, progress, tokenizer=None) -> Callable[..., None]:
    """What is called with the row and the trajectory of each episode, and writes them down."""
    from tau2_agent.records.conversation import make_transcript

    def write(row, trajectory) -> None:
        # The conversation first: a row without one would never get it.
        transcripts.append(
            make_transcript(by_id[row.task_id], trajectory, row, tokenizer=tokenizer)
        )
        log.append(row)
        progress.episode(row.solved, row.sampled_tokens)

    return write


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the options on tasks, model, server and episodes; what an evaluation recalls has no
    default of its own."""
    which = parser.add_argument_group("tasks")
    which.add_argument("--domain", default="telecom", choices=["telecom"])
    which.add_argument("--task-split", default="test", help="a split of tau2 or of tasks.py")
    add(which, "evaluation.num_tasks evaluation.trials", "slime")
    which.add_argument("--first", type=int, help="the first N instead, as tau2's own --num-tasks")
    add_playing(
        parser,
        "evaluation.temperature evaluation.max_new_tokens evaluation.context_length"
        " evaluation.max_steps",
        "slime",
    )
    add(parser, "evaluation.keep_tokens", "slime")
    parser.set_defaults(repeat_limit=0)  # tau2 lets a loop go on
    leave_out(parser, EPISODE)


def add_playing(parser: argparse.ArgumentParser, limits: str, backend: str) -> None:
    """Add the options on who plays, and how, that `played` reads.

    limits: the keys of an episode's temperature and limits. backend: whose preset gives defaults.
    """
    model = parser.add_argument_group("model")
    model.add_argument("--backend", default="slime", choices=["slime", "cpu"])
    add(model, "evaluation.sglang_port", backend)
    add(
        parser.add_argument_group("a server of our own"),
        "slime.tensor_parallel slime.server_args",
        backend,
    )
    episode = parser.add_argument_group("episodes")
    add(episode, f"prompt {limits} evaluation.concurrency seed", backend)
    add(episode, "evaluation.max_failure_share", backend)
    add_partial_weights(episode)
