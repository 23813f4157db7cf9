"""Episodes made from a list of tool calls, in the environment in which they are scored; an agent
that plays a list of turns."""

from __future__ import annotations

from tau2.data_model.message import AssistantMessage, ToolCall, UserMessage

from tau2_agent.benchmark.environment import make_environment
from tau2_agent.rollout.trajectory import EndReason, Trajectory


def play(task, groups, end=EndReason.USER_STOP, one_id=False):
    """An episode in which each group of (requestor, tool, arguments) is one message."""
    environment = make_environment(task)
    messages = [AssistantMessage(role="assistant", content="Hi! How can I help you today?")]
    number = 0
    for group in groups:
        calls = []
        for requestor, name, arguments in group:
            number += 1
            call_id = "same" if one_id else f"call_{number}"
            calls.append(ToolCall(id=call_id, name=name, arguments=arguments, requestor=requestor))
        kind = AssistantMessage if group[0][0] == "assistant" else UserMessage
        messages.append(kind(role=group[0][0], tool_calls=calls))
        messages += [environment.get_response(call) for call in calls]
        environment.sync_tools()
    messages.append(UserMessage(role="user", content="###STOP###"))
    return Trajectory(task.id, messages, end, environment=environment)


def gold_calls(task):
    return [[(a.requestor, a.name, a.arguments)] for a in task.evaluation_criteria.actions]


class Plays:
    """Makes its turns one after the other, texts and calls, then says `rest` for ever."""

    tokens = None

    def __init__(self, turns, rest="What else can you tell me about it?"):
        self.turns, self.rest = iter(turns), rest

    async def act(self, new):
        turn = next(self.turns, self.rest)
        if isinstance(turn, str):
            return AssistantMessage(role="assistant", content=turn)
        made = [turn] if isinstance(turn, tuple) else turn
        calls = [
            ToolCall(id=str(i), name=name, arguments=arguments, requestor="assistant")
            for i, (name, arguments) in enumerate(made)
        ]
        return AssistantMessage(role="assistant", tool_calls=calls)
