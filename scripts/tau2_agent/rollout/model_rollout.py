"""A model plays a task: the one way in for training on both backends and for evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from tau2.data_model.tasks import Task

from tau2_agent.benchmark.environment import prompt_tools, system_prompt
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.episode import Limits, User, run_episode
from tau2_agent.rollout.event_loop import own_pass
from tau2_agent.rollout.model_agent import ModelAgent
from tau2_agent.rollout.policy import Policy, Sampling
from tau2_agent.rollout.trajectory import Trajectory


class UserSource(Protocol):
    """Gives each episode its user simulator."""

    def make(self, task: Task, sample: str) -> User:
        """The user of one episode; the same one for the same task and sample, always."""
        ...


@dataclass(frozen=True)
class EpisodeSettings:
    """Everything about an episode but the task and the model. Lengths are in tokens."""

    users: UserSource
    prompt: str = "tau2"
    sampling: Sampling = field(default_factory=Sampling)
    context_length: int = 32768
    response_length: int | None = None
    limits: Limits = field(default_factory=Limits)


async def play(
    task: Task,
    policy: Policy,
    codec: ChatCodec,
    settings: EpisodeSettings,
    session: str,
    sample: str,
) -> Trajectory:
    """Run one episode of `task` with a model.

    `session` names it for prefix caches and seeds, `sample` for the draw of who asks: the same in
    each attempt at an episode. Raises JobStop.
    """
    await own_pass()
    agent = ModelAgent(
        policy,
        codec,
        settings.sampling,
        system_prompt=system_prompt(settings.prompt),
        tools=prompt_tools(settings.prompt),
        session=session,
        context_length=settings.context_length,
        response_length=settings.response_length,
    )
    user = settings.users.make(task, sample)
    return await run_episode(task, agent, user, limits=settings.limits)
