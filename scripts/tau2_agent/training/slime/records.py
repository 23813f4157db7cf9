"""What is kept of a GRPO rollout under slime: a row an episode, a line a rollout, conversations."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from tau2_agent.records.counters import LOOPS
from tau2_agent.records.samples import Sample, Samples
from tau2_agent.training.groups import Group, kept
from tau2_agent.training.slime.router import option, rollout_state

logger = logging.getLogger(__name__)

EPISODES: dict[int, Sample] = {}  # by the sample's index: those of the current rollout
_samples: dict[str, Samples] = {}


def record(
    args: Any, rollout_id: int, groups: Sequence[Group], told: Mapping[str, Any], seconds: float
) -> None:
    """Write a row for each episode, dropped ones too, and the line of the rollout.

    told: the summary of the groups. Means are over the episodes that are trained on.
    """
    rows = [
        {"rollout": rollout_id, "dropped": group.dropped or None, **episode_row(episode.made)}
        for group in groups
        for episode in group.episodes
    ]
    with open(args.tau2_rollouts_path, "a", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)
    _keep(args, rollout_id, [e.made for group in kept(groups) for e in group.episodes])
    trained = [row for row in rows if not row["dropped"]]
    finished = [row for row in trained if row["status"] != "aborted"]
    line: dict[str, Any] = {"episodes": len(trained), "aborted": len(trained) - len(finished)}
    for key in ("reward", "partial", "shaped", *LOOPS):
        line[key] = fmean(row[key] for row in finished)
    line |= told
    line["seconds"] = round(seconds, 2)
    line["ends"] = dict(Counter(row["end"] for row in trained))
    line["failures_of_the_user"] = dict(Counter(row["failure"] for row in rows if row["failure"]))
    logger.info("tau2 %s: %s", rollout_id, line)


def _keep(args: Any, rollout_id: int, samples: Sequence[Any]) -> None:
    """Keep the conversations of some of a rollout's episodes, and forget the others."""
    path = option(args, "tau2_transcripts_path", None)
    if path:
        if path not in _samples:
            count = int(option(args, "tau2_keep_episodes", 8))
            _samples[path] = Samples(Path(path), count, rollout_state(args).tokenizer)
        _samples[path].keep(rollout_id, [EPISODES.get(sample.index) for sample in samples])
    EPISODES.clear()


def episode_row(sample: Any) -> dict[str, Any]:
    """What is worth keeping of a sample, without its tokens."""
    metadata, reward = sample.metadata or {}, sample.reward or {}
    return {
        "task_id": metadata.get("task_id"),
        "group": sample.group_index,
        "status": sample.status.value,
        "end": metadata.get("end"),
        "detail": metadata.get("detail"),
        "failure": metadata.get("failure") or None,
        "reward": reward.get("reward"),
        "partial": reward.get("partial"),
        "shaped": reward.get("shaped"),
        "agent_turns": metadata.get("agent_turns"),
        "steps": metadata.get("steps"),
        **{name: metadata.get(name) for name in LOOPS},
        "seconds": metadata.get("seconds"),
        "tokens": len(sample.tokens),
        "trained_tokens": sum(sample.loss_mask or []),
    }
