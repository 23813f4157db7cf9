"""Whole scripted episodes, and the reward that tau2's own evaluator gives them."""

from __future__ import annotations

from tau2.data_model.message import AssistantMessage, UserMessage
from tau2.data_model.simulation import SimulationRun, TerminationReason
from tau2.domains.telecom.user_tools import TelecomUserTools
from tau2.evaluator.evaluator import EvaluationType, evaluate_simulation

from tau2_agent.benchmark.environment import make_environment
from tau2_agent.rollout.episode import run_episode
from tau2_agent.teachers.baselines import make_agent
from tau2_agent.users.registry import make_user

_VPN_DETAILS = TelecomUserTools.default_vpn_details.model_copy(deep=True)


async def scripted_episode(task, agent="scripted"):
    return await run_episode(task, make_agent(agent), make_user("scripted", task))


def official_reward(trajectory, task) -> float:
    simulation = SimulationRun(
        id="1",
        task_id=task.id,
        start_time="",
        end_time="",
        duration=0.0,
        termination_reason=TerminationReason(trajectory.end.value),
        messages=trajectory.messages,
    )
    # tau2's evaluator replays on a class attribute that the replay itself breaks.
    TelecomUserTools.default_vpn_details = _VPN_DETAILS.model_copy(deep=True)
    try:
        return evaluate_simulation(simulation, task, EvaluationType.ALL, False, "telecom").reward
    finally:
        TelecomUserTools.default_vpn_details = _VPN_DETAILS.model_copy(deep=True)


def tools_called(trajectory, requestor) -> list[str]:
    kind = UserMessage if requestor == "user" else AssistantMessage
    return [
        call.name
        for message in trajectory.messages
        if isinstance(message, kind) and message.tool_calls
        for call in message.tool_calls
    ]


class Talk:
    """A user on the phone: `say` what an agent would, get his answer, see what he pressed."""

    def __init__(self, task, user=None):
        self.environment = make_environment(task)
        self.user = user or make_user("scripted", task)
        self.pressed: list[str] = []

    async def say(self, text: str) -> str:
        """The user's answer in words; `pressed` then lists the tools he called for it."""
        self.pressed = []
        answer = await self.user.reply([AssistantMessage(role="assistant", content=text)])
        while answer.is_tool_call():
            self.pressed += [call.name for call in answer.tool_calls]
            results = [self.environment.get_response(call) for call in answer.tool_calls]
            answer = await self.user.reply(results)
        return answer.content
