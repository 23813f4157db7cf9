"""tau2's guidelines for user simulators: docs/scripted-user.md says of each whether it is kept."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from official import Talk, scripted_episode
from tau2.data_model.message import AssistantMessage, ToolMessage, UserMessage
from test_scripted_user import GREETING, find_task

from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.benchmark.tool_outputs import read

ROOT = Path(__file__).parents[3]
TABLE = [
    [cell.strip() for cell in row.split("|")[1:-1]]
    for row in (ROOT / "docs" / "scripted-user.md").read_text(encoding="utf-8").splitlines()
    if row.startswith("|") and "`test_" in row
]


def test_every_guideline_has_a_line_and_every_line_a_test_that_exists():
    path = "data/tau2/user_simulator/simulation_guidelines_tools.md"
    text = files("tau2").joinpath(path).read_text(encoding="utf-8")
    guidelines = re.findall(r"^- (.*)$", text, re.MULTILINE)
    assert len(guidelines) == len(TABLE) == 16
    for guideline, row in zip(guidelines, TABLE, strict=True):
        assert row[0] in guideline
    written = "".join(
        path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("*.py")
    )
    named = {name for row in TABLE for name in re.findall(r"`(test_\w+)`", " ".join(row))}
    assert all(f"def {name}(" in written for name in named)


async def test_a_message_or_one_tool_call_at_a_time():
    for task in load_tasks("test")[::6]:
        for message in (await scripted_episode(task)).messages:
            if isinstance(message, UserMessage):
                assert message.has_text_content() is not message.is_tool_call()
                assert len(message.tool_calls or []) <= 1


async def test_facts_come_from_tools_of_this_answer_or_before():
    """What the user tells of the phone is what a tool has shown, never more."""
    facts = 0
    for task in load_tasks("test")[::4]:
        shown: dict = {}
        for message in (await scripted_episode(task)).messages[2:]:
            if isinstance(message, ToolMessage) and message.requestor == "user":
                shown |= read(message.content)
            elif isinstance(message, UserMessage) and message.content:
                told = read(message.content)
                assert {fact: shown.get(fact) for fact in told} == dict(told)
                facts += len(told)
    assert facts > 9


async def test_an_error_of_a_tool_is_told():
    talk = Talk(find_task("mms"))
    await talk.user.reply([AssistantMessage(role="assistant", content=GREETING)])
    call = await talk.user.reply([AssistantMessage(role="assistant", content="Run a speed test.")])
    failed = ToolMessage(
        id=call.tool_calls[0].id, role="tool", content="Error: no such thing", error=True
    )
    answer = await talk.user.reply([failed.model_copy(update={"requestor": "user"})])
    assert "Error: no such thing" in answer.content and not answer.is_tool_call()
