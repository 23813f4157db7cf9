"""Traces of a teacher or a user that costs money: played once, kept in files, counted.

For an output X.jsonl there are X.attempts.jsonl (every finished episode), X.teacher_calls.jsonl and
X.user_calls.jsonl (every call) and X.usage.json (the sums). The options are teacher_traces.py's.

Left out: the order of attempts (rejection_sampling.py), and the trace file itself
(teacher_traces.py).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tau2_agent.benchmark.data_files import data_sha256
from tau2_agent.benchmark.environment import prompt_sha256
from tau2_agent.benchmark.tasks import get_task
from tau2_agent.files import write_json
from tau2_agent.llm.client import LLM, LLMFailure, LLMSettings, settings_from_options
from tau2_agent.llm.ledger import Ledger, spending
from tau2_agent.llm.sent import as_sent
from tau2_agent.records.episode_log import EpisodeLog
from tau2_agent.records.episode_row import episode_row
from tau2_agent.records.provenance import played_at
from tau2_agent.rollout.episode import Limits, run_episode
from tau2_agent.rollout.trajectory import EndReason, JobStop
from tau2_agent.source_code import code_digest
from tau2_agent.teachers.baselines import make_agent
from tau2_agent.teachers.llm import LLMTeacher
from tau2_agent.teachers.rejection_sampling import (
    Attempt,
    Player,
    attempt_all,
    chosen,
    score_anew,
    trace_of,
)
from tau2_agent.teachers.trace_checks import RejectedTrace, TraceRules, checked
from tau2_agent.users.registry import Users

# The code that decides how an attempt goes. Whether it is taught is decided anew each time.
PLAYING = (
    "tau2_agent.rollout.episode",
    "tau2_agent.users.registry",
    "tau2_agent.teachers.baselines",
    "tau2_agent.teachers.llm",
)
# What is taught has tau2's own reward 1: how a training shapes its reward does not matter.
SCORING = "tau2_agent.reward.scoring"
FEWEST = 20  # episodes before a share of failures means anything
MOST_FAILED = 0.5  # of the episodes, for the sake of the teacher's server


def paid_traces(task_ids: list[str], users: Users, args) -> list[dict[str, Any]]:
    """The traces of a job in which a language model plays. Raises JobStop."""
    taught, fingerprint = Taught(args), attempt_fingerprint(users, args)
    ledgers = {who: args.output.with_suffix(f".{who}_calls.jsonl") for who in ("teacher", "user")}
    teacher = open_teacher(ledgers["teacher"], fingerprint, args)
    users.open(ledgers["user"], fingerprint)
    teacher_failures = TeacherFailures()
    done = solved = 0

    def count(attempt: Attempt) -> None:
        users.failures.count(attempt)
        teacher_failures.count(attempt)

    def tell(task_id: str, good: bool) -> None:
        nonlocal done, solved
        done, solved = done + 1, solved + good
        if done % max(len(task_ids) // 10, 1) == 0 or done == len(task_ids):
            print(f"{done}/{len(task_ids)} tasks, {solved} solved", flush=True)

    async def play(log: EpisodeLog) -> None:
        try:
            await attempt_all(
                task_ids,
                player(teacher, users, args),
                log,
                attempts=args.attempts,
                concurrency=args.concurrency,
                accept=taught.accept,
                count=count,
                tell=tell,
            )
        finally:
            await users.close()
            if teacher is not None:
                await teacher.close()

    path = args.output.with_suffix(".attempts.jsonl")
    scored_by = code_digest(SCORING, without=("tau2_reward_shaping",))
    made_by = {"code": code_digest(*PLAYING), "scored_by": scored_by, **played_at()}
    with EpisodeLog(path, fingerprint, row_type=Attempt, durable=True, made_by=made_by) as log:
        if done := sum(not row.excluded for row in log.rows.values()):
            print(f"{done} attempts are done already", flush=True)
            if anew := score_anew(log, scored_by):
                print(f"{anew} of them were scored by other code: scored anew", flush=True)
            users.failures.counted(done)
        try:
            asyncio.run(play(log))
        finally:
            kept = chosen(log.rows.values(), task_ids, taught.accept)
            spent = {"user": users.usage(ledgers["user"], fingerprint)}
            if teacher is not None:
                total = Ledger(ledgers["teacher"], fingerprint).total()
                spent["teacher"] = {"model": args.teacher_model, **total}
            write_json(args.output.with_suffix(".usage.json"), usage(log, kept, spent))
            for who, total in spent.items():
                if total is not None:
                    print(spending(f"{who} {total['model']}", total), flush=True)
        for task_id in task_ids:
            if task_id not in kept:
                print(f"{why_not(task_id, log, taught)}, left out: {task_id}")
    return [trace_of(attempt, args.prompt) for attempt in kept.values()]


class TeacherFailures:
    """Stops a job whose teacher's server mostly fails; failures of the user are counted there."""

    def __init__(self) -> None:
        self.episodes = self.failed = 0

    def count(self, attempt: Attempt) -> None:
        """Count an attempt after its last play. Raises JobStop."""
        self.episodes += 1
        self.failed += attempt.end is EndReason.POLICY_ERROR
        if self.episodes >= FEWEST and self.failed > MOST_FAILED * self.episodes:
            raise JobStop(
                f"the teacher's server failed in {self.failed} of {self.episodes} episodes; the "
                f"last time: {attempt.detail}. What is done is kept: mend the cause and run the "
                "same command again"
            )


class Taught:
    """Which attempts can be taught: solved, and good by trace_checks.py. Remembers why not."""

    def __init__(self, args) -> None:
        codec = None
        if args.tokenizer is not None:
            from tau2_agent.rollout.chat_template import ChatCodec
            from tau2_agent.rollout.loading import load_tokenizer
            from tau2_agent.rollout.room import require_room

            codec = ChatCodec(load_tokenizer(args.tokenizer))
            # else each trace would be too long, after it was paid for
            require_room(codec, args.prompt, args.max_length, "traces.max_length (--max-length)")
        self.rules = TraceRules(
            args.prompt, codec=codec, max_length=args.max_length, served=args.teacher == "llm"
        )
        self.faults: dict[tuple[str, int], str | None] = {}

    def accept(self, attempt: Attempt) -> bool:
        """Whether this attempt is good enough, so that the task needs no other."""
        if not attempt.solved:
            return False
        key = attempt.task_id, attempt.trial
        if key not in self.faults:
            try:
                checked(trace_of(attempt, self.rules.prompt), self.rules)
                self.faults[key] = None
            except RejectedTrace as fault:
                self.faults[key] = str(fault)
        return self.faults[key] is None


def player(llm: LLM | None, users: Users, args) -> Player:
    """How one attempt is played."""

    async def play(task_id: str, number: int) -> Attempt:
        task = get_task(task_id)
        teacher = make_agent(args.teacher) if llm is None else LLMTeacher(llm)
        user = users.make(task, str(number))
        trajectory = await run_episode(task, teacher, user, limits=Limits())
        row = episode_row(task, trajectory, trial=number, keep_messages=True)
        report = {} if llm is None else teacher.report()
        return Attempt(**row.model_dump(exclude_unset=True), teacher_report=report)

    return play


def open_teacher(ledger: Path, fingerprint: str, args) -> LLM | None:
    """The teacher's model; None for a teacher made of code. Raises JobStop."""
    if args.teacher != "llm":
        return None
    try:
        return LLM(teacher_settings(args), Ledger(ledger, fingerprint))
    except LLMFailure as failure:
        raise JobStop(f"the teacher: {failure.detail}") from None


def teacher_settings(args) -> LLMSettings:
    """The teacher's model, from the options."""
    return settings_from_options(args, "teacher_", concurrency=args.concurrency)


def attempt_fingerprint(users: Users, args) -> str:
    """Name what decides an attempt. How many are made and how they are taught does not."""
    decides: dict[str, Any] = {
        "teacher": args.teacher,
        "prompt_sha256": prompt_sha256("tau2"),
        "data": data_sha256(),
        "code": code_digest(*PLAYING),
        "user": users.simulator,
        "user_settings": users.fingerprint_fields(),
        "max_steps": Limits().max_steps,
    }
    if "," in users.simulator or users.phrasing != "fixed":  # the seed draws who plays, or how
        decides["seed"] = users.seed
    if args.teacher == "llm":
        decides |= as_sent(teacher_settings(args))
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def usage(log: EpisodeLog, kept: Mapping[str, Attempt], spent: Mapping[str, Any]) -> dict[str, Any]:
    """What the stage took so far, for the file beside the traces. Null dollars: unknown price."""
    counted = [row for row in log.rows.values() if not row.excluded]
    return {
        "stage": "traces",
        "tasks": len({row.task_id for row in log.rows.values()}),
        "attempts": len(counted),
        "solved": sum(row.solved for row in counted),
        "kept": len(kept),
        "excluded": len(log.rows) - len(counted),
        **spent,
    }


def why_not(task_id: str, log: EpisodeLog, taught: Taught) -> str:
    """Why a task has no trace."""
    rows = sorted((row for row in log.rows.values() if row.task_id == task_id), key=_trial)
    if any(row.solved for row in rows):
        faults = [fault for row in rows if (fault := taught.faults.get((task_id, row.trial)))]
        return f"solved, but {'; '.join(faults)}"
    if rows and rows[-1].excluded:
        return f"not played to an end ({rows[-1].detail})"
    return f"not solved ({', '.join(row.end.value for row in rows)})"


def _trial(row: Attempt) -> int:
    return row.trial
