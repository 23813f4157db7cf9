"""The scripted teacher behind a language model's protocol, for tests/fake_openai.py."""

from __future__ import annotations

from typing import Any

from fake_openai import calls, now, says
from tau2.data_model.message import AssistantMessage, ToolMessage, UserMessage

from tau2_agent.teachers.scripted import ScriptedTeacher


def teacher_answers(request: dict[str, Any]) -> dict[str, Any]:
    """What the scripted teacher answers to a request, whose whole conversation is played again."""
    teacher = ScriptedTeacher()
    new: list[Any] = []
    begun = False
    for message in [*request["messages"][1:], None]:
        if message is None or (message["role"] == "assistant" and begun):
            answer = now(teacher.act(new))
            new = []
        elif message["role"] == "assistant":  # the greeting
            new.append(AssistantMessage(role="assistant", content=message["content"]))
        elif message["role"] == "user":
            begun = True
            new.append(UserMessage(role="user", content=message["content"]))
        else:
            new.append(
                ToolMessage(
                    id=message["tool_call_id"],
                    role="tool",
                    content=message["content"],
                    requestor="assistant",
                )
            )
    if not answer.is_tool_call():
        return says(answer.content)
    return calls(*((call.name, call.arguments) for call in answer.tool_calls))
