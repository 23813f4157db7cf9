"""A language model as the teacher, against a stand-in server: what it is asked and what it does."""

from __future__ import annotations

import pytest
from fake_openai import FakeOpenAI, calls, says
from teacher_behind_api import teacher_answers

from tau2_agent.benchmark.environment import assistant_tools, system_prompt
from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.llm.client import LLM, LLMSettings
from tau2_agent.reward.scoring import score
from tau2_agent.rollout.episode import GREETING, run_episode
from tau2_agent.rollout.trajectory import EndReason
from tau2_agent.teachers.llm import LLMTeacher
from tau2_agent.users.scripted.user import ScriptedUser

MODEL = "openai/stand-in"
GIVING_UP = "YOU ARE BEING TRANSFERRED TO A HUMAN AGENT. PLEASE HOLD ON."


def llm(server, **more):
    return LLM(LLMSettings(MODEL, api_base=server.url, backoff_s=0.01, **more))


async def episode(server, task=None, **more):
    task = task or load_tasks("train")[0]
    model = llm(server, **more)
    teacher = LLMTeacher(model)
    trajectory = await run_episode(task, teacher, ScriptedUser(task))
    await model.close()
    return teacher, trajectory


async def test_solves_a_task_like_the_one_behind_it() -> None:
    with FakeOpenAI(teacher_answers) as server:
        teacher, run = await episode(server)
    task = load_tasks("train")[0]
    assert run.end == EndReason.USER_STOP
    assert score(run, task).reward == 1.0
    report = teacher.report()
    assert report["calls"] == len(server.requests) == run.agent_turns
    assert report["prompt_tokens"] > 0 and report["completion_tokens"] > 0
    assert report["dollars"] is None  # nobody knows the price of a stand-in


async def test_asks_what_tau2s_own_agent_asks() -> None:
    """The official agent plays the same conversation through litellm; the requests are compared."""
    from tau2.agent.llm_agent import LLMAgent
    from tau2.data_model.message import AssistantMessage, MultiToolMessage

    from tau2_agent.benchmark.environment import domain_policy, new_environment
    from tau2_agent.rollout.trajectory import agent_view

    with FakeOpenAI(teacher_answers) as ours:
        _, run = await episode(ours)
    with FakeOpenAI(teacher_answers) as theirs:
        agent = LLMAgent(
            new_environment().get_tools(),
            domain_policy(),
            llm=MODEL,
            llm_args={"api_base": theirs.url, "api_key": "none", "temperature": 0.0},
        )
        seen = agent_view(run.messages)
        state = agent.get_init_state(seen[:1])
        new = []
        for message in seen[1:]:
            if not isinstance(message, AssistantMessage):
                new.append(message)
                continue
            heard = new[0]
            if len(new) > 1:
                heard = MultiToolMessage(role="tool", tool_messages=new)
            answer, state = agent.generate_next_message(heard, state)
            assert answer.content == message.content
            new = []

    def plain(request):
        for message in request["messages"]:
            message["content"] = message.get("content") or None
            for call in message.get("tool_calls") or message.pop("tool_calls", None) or []:
                call.pop("name", None)
        return {key: request[key] for key in ("model", "messages", "tools", "tool_choice")}

    assert [plain(r) for r in ours.requests] == [plain(r) for r in theirs.requests]
    first = ours.requests[0]
    assert first["messages"][0] == {"role": "system", "content": system_prompt("tau2")}
    assert first["messages"][1]["content"] == GREETING
    assert first["tools"] == assistant_tools()


async def test_an_empty_answer_is_asked_for_again_as_tau2_does() -> None:
    with FakeOpenAI(teacher_answers, behaviours=[says(None), says("  "), says("")]) as server:
        _, run = await episode(server)
    assert run.end == EndReason.USER_STOP
    with FakeOpenAI(lambda request: says(None)) as server:
        _, run = await episode(server)
    assert run.end == EndReason.AGENT_ERROR
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    "text",
    [
        *('{"phone_number": "555', '"555-123-2002"', "[1]"),
        *('{"phone_number": "\\ud83d"}', '{"phone_number": NaN}'),
    ],
)
async def test_arguments_that_are_no_object_are_the_agents_error(text) -> None:
    with FakeOpenAI(lambda request: calls(("get_customer_by_phone", text))) as server:
        _, run = await episode(server)
    assert run.end == EndReason.AGENT_ERROR
    assert "arguments of get_customer_by_phone are no JSON object" in run.detail


async def test_a_tool_that_it_does_not_own_is_an_error_that_it_is_told() -> None:
    behaviours = [calls(("toggle_airplane_mode", {})), calls(("no_such_tool", {}))]
    with FakeOpenAI(teacher_answers, behaviours=behaviours) as server:
        _, run = await episode(server)
    assert run.tool_errors == 2
    results = [m for m in server.requests[2]["messages"] if m["role"] == "tool"]
    assert len(results) == 2 and all("Error" in result["content"] for result in results)


@pytest.mark.parametrize("given", ["", "same"])
async def test_tool_calls_without_a_name_of_their_own_get_one(given) -> None:
    message = calls(("get_customer_by_id", {"customer_id": "C1001"}), ("get_bills", {}))
    for call in message["tool_calls"]:
        call["id"] = given
    with FakeOpenAI(lambda request: says(GIVING_UP), behaviours=[message]) as server:
        _, run = await episode(server)
    sent = server.requests[1]["messages"]
    ids = [call["id"] for call in sent[3]["tool_calls"]]
    assert len(set(ids)) == 2 and all(ids)
    assert [m["tool_call_id"] for m in sent[4:6]] == ids
    assert run.end == EndReason.USER_STOP


async def test_a_server_that_fails_is_not_the_agents_fault() -> None:
    with FakeOpenAI(faults=lambda number: 500) as server:
        teacher, run = await episode(server, retries=1)
    assert run.end == EndReason.POLICY_ERROR
    assert run.detail.startswith("server_error: ")
    assert teacher.report()["retries"] == 1
