"""One typed row an episode: what became of it, its score, its counts. A JSON line on disk.

An episode that the infrastructure ended (the user simulator or the server failed) has a row without
a score: it is counted as excluded and is in no average.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from tau2.data_model.tasks import Task

from tau2_agent.errors import PipelineError
from tau2_agent.records.counters import count
from tau2_agent.reward.scoring import DEFAULT_WEIGHTS, Score, score
from tau2_agent.rollout.episode import OUT_OF_SCOPE, STOP, TRANSFER
from tau2_agent.rollout.trajectory import INFRASTRUCTURE_ENDS, EndReason, Trajectory
from tau2_reward_shaping import PartialWeights

SOLVED = 1.0 - 1e-6  # tau2's `is_successful`
# The user simulator's words that end an episode, in the order in which a message that has several
# is told. All are tau2's `user_stop`; out of scope is the simulator's choice, often its failure.
USER_ENDS = {"transfer": TRANSFER, "out_of_scope": OUT_OF_SCOPE, "stop": STOP}


# Of checkpoint and settings. Files of earlier versions call it "run".
Fingerprint = Annotated[str, Field(validation_alias=AliasChoices("fingerprint", "run"))]


class ResultsError(PipelineError):
    """A file of results cannot be used: names the file, the line and the remedy."""


class EpisodeRow(BaseModel):
    """One episode, one JSON line. `reward` and `partial` are None when it does not count."""

    model_config = ConfigDict(extra="forbid")

    task_id: str
    trial: int = 0
    end: EndReason
    detail: str = ""
    failure: str = ""  # of the user simulator, by kind
    user_end: str = ""  # which of the user's words ended it: a name of USER_ENDS
    reward: float | None = None
    partial: float | None = None
    steps: int = 0
    agent_turns: int = 0
    tool_errors: int = 0
    seconds: float = 0.0
    attempts: int = 1  # plays until one counted; more than one after infrastructure failures
    sampled_tokens: int | None = None
    total_tokens: int | None = None
    user_report: dict[str, Any] = {}
    counters: dict[str, int] = {}  # names of counters.COUNTERS, without zeros
    reward_info: dict[str, Any] | None = None
    messages: list[dict[str, Any]] | None = None
    fingerprint: Fingerprint = ""  # set by EpisodeLog
    code: str = ""  # digest of the code that played it
    commit: str | None = None  # at which it was played
    clean: bool | None = None  # whether the tree was that commit's
    scored_by: str = ""  # digest of the code that scored it, and the weights

    @property
    def excluded(self) -> bool:
        """Not the agent's doing: counted, but in no average."""
        return self.end in INFRASTRUCTURE_ENDS

    @property
    def solved(self) -> bool:
        """tau2's success: reward 1."""
        return self.reward is not None and self.reward >= SOLVED


def episode_row(
    task: Task,
    trajectory: Trajectory,
    *,
    trial: int = 0,
    attempts: int = 1,
    weights: PartialWeights = DEFAULT_WEIGHTS,
    keep_messages: bool = False,
    result: Score | None = None,
) -> EpisodeRow:
    """Score an episode and make its row; an infrastructure failure becomes a row without score.

    result: the score, if the episode has it already.
    """
    if result is None and trajectory.end not in INFRASTRUCTURE_ENDS:
        result = score(trajectory, task, weights)
    tokens = trajectory.tokens
    return EpisodeRow(
        task_id=task.id,
        trial=trial,
        end=trajectory.end,
        detail=trajectory.detail,
        failure=trajectory.failure,
        user_end=user_end(trajectory),
        reward=result and result.reward,
        partial=result and result.partial,
        steps=trajectory.steps,
        agent_turns=trajectory.agent_turns,
        tool_errors=trajectory.tool_errors,
        seconds=round(trajectory.seconds, 3),
        attempts=attempts,
        sampled_tokens=sum(tokens.loss_mask) if tokens else None,
        total_tokens=len(tokens.ids) if tokens else None,
        user_report=trajectory.user_report,
        counters=count(task, trajectory.messages, tokens),
        reward_info=result and result.reward_info,
        messages=[m.model_dump(mode="json", exclude_none=True) for m in trajectory.messages]
        if keep_messages
        else None,
    )


def user_end(trajectory: Trajectory) -> str:
    """A name of `USER_ENDS`; "" for an episode that the user did not end."""
    if trajectory.end is not EndReason.USER_STOP or not trajectory.messages:
        return ""
    said = trajectory.messages[-1].content or ""
    return next((name for name, word in USER_ENDS.items() if word in said), "")
