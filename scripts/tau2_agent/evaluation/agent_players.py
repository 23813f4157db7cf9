"""How an agent that is no checkpoint plays many episodes: code, or a language model.

Elsewhere: checkpoints (model_players.py), and what two users make of one agent (compare_users.py).
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tau2_agent.benchmark.data_files import data_sha256
from tau2_agent.evaluation.model_evaluation import EPISODE_TIMEOUT_S, chosen_tasks
from tau2_agent.evaluation.playing import PLAYING, play_each
from tau2_agent.evaluation.recalled import recall
from tau2_agent.evaluation.rescoring import made_by, rescore
from tau2_agent.llm.client import LLM, Ledger, LLMFailure, LLMSettings, settings_from_options
from tau2_agent.llm.sent import as_sent
from tau2_agent.records.conversation import make_transcript
from tau2_agent.records.episode_log import EpisodeLog
from tau2_agent.records.episode_row import EpisodeRow
from tau2_agent.records.transcripts import TranscriptFile, transcripts_path
from tau2_agent.rollout.episode import Limits, run_episode
from tau2_agent.rollout.trajectory import JobStop, Trajectory
from tau2_agent.source_code import code_digest
from tau2_agent.teachers.baselines import make_agent
from tau2_agent.teachers.llm import LLMTeacher
from tau2_agent.users import registry as users

AGENT_CODE = ("tau2_agent.teachers.baselines", "tau2_agent.teachers.llm")


def play_agent(
    options: argparse.Namespace, simulators: users.Users, ledger: Path
) -> tuple[dict, dict[str, Any] | None, dict[str, Any] | None]:
    """Play an agent that is no checkpoint, by the evaluation's own loop. Raises JobStop."""
    recall(options, None)
    tasks = chosen_tasks(options)
    limits = Limits(max_steps=options.max_steps, timeout_s=EPISODE_TIMEOUT_S)
    decides = {
        "agent": options.agent,
        "user": simulators.simulator,
        "user_settings": simulators.fingerprint_fields(),
        "seed": options.seed,
        "limits": asdict(limits),
        "data": data_sha256(),
        "code": code_digest(*PLAYING, *AGENT_CODE),
    }
    if options.agent == "llm":
        decides["agent_settings"] = as_sent(agent_settings(options))
    fingerprint = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
    by_id = {task.id: task for task in tasks}

    model = open_agent(options, fingerprint)

    async def episode(task, session: str, sample: str):
        user = simulators.make(task, sample)
        agent = make_agent(options.agent) if model is None else LLMTeacher(model)
        return await run_episode(task, agent, user, limits=limits)

    async def play(log: EpisodeLog, said: TranscriptFile, jobs: list) -> None:
        def write(row: EpisodeRow, trajectory: Trajectory) -> None:
            said.append(make_transcript(by_id[row.task_id], trajectory, row))
            log.append(row)

        try:
            await play_each(jobs, episode, simulators, options, write)
        finally:
            if model is not None:
                await model.close()

    path = options.output_path.with_suffix(".episodes.jsonl")
    with (
        EpisodeLog(path, fingerprint, made_by=made_by(options.weights)) as log,
        TranscriptFile(transcripts_path(options.output_path), fingerprint) as said,
    ):
        rescore(log, said, by_id, options.weights)
        missing = log.missing(by_id, options.trials, said.keys)
        jobs = [(by_id[task_id], trial) for task_id, trial in missing]
        simulators.open(ledger, fingerprint)
        simulators.failures.counted(len(by_id) * options.trials - len(jobs))
        asyncio.run(play(log, said, jobs))
        wanted = [(task_id, trial) for task_id in by_id for trial in range(options.trials)]
        spent = model and {"model": options.agent_model, **model.ledger.total()}
        return {key: log.rows[key] for key in wanted}, simulators.usage(ledger, fingerprint), spent


def agent_settings(options: argparse.Namespace) -> LLMSettings:
    """How the agent that is a language model is asked."""
    return settings_from_options(options, "agent_", concurrency=options.concurrency)


def open_agent(options: argparse.Namespace, fingerprint: str) -> LLM | None:
    """The language model that answers; None for an agent that is code. Raises JobStop."""
    if options.agent != "llm":
        return None
    try:
        return LLM(
            agent_settings(options),
            Ledger(options.output_path.with_suffix(".agent_calls.jsonl"), fingerprint),
        )
    except LLMFailure as failure:
        raise JobStop(f"the agent: {failure.detail}") from None
