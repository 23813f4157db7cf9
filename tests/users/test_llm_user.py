"""A language model as the user, behind a stand-in server that misbehaves."""

import asyncio
import random

import pytest
from fake_openai import FakeOpenAI, Simulator, calls, says
from tau2.data_model.message import AssistantMessage, ToolMessage
from tau2.environment.tool import Tool
from tau2.user.user_simulator import UserSimulator

from tau2_agent.benchmark.environment import new_environment
from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.llm.client import LLM, LLMSettings
from tau2_agent.llm.ledger import Ledger
from tau2_agent.reward.scoring import score
from tau2_agent.rollout.episode import GREETING, Limits, run_episode
from tau2_agent.rollout.trajectory import EndReason, JobStop, UserFailure
from tau2_agent.teachers.baselines import make_agent
from tau2_agent.users.registry import Users, make_user

HELLO = [AssistantMessage(role="assistant", content=GREETING)]


def settings(server, **more):
    values = {"model": "openai/stand-in", "backoff_s": 0.01, "timeout_s": 20} | more
    return LLMSettings(api_base=server.url, **values)


@pytest.fixture
def task():
    return load_tasks("small")[0]


def talk(server, task, *news, **more):
    """The user, and its replies to the messages one after another."""

    async def run():
        llm = LLM(settings(server, **more))
        user = make_user("llm", task, llm=llm)
        try:
            return user, [await user.reply(new) for new in news]
        finally:
            await llm.close()

    return asyncio.run(run())


def failure(server, task, kind=UserFailure, **more):
    with pytest.raises(kind) as caught:
        talk(server, task, HELLO, **more)
    return caught.value


def test_it_is_asked_as_tau2_asks(task):
    with FakeOpenAI(behaviours=["Hi.", calls(("check_sim_status", {})), "It is fine."]) as server:
        user, (hi, look, fine) = talk(
            server,
            task,
            HELLO,
            [AssistantMessage(role="assistant", content="Check your SIM.")],
            [ToolMessage(id="call_0", role="tool", content="Active", requestor="user")],
        )
    assert hi.content == "Hi." and hi.tool_calls is None
    assert [(c.name, c.arguments, c.requestor) for c in look.tool_calls] == [
        ("check_sim_status", {}, "user")
    ]
    assert fine.content == "It is fine."
    tools = new_environment().get_user_tools()
    assert all(isinstance(tool, Tool) for tool in tools)
    official = UserSimulator(tools=tools, instructions=str(task.user_scenario))
    first, _, last = server.requests
    assert first["messages"] == [
        {"role": "system", "content": official.system_prompt},
        {"role": "user", "content": GREETING},
    ]
    assert first["tools"] == [tool.openai_schema for tool in tools]
    assert [message["role"] for message in last["messages"]] == [
        *("system", "user", "assistant", "user", "assistant", "tool")
    ]
    assert last["messages"][4]["tool_calls"][0]["function"]["name"] == "check_sim_status"
    report = user.report()
    assert (report["simulator"], report["model"]) == ("llm", "openai/stand-in")
    assert (report["calls"], report["utterances"], report["retries"]) == (3, 3, 0)
    assert report["prompt_tokens"] > 0 and report["dollars"] is None


def test_text_beside_a_call_goes_on_record(task):
    with FakeOpenAI(behaviours=[calls(("check_sim_status", {}), text="Wait.")]) as server:
        _, (said,) = talk(server, task, HELLO)
    assert said.is_tool_call() and said.content == "Wait."


def test_an_empty_answer_is_asked_again(task):
    with FakeOpenAI(behaviours=[says(None), says(" "), "Hi."]) as server:
        user, (said,) = talk(server, task, HELLO)
    assert said.content == "Hi." and user.report()["calls"] == 3  # all of them are paid


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (says(""), "said_nothing", "4 answers"),
        (calls(("fly_to_the_moon", {})), "broke_protocol", "unknown tool 'fly_to_the_moon'"),
        (calls(("enable_roaming", {})), "broke_protocol", "the agent's tool 'enable_roaming'"),
        (calls(("toggle_data", "{oops")), "broke_protocol", "no JSON object"),
        (calls(("toggle_data", "[1]")), "broke_protocol", "no JSON object"),
        (400, "refused", "scripted 400"),
        (429, "rate_limited", "scripted 429"),
        (500, "server_error", "scripted 500"),
        ("nonsense", "server_error", ""),
        ("drop", "server_error", ""),
        (("slow", 20), "timed_out", "no answer"),
    ],
)
def test_failures_have_a_name(task, answer, kind, words):
    with FakeOpenAI(behaviours=[answer] * 4) as server:
        failed = failure(server, task, retries=1, timeout_s=0.5)
    assert failed.kind == kind and words in failed.detail


def test_no_key_and_no_budget_end_the_job(task):
    with FakeOpenAI(behaviours=[401]) as server:
        assert "Is OPENAI_API_KEY right" in str(failure(server, task, JobStop))
    with FakeOpenAI() as server:
        stop = failure(server, task, JobStop, budget_tokens=100)
        assert "budget of 100 tokens" in str(stop) and "run the same command again" in str(stop)
        assert not server.requests


def test_a_user_who_takes_all_the_time_is_to_blame(task):
    async def run(server):
        llm = LLM(settings(server))
        user = make_user("llm", task, llm=llm)
        try:
            return await run_episode(
                task, make_agent("scripted"), user, limits=Limits(timeout_s=0.4)
            )
        finally:
            await llm.close()

    with FakeOpenAI(behaviours=[("slow", 20)]) as server:
        trajectory = asyncio.run(run(server))
    assert (trajectory.end, trajectory.failure) == (EndReason.USER_ERROR, "timed_out")


def test_who_plays_is_drawn_by_task_and_sample():
    tasks = load_tasks("train")
    with FakeOpenAI() as server:
        users = Users("scripted=0.5,llm=0.5", seed=1, llm=settings(server))
        users.open()
        names = [users.make(task, "0").report()["simulator"] for task in tasks]
        again = [users.make(task, "0").report()["simulator"] for task in tasks]
    assert names == again and {"scripted", "llm"} == set(names)
    assert Users("scripted").fingerprint_fields() == {}
    assert users.fingerprint_fields()["model"] == "openai/stand-in"


@pytest.mark.slow
def test_two_hundred_at_once_none_lost_none_mis_scored(tmp_path):
    """A server that fails in every way, now and then, changes no score.

    Long episodes and short ones: most agents here give up at once, which is right now and then.
    """
    tasks = load_tasks("full")
    random.Random(0).shuffle(tasks)
    tasks = sorted(tasks, key=lambda task: len(task.evaluation_criteria.actions or []))[:200]
    agents = ["scripted" if number % 4 == 0 else "transfer_at_once" for number in range(200)]
    faults = [429, 500, 503, "drop", "half", "nonsense", ("slow", 0.2), (429, {"Retry-After": "0"})]
    dice = random.Random(1)

    def fault(number):
        return dice.choice(faults) if dice.random() < 0.05 else None

    async def run(server):
        llm = LLM(settings(server, retries=8, concurrency=64), Ledger(tmp_path / "calls.jsonl"))

        async def one(task, agent):
            user = make_user("llm", task, llm=llm)
            return await run_episode(task, make_agent(agent), user)

        try:
            return await asyncio.gather(*map(one, tasks, agents))
        finally:
            await llm.close()

    with FakeOpenAI(Simulator(tasks), faults=fault) as server:
        trajectories = asyncio.run(run(server))
    assert [t.task_id for t in trajectories] == [task.id for task in tasks]
    rewards = [score(t, task).reward for t, task in zip(trajectories, tasks, strict=True)]
    # The same agents and the same user without a server between them.
    alone = [
        asyncio.run(run_episode(task, make_agent(agent), make_user("scripted", task)))
        for task, agent in zip(tasks, agents, strict=True)
    ]
    assert [t.end for t in trajectories] == [t.end for t in alone]
    assert [len(t.messages) for t in trajectories] == [len(t.messages) for t in alone]
    assert rewards == [score(t, task).reward for t, task in zip(alone, tasks, strict=True)]
    assert set(rewards[::4]) == {1.0} and set(rewards) == {0.0, 1.0}
    ledger = Ledger(tmp_path / "calls.jsonl")
    assert ledger.calls == sum(t.user_report["calls"] for t in trajectories) == server.answered
    assert ledger.retries == sum(t.user_report["retries"] for t in trajectories) > 0
    assert ledger.tokens == sum(
        t.user_report["prompt_tokens"] + t.user_report["completion_tokens"] for t in trajectories
    )
    assert server.most_at_once <= 64
