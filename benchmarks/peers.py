"""tau2's own ways to play an episode, with our scripted agent and user behind its interfaces.

Three ways: its `Orchestrator` with `evaluate_simulation`; `run_task`, which is these two and what
its runner makes for each episode; and `AgentGymEnv`. All are tau2's code unchanged but for one
repair without which none can play many episodes in a process: `break_vpn` changes a class
attribute, which is set back (upstream issue 154).
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import measure  # noqa: F401  first: it quiets tau2
from tau2.agent.base import LocalAgent
from tau2.agent.llm_agent import LLMAgent
from tau2.data_model.message import AssistantMessage, MultiToolMessage
from tau2.data_model.simulation import RewardInfo, SimulationRun
from tau2.data_model.tasks import Task
from tau2.domains.telecom.environment import TelecomEnvironment, get_environment
from tau2.domains.telecom.user_tools import TelecomUserTools
from tau2.evaluator.evaluator import EvaluationType, evaluate_simulation
from tau2.gym.gym_agent import AgentGymEnv
from tau2.orchestrator.orchestrator import Orchestrator
from tau2.registry import registry
from tau2.run import run_task
from tau2.user.base import OUT_OF_SCOPE, STOP, TRANSFER, BaseUser

from tau2_agent.rollout.episode import Agent, User
from tau2_agent.users.registry import make_user

MAX_STEPS = 200
_VPN_DETAILS = TelecomUserTools.default_vpn_details.model_copy(deep=True)


def _now(coroutine) -> Any:
    """The result of a coroutine that never waits, as those of scripted agents and users."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    return asyncio.run(_refuse())


async def _refuse() -> None:
    raise RuntimeError("this agent or user waits for something; only scripted ones can be used")


def _parts(message) -> list:
    return message.tool_messages if isinstance(message, MultiToolMessage) else [message]


class OfficialAgent(LocalAgent):
    """One of our agents as tau2's orchestrator wants it; the state is what it has not seen yet."""

    def __init__(self, agent: Agent) -> None:
        super().__init__(tools=[], domain_policy="")
        self.agent = agent

    def get_init_state(self, message_history=None):
        return list(message_history or [])

    def generate_next_message(self, message, state):
        return _now(self.agent.act([*state, *_parts(message)])), []


class OfficialUser(BaseUser):
    """One of our users as tau2's orchestrator wants it."""

    def __init__(self, user: User) -> None:
        super().__init__()
        self.user = user

    def get_init_state(self, message_history=None):
        return None

    @classmethod
    def is_stop(cls, message) -> bool:
        return any(word in (message.content or "") for word in (STOP, TRANSFER, OUT_OF_SCOPE))

    def generate_next_message(self, message, state):
        return _now(self.user.reply(_parts(message))), None


def orchestrated(task: Task, agent: Agent) -> float:
    """The reward of an episode that tau2's orchestrator plays and tau2's evaluator scores."""
    return evaluated(task, agent)[2].reward


def evaluated(task: Task, agent: Agent) -> tuple[SimulationRun, TelecomEnvironment, RewardInfo]:
    """Such an episode, its environment as it was at the end, and its score."""
    _mend()
    environment = get_environment()
    run = Orchestrator(
        domain="telecom",
        agent=OfficialAgent(agent),
        user=OfficialUser(make_user("scripted", task)),
        environment=environment,
        task=task,
        max_steps=MAX_STEPS,
    ).run()
    _mend()  # the evaluator replays the episode
    return run, environment, evaluate_simulation(run, task, EvaluationType.ALL, False, "telecom")


class _RegisteredAgent(OfficialAgent, LLMAgent):
    """The agent that is to play now: `run_task` makes agents from tools and a policy alone."""

    now: Agent

    def __init__(self, tools, domain_policy, **_) -> None:
        super().__init__(_RegisteredAgent.now)


class _RegisteredUser(OfficialUser):
    """The user of the task that is played now."""

    now: Task

    def __init__(self, **_) -> None:
        super().__init__(make_user("scripted", _RegisteredUser.now))


registry.register_agent(_RegisteredAgent, "registered")
registry.register_user(_RegisteredUser, "registered")


def by_runner(task: Task, agent: Agent) -> float:
    """The reward of an episode as tau2's own runner plays it."""
    _RegisteredAgent.now, _RegisteredUser.now = agent, task
    _mend()
    run = run_task("telecom", task, "registered", "registered", max_steps=MAX_STEPS)
    return run.reward_info.reward


class ScriptedUserGym(AgentGymEnv):
    """tau2's gym with the scripted user in place of the language model, otherwise unchanged."""

    def _get_user(self):
        return OfficialUser(make_user("scripted", self._get_task()))


def in_gym(task: Task, agent: Agent) -> float:
    """The reward of an episode in `AgentGymEnv`, the agent stepping it by action strings."""
    _mend()
    env = ScriptedUserGym("telecom", task.id, max_steps=MAX_STEPS)
    env.reset()
    heard, seen = env._agent.observation, 0
    while True:
        # The observation's text breaks at messages of several lines; these are the messages of it.
        answer = _now(agent.act(heard[seen:]))
        seen = len(heard) + 1
        _mend()
        _, reward, terminated, _, _ = env.step(action(answer))
        if terminated:
            return reward
        heard = env._agent.observation


def action(message: AssistantMessage) -> str:
    """A message as the action string of the gym: text, or the JSON of one call."""
    if not message.tool_calls:
        return message.content
    (call,) = message.tool_calls
    return json.dumps({"name": call.name, "arguments": call.arguments})


def _mend() -> None:
    TelecomUserTools.default_vpn_details = _VPN_DETAILS.model_copy(deep=True)
