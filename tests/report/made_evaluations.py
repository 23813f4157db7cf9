"""Evaluations for the report's tests: real episodes of agents that need no model, as files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from official import scripted_episode

from tau2_agent.benchmark.environment import prompt_sha256
from tau2_agent.evaluation.baselines import baselines
from tau2_agent.evaluation.results import Manifest, summarise
from tau2_agent.files import write_text
from tau2_agent.records.conversation import make_transcript
from tau2_agent.records.episode_row import EpisodeRow, episode_row
from tau2_agent.records.provenance import versions
from tau2_agent.records.transcripts import Tokens, Transcript, TranscriptFile, transcripts_path


def tokens_of(transcript: Transcript) -> Tokens:
    """A stream as a model would have sampled it: a token a word, less sure of each next one."""
    stream: dict[str, list[Any]] = {"ids": [], "mask": [], "log_probs": [], "pieces": []}
    places = []
    for place, said in enumerate(transcript.messages[1:], start=1):
        sampled = said.role == "assistant"
        if sampled:
            places.append(place)
        text = said.content or json.dumps([call["name"] for call in said.tool_calls])
        for number, word in enumerate(text.split(" ")):
            stream["ids"].append(len(word))
            stream["mask"].append(int(sampled))
            stream["log_probs"].append(-0.05 * number if sampled else 0.0)
            stream["pieces"].append(word + " ")
    return Tokens(prompt_length=109, agent_messages=places, **stream)


def play(agent: str, tasks: Sequence[Any]) -> list[tuple[EpisodeRow, Transcript]]:
    """An episode of each task."""

    async def all_of_them() -> list[Any]:
        return [await scripted_episode(task, agent) for task in tasks]

    episodes = []
    for task, trajectory in zip(tasks, asyncio.run(all_of_them()), strict=True):
        row = episode_row(task, trajectory)
        episodes.append((row, make_transcript(task, trajectory, row)))
        episodes[-1][1].tokens = tokens_of(episodes[-1][1])
    return episodes


def write_evaluation(
    path: Path, stage: str, episodes: Sequence[tuple[EpisodeRow, Transcript]]
) -> Path:
    """An evaluation's file, and its transcripts."""
    rows = [row for row, _ in episodes]
    tasks = list(dict.fromkeys(row.task_id for row in rows))
    summary = summarise(
        rows,
        task_ids=tasks,
        trials=max(row.trial for row in rows) + 1,
        stage=stage,
        checkpoint=f"checkpoints/{stage}",
        split="test",
        manifest=Manifest(
            versions=versions(),
            backend="cpu",
            prompt="short",
            prompt_sha256=prompt_sha256("short"),
            user_simulator="scripted",
            seed=0,
            sampling={"temperature": 0.0},
            limits={"max_steps": 200},
            partial_weights={"action": 0.7, "communicate": 0.1, "assertion": 0.2},
        ),
        baselines=baselines(tasks, path.parent),
    )
    write_text(path, summary.model_dump_json())
    with TranscriptFile(transcripts_path(path)) as file:
        for _, transcript in episodes:
            file.append(transcript)
    return path
