"""Kept episodes whose score another reward gave: scored anew from their conversations.

How an episode went and what it is worth are two things. An edited reward, or other weights, changes
the second alone, so nothing is played again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tau2.data_model.tasks import Task

from tau2_agent.evaluation.playing import PLAYING, SCORING
from tau2_agent.records.conversation import make_transcript, tau2_messages
from tau2_agent.records.episode_log import EpisodeLog
from tau2_agent.records.episode_row import EpisodeRow, episode_row
from tau2_agent.records.provenance import played_at
from tau2_agent.records.transcripts import Transcript, TranscriptFile, read_transcripts
from tau2_agent.rollout.trajectory import Trajectory
from tau2_agent.source_code import code_digest
from tau2_reward_shaping import PartialWeights


def scored_by(weights: PartialWeights) -> str:
    """What gives an episode its score: the digest of that code, and the weights."""
    return f"{code_digest(*SCORING)} {','.join(map(str, weights))}"


def made_by(weights: PartialWeights) -> dict[str, Any]:
    """What a row that is played now says of its making."""
    return {"code": code_digest(*PLAYING), "scored_by": scored_by(weights), **played_at()}


def rescore(
    log: EpisodeLog,
    transcripts: TranscriptFile,
    tasks: Mapping[str, Task],
    weights: PartialWeights,
) -> int:
    """Score the rows of `tasks` that something else scored; return how many there were.

    A row without a transcript is left: it is played again.
    """
    now = scored_by(weights)
    stale = {
        key: row
        for key, row in log.rows.items()
        if row.task_id in tasks and not row.excluded and row.scored_by != now
    }
    if not stale.keys() & transcripts.keys:
        return 0
    done = 0
    for kept in read_transcripts(transcripts.path):
        row = stale.get((kept.task_id, kept.trial))
        if row is None:
            continue
        task = tasks[kept.task_id]
        trajectory = played(kept)
        scored = episode_row(task, trajectory, weights=weights)
        counters = scored.counters | _of_tokens(row)
        changed = {name: getattr(scored, name) for name in ("reward", "partial", "reward_info")}
        changed |= {"user_end": scored.user_end, "counters": counters, "scored_by": now}
        scored = row.model_copy(update=changed)
        again = make_transcript(task, trajectory, scored)
        transcripts.append(
            again.model_copy(update={"tokens": kept.tokens, "started": kept.started})
        )
        log.append(scored)
        done += 1
    print(
        f"{done} episodes were scored by other code or weights: scored anew, not played",
        flush=True,
    )
    return done


def played(kept: Transcript) -> Trajectory:
    """The episode of a transcript, as far as its score depends on it; to be replayed."""
    return Trajectory(kept.task_id, tau2_messages(kept), kept.end)


def _of_tokens(row: EpisodeRow) -> dict[str, Any]:
    """Counters that no message tells."""
    return {name: row.counters[name] for name in ("cut_turns",) if name in row.counters}
