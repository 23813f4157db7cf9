"""Episodes made from a list of tool calls, in the environment in which they are scored."""

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
