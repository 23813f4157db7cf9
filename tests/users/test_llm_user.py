"""A language model as the user, behind a stand-in server that misbehaves."""

import asyncio
import json
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


LEAKS = [
    '<tool_call>\n{"name": "toggle_data", "arguments": {}}\n</tool_call>',
    'One moment. <tool_call>{"name": "toggle_data"}',
    '{"name": "check_sim_status", "arguments": {}}',
    '```json\n{"name": "run_speed_test", "parameters": {}}\n```',
    'Sure:\n[{"type": "function", "function": {"name": "toggle_data", "arguments": "{}"}}]',
    "toggle_airplane_mode()",
    "```tool_code\nprint(default_api.toggle_data())\n```",
    '[TOOL_CALLS][{"name": "toggle_data"}]',
    "<function=toggle_data>{}</function>",
    "<|python_tag|>toggle_data()",
    "<tool_response>Data is on.</tool_response>",
    "It asks for my phone; I say ###STOP### when it works.</think>My data does not work.",
    "I wonder.</think>",
    "<think>Is it time to say ###STOP###?",
    "Hello. <thinking>###TRANSFER### is wrong here</thinking>",
    "Hello.<|im_end|>\n<|im_start|>user",
    "<｜tool▁calls▁begin｜>toggle_data",
    # other models' thoughts: Kimi, Magistral, Seed, what prompts ask for, harmony without tokens
    "◁think▷Not yet ###STOP###◁/think▷Hi there.",
    "[THINK]Not yet ###STOP###[/THINK]Hi there.",
    "<seed:think>Not yet ###STOP###</seed:think>Hi there.",
    "<antThinking>Not yet ###STOP###</antThinking>Hi there.",
    '<think type="short">Not yet ###STOP###</think>Hi there.',
    "<inner_monologue>Not yet ###STOP###</inner_monologue>Hi there.",
    "<Analysis>Not yet ###STOP###</Analysis>Hi there.",
    "Thought: I say ###STOP### when it works.\nMy data does not work.",
    "**Reasoning:** not yet ###STOP###\n\nHi there.",
    "analysisNot yet ###STOP###assistantfinalHi there.",
    # other models' calls
    "[check_sim_status()]",
    "[check_sim_status(), toggle_data()]",
    "Let me look.\ncheck_sim_status()",
    "await check_sim_status()",
    "result = check_sim_status()",
    "Action: check_sim_status\nAction Input: {}",
    "tool: check_sim_status\narguments: {}",
    "call:check_sim_status{}",
    "to=functions.check_sim_status {}",
    "functions.check_sim_status:0 {}",
    "*calls check_sim_status()*",
    "(Tool call: check_sim_status)",
    "<check_sim_status></check_sim_status>",
    "I will now do this: `toggle_data()`",
    "Okay! Let me try that: **check_sim_status()**",
    "Calling check_sim_status now…",
    "Running check_sim_status tool first.",
    "assistant: toggle_data",
    "<｜DSML｜function_calls><｜DSML｜invoke name=x>",
    '{"name": "check_sim_status"}',
    '{"action": "check_sim_status", "action_input": {}}',
    'Action: ```json\n[{"tool_name": "check_sim_status", "parameters": {}}]```',
    '{"recipient_name": "functions.check_sim_status", "parameters": {}}',
]


@pytest.mark.parametrize("text", LEAKS)
def test_what_a_model_writes_for_its_server_is_never_spoken(task, text):
    with FakeOpenAI(behaviours=[text, "Hi."]) as server:
        user, (said,) = talk(server, task, HELLO)
    assert said.content == "Hi." and not said.is_tool_call()
    assert user.report()["calls"] == 2 and user.report()["broken_answers"] == 1
    assert [m.content for m in user.state.messages] == [GREETING, "Hi."]


@pytest.mark.parametrize("text", [LEAKS[0], LEAKS[11], LEAKS[13]])
def test_it_is_never_an_end_either(task, text):
    async def play(server):
        llm = LLM(settings(server))
        user = make_user("llm", task, llm=llm)
        try:
            return await run_episode(task, make_agent("scripted"), user)
        finally:
            await llm.close()

    with FakeOpenAI(lambda request: text) as server:
        trajectory = asyncio.run(play(server))
        assert len(server.requests) == 4
    assert (trajectory.end, trajectory.failure) == (EndReason.USER_ERROR, "broke_protocol")
    assert "start the model's server with its" in trajectory.detail
    assert len(trajectory.messages) == 1


@pytest.mark.parametrize(
    "text",
    [
        "I think so.",
        "Should I use the tool?",
        "It says {'signal': 'good'}.",
        "The result is 5 < 6 > 4 (excellent).",
        "I called toggle_data() as you asked, and data is on.",
        'My screen shows {"status": "on"}.',
        "<b>Thanks</b> ###STOP###",
        "Is that [yes] or [no]?",
        "Thought so!",
        "I thought: maybe it's the plan?",
        "Reasoning aside, it still fails.",
        "Analysis paralysis, I know.",
        "Should I run check_sim_status now?",
        "I will do what you said: toggle_data() again?",
        "You told the assistant: toggle_data is what helps.",
        "I'll tell you what it says: Mobile Data (on).",
        "Name: John Smith\nNumber: 555-123-2002",
        "Action needed: none",
        "Using [cellular] data only",
        "Battery < 20 and > 10",
    ],
)
def test_people_are_not_silenced(task, text):
    with FakeOpenAI(behaviours=[text]) as server:
        _, (said,) = talk(server, task, HELLO)
    assert said.content == text


def test_a_thought_in_a_field_of_its_own_is_not_spoken(task):
    odd = [
        says("Hi.", reasoning_content="When do I say ###STOP###?"),
        says(None, reasoning_content="Hmm. ###STOP###"),
        says("<think>###STOP###</think>Still here."),
    ]
    with FakeOpenAI(behaviours=odd) as server:
        _, said = talk(server, task, HELLO, HELLO)
    assert [m.content for m in said] == ["Hi.", "Still here."]


@pytest.mark.parametrize("given", [3, "3", None, ""])
def test_ids_of_any_kind(task, given):
    message = calls(("check_sim_status", {}))
    message["tool_calls"][0]["id"] = given
    with FakeOpenAI(lambda request: json.loads(json.dumps(message))) as server:
        _, said = talk(server, task, HELLO, HELLO)
    ids = [m.tool_calls[0].id for m in said]
    assert all(isinstance(i, str) and i for i in ids) and len(set(ids)) == 2


@pytest.mark.parametrize(
    "arguments", ['{"a": "\\ud83d"}', '{"a": NaN}', '{"a": -Infinity}', "[]", '"{}"', "{}}", " "]
)
def test_arguments_that_no_file_takes_are_asked_for_again(task, arguments):
    message = calls(("check_sim_status", {}))
    message["tool_calls"][0]["function"]["arguments"] = arguments
    with FakeOpenAI(behaviours=[message, "Hi."]) as server:
        user, (said,) = talk(server, task, HELLO)
    assert said.content == "Hi." and user.report()["broken_answers"] == 1


def test_half_a_character_is_a_bad_answer(task):
    with FakeOpenAI(behaviours=[says("My data \ud83d fails."), "Hi."]) as server:
        user, (said,) = talk(server, task, HELLO)
    assert said.content == "Hi." and user.report()["retries"] == 1
    with FakeOpenAI(lambda request: says("\ud83d")) as server:
        assert failure(server, task, retries=1).kind == "server_error"


def ends(task, offer, answer):
    """Whether the answer to an offer counts as an early stop."""
    with FakeOpenAI(behaviours=[answer]) as server:
        user, _ = talk(server, task, [AssistantMessage(role="assistant", content=offer)])
    return user.report()["early_stops"]


def test_who_agrees_and_calls_a_tool_has_not_ended(task):
    answer = calls(("check_sim_status", {}), text="Yes, please. ###STOP###")
    assert ends(task, "Shall I resume your line?", "Yes, please. ###STOP###") == 1
    assert ends(task, "Shall I resume your line?", answer) == 0


OFFERS = [
    "Would you like me to add 2 GB of data?",
    "I can refuel your data for $5. Please confirm.",
    "I'll transfer you to a human agent now, is that all right?",
    "Shall I resume your line?",
]
AGREEMENTS = ["Yes, please.", "Sure, go ahead!", "OK", "Thank you, that works.", "I agree. Do it."]


@pytest.mark.parametrize("stop", ["###STOP###", "###TRANSFER###"])
@pytest.mark.parametrize("agreement", AGREEMENTS)
def test_an_agreement_and_a_stop_in_one_breath_is_counted(task, agreement, stop):
    offer = OFFERS[AGREEMENTS.index(agreement) % len(OFFERS)]
    assert ends(task, offer, f"{agreement} {stop}") == 1
    assert ends(task, offer, f"{stop}\n{agreement}") == 1
    assert ends(task, offer, agreement) == 0


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("Does your data work now?", "Yes, it works. ###STOP###"),
        ("Is there anything else I can help you with?", "OK, that's fine, bye. ###STOP###"),
        ("Can I help you with anything else?", "Sure not, thanks. ###STOP###"),
        ("Does your data work now?", "It works again, thank you! ###STOP###"),
        ("I have added 2 GB. Goodbye.", "Yes, it works. ###STOP###"),
        ("Would you like me to add 2 GB?", "No, thank you. ###STOP###"),
    ],
)
def test_other_stops_are_not(task, offer, answer):
    assert ends(task, offer, answer) == 0


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
        (says(None, _choice={"message": None}), "broke_protocol", "no chat completion"),
        ("nonsense", "server_error", ""),
        ("drop", "server_error", ""),
        (("slow", 20), "timed_out", "no answer"),
    ],
)
def test_failures_have_a_name(task, answer, kind, words):
    with FakeOpenAI(behaviours=[answer] * 4) as server:
        failed = failure(server, task, retries=1, timeout_s=0.5)
    assert failed.kind == kind and str(failed).startswith(f"{kind}: ") and words in str(failed)


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
    plain = {"phrasing": "fixed", "one_action": False}
    assert Users("scripted").fingerprint_fields() == plain
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
