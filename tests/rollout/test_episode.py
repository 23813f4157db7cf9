"""The episode loop takes the same turns, and ends for the same reasons, as tau2's Orchestrator."""

import asyncio
import itertools
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tau2.agent.llm_agent import LLMAgent
from tau2.config import DEFAULT_MAX_ERRORS, DEFAULT_MAX_STEPS
from tau2.data_model.message import (
    AssistantMessage,
    MultiToolMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from tau2.domains.telecom.environment import get_environment
from tau2.orchestrator.orchestrator import DEFAULT_FIRST_AGENT_MESSAGE, Orchestrator
from tau2.user import base
from tau2.user.base import BaseUser

from tau2_agent.benchmark.environment import (
    make_environment,
    prompt_sha256,
    prompt_tools,
    system_prompt,
    user_tools,
)
from tau2_agent.benchmark.tasks import get_task, load_tasks
from tau2_agent.rollout import episode
from tau2_agent.rollout.episode import Limits, run_episode
from tau2_agent.rollout.trajectory import (
    EndReason,
    EpisodeEnd,
    PolicyFailure,
    UserFailure,
    agent_view,
    as_chat,
)

CALLS = {
    "assistant": [
        ("get_customer_by_phone", {"phone_number": "555-123-2002"}),
        ("get_details_by_id", {"id": "L1002"}),
        ("enable_roaming", {"customer_id": "C1001", "line_id": "L1002"}),
        ("refuel_data", {"customer_id": "C1001", "line_id": "L1002", "gb_amount": "much"}),
        ("toggle_data", {}),  # the user's: an error
        ("no_such_tool", {"x": 1}),
        ("transfer_to_human_agents", {"summary": "s"}),
    ],
    "user": [
        ("check_status_bar", {}),
        ("toggle_airplane_mode", {}),
        ("connect_vpn", {}),
        ("grant_app_permission", {"app_name": "messaging", "permission": "sms"}),
        ("grant_app_permission", {}),  # an error
    ],
}
TEXTS = {
    "assistant": ["Please turn on data.", "Are you there?\nHello?", "Bye ###STOP###"],
    "user": ["Hello", "It is off.", "Thanks ###STOP###", "###TRANSFER###", "###OUT-OF-SCOPE###"],
}


def moves(role):
    """A turn: text, calls, or text beside calls. Stops are rarer than their number suggests."""
    text = st.sampled_from(TEXTS[role][:2] * 6 + TEXTS[role])
    calls = st.lists(st.sampled_from(CALLS[role]), min_size=1, max_size=3)
    return st.one_of(
        st.tuples(text, st.none()), st.tuples(st.none(), calls), st.tuples(text, calls)
    )


def message(role, move, number):
    text, calls = move
    kind = AssistantMessage if role == "assistant" else UserMessage
    made = [
        ToolCall(id=f"{role}{number}.{i}", name=name, arguments=arguments, requestor=role)
        for i, (name, arguments) in enumerate(calls or [])
    ]
    return kind(role=role, content=text, tool_calls=made or None)


class Recited:
    """Says its lines one after the other, then the last one for ever."""

    tokens = None

    def __init__(self, role, lines):
        self.role = role
        self.lines = itertools.chain(lines, itertools.repeat(lines[-1]))
        self.count = itertools.count()
        self.heard = []

    def next(self, heard):
        self.heard.append([(m.role, m.content) for m in heard])
        return message(self.role, next(self.lines), next(self.count))

    async def act(self, new):
        return self.next(new)

    async def reply(self, new):
        return self.next(new)

    def report(self):
        return {}


class OfficialAgent(LLMAgent):
    """tau2's agent, its model replaced by lines: what ends a conversation is its own."""

    def __init__(self, recited):
        super().__init__(tools=[], domain_policy="")
        self.recited = recited

    def get_init_state(self, message_history=None):
        return list(message_history or [])  # the greeting waits here, as in tau2's own agents

    def generate_next_message(self, incoming, state):
        many = isinstance(incoming, MultiToolMessage)
        heard = state + (incoming.tool_messages if many else [incoming])
        return self.recited.next(heard), []


class OfficialUser(BaseUser):
    def __init__(self, recited):
        super().__init__()
        self.recited = recited

    def get_init_state(self, message_history=None):
        return None

    @classmethod
    def is_stop(cls, said):
        return "###" in (said.content or "")

    def generate_next_message(self, incoming, state):
        many = isinstance(incoming, MultiToolMessage)
        return self.recited.next(incoming.tool_messages if many else [incoming]), None


def said(messages):
    return [
        (
            m.role,
            m.content,
            [(c.name, c.arguments, c.requestor) for c in getattr(m, "tool_calls", None) or []],
            getattr(m, "error", None),
        )
        for m in messages
    ]


@settings(max_examples=150, deadline=None)
@given(
    agent=st.lists(moves("assistant"), min_size=1, max_size=12),
    user=st.lists(moves("user"), min_size=1, max_size=12),
    task=st.sampled_from([task.id for task in load_tasks("small")]),
    max_steps=st.integers(1, 40),
    max_errors=st.integers(1, 6),
)
def test_same_turns_and_ends_as_tau2s_orchestrator(agent, user, task, max_steps, max_errors):
    task = get_task(task)
    ours_agent, ours_user = Recited("assistant", agent), Recited("user", user)
    ours = asyncio.run(
        run_episode(task, ours_agent, ours_user, limits=Limits(max_steps, max_errors))
    )

    their_agent, their_user = Recited("assistant", agent), Recited("user", user)
    orchestrator = Orchestrator(
        domain="telecom",
        agent=OfficialAgent(their_agent),
        user=OfficialUser(their_user),
        # tau2's own constructor, but without the state that break_vpn leaves on its class
        environment=make_environment(task),
        task=task.model_copy(update={"initial_state": None}),
        max_steps=max_steps,
        max_errors=max_errors,
    )
    orchestrator._initialize_environment = lambda *a, **k: None
    theirs = orchestrator.run()

    assert said(ours.messages) == said(orchestrator.trajectory)
    assert ours.end.value == theirs.termination_reason.value
    assert ours.steps == orchestrator.step_count
    assert ours.tool_errors == orchestrator.num_errors
    assert ours.agent_turns == len(ours_agent.heard)
    assert ours_agent.heard == their_agent.heard
    assert ours_user.heard == their_user.heard
    assert ours.environment.get_db_hash() == orchestrator.environment.get_db_hash()
    assert ours.environment.get_user_db_hash() == orchestrator.environment.get_user_db_hash()


def test_words_and_limits_are_tau2s():
    ours = (episode.STOP, episode.TRANSFER, episode.OUT_OF_SCOPE)
    assert ours == (base.STOP, base.TRANSFER, base.OUT_OF_SCOPE)
    assert DEFAULT_FIRST_AGENT_MESSAGE.content == episode.GREETING
    assert Limits() == Limits(DEFAULT_MAX_STEPS, DEFAULT_MAX_ERRORS, None, 0)


TASK = "[mobile_data_issue]airplane_mode_on|user_abroad_roaming_enabled_off[PERSONA:None]"


def play(agent, user, **limits):
    return asyncio.run(run_episode(get_task(TASK), agent, user, limits=Limits(**limits)))


class Raises(Recited):
    def __init__(self, role, error):
        super().__init__(role, [("Hello", None)])
        self.error = error

    def next(self, heard):
        raise self.error


@pytest.mark.parametrize(
    ("error", "end", "detail"),
    [
        (PolicyFailure("dead"), EndReason.POLICY_ERROR, "dead"),
        (EpisodeEnd(EndReason.CONTEXT_LENGTH), EndReason.CONTEXT_LENGTH, ""),
        (EpisodeEnd(EndReason.CONTEXT_LENGTH, "9 left"), EndReason.CONTEXT_LENGTH, "9 left"),
    ],
)
def test_failures_of_the_policy_have_names(error, end, detail):
    trajectory = play(Raises("assistant", error), Recited("user", [("Hello", None)]))
    assert (trajectory.end, trajectory.detail, trajectory.failure) == (end, detail, "")
    assert [m.role for m in trajectory.messages] == ["assistant", "user"]


@pytest.mark.parametrize(
    ("user", "kind", "detail"),
    [
        (("rate_limited",), "rate_limited", "rate_limited"),
        (("refused", "no key"), "refused", "refused: no key"),
        (None, "said_nothing", "said_nothing: neither text nor a tool call"),
    ],
)
def test_a_failing_or_silent_user_is_never_the_agents_end(user, kind, detail):
    user = Raises("user", UserFailure(*user)) if user else Recited("user", [("  ", None)])
    trajectory = play(Recited("assistant", [("Hello", None)]), user)
    assert trajectory.end is EndReason.USER_ERROR
    assert (trajectory.failure, trajectory.detail) == (kind, detail)


@pytest.mark.parametrize("text", ["", "  \n", None])
def test_an_empty_turn_is_the_agents_error(text):
    trajectory = play(Recited("assistant", [(text, None)]), Recited("user", [("Hello", None)]))
    assert trajectory.end is EndReason.AGENT_ERROR


@pytest.mark.parametrize("words", ["###STOP###", "###TRANSFER###", "Bye. ###STOP### Bye."])
def test_the_agent_cannot_end_a_conversation(words):
    user = Recited("user", [("Hello", None), ("No, wait.", None), ("Thanks. ###STOP###", None)])
    trajectory = play(Recited("assistant", [(words, None)]), user)
    assert trajectory.end is EndReason.USER_STOP
    assert user.heard[1:] == [[("assistant", words)]] * 2


def test_wall_time_is_bounded():
    class Slow(Recited):
        async def act(self, new):
            await asyncio.sleep(30)

    slow = Slow("assistant", [("x", None)])
    trajectory = play(slow, Recited("user", [("Hello", None)]), timeout_s=0.05)
    assert (trajectory.end, trajectory.failure) == (EndReason.TIMEOUT, "")
    assert trajectory.detail == "no end after 0.05 s"
    assert trajectory.seconds < 25


@pytest.mark.parametrize(
    ("agent_s", "user_s", "users"),
    [(1, 0, False), (0, 1, True), (3, 2, False), (2, 3, True), (10, 9, False), (11, 9, False)],
)
def test_a_time_out_is_the_user_s_if_most_of_the_time_was(monkeypatch, agent_s, user_s, users):
    """Over all turns, of which the user has ten here and the agent nine; a tie is nobody's."""
    now = [1000.0]
    monkeypatch.setattr(
        "tau2_agent.rollout.episode.time", SimpleNamespace(perf_counter=lambda: now[0])
    )

    class Takes(Recited):
        def __init__(self, role, seconds):
            super().__init__(role, [("Hello", None)])
            self.seconds = seconds

        async def act(self, new):
            now[0] += self.seconds
            if len(self.heard) == 9:
                await asyncio.sleep(30)
            return self.next(new)

        reply = act

    agent, user = Takes("assistant", agent_s), Takes("user", user_s)
    trajectory = play(agent, user, timeout_s=0.5)
    assert (trajectory.end, trajectory.failure) == (
        (EndReason.USER_ERROR, "timed_out") if users else (EndReason.TIMEOUT, "")
    )
    assert ("timed_out: the user took" in trajectory.detail) is users


def test_mistakes_of_this_program_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        play(Raises("assistant", ZeroDivisionError()), Recited("user", [("Hello", None)]))


def test_the_agent_never_sees_the_users_tools():
    agent = Recited("assistant", [("Check the bar", None)])
    user = Recited("user", [("Hi", None), (None, [("check_status_bar", {})]), ("###STOP###", None)])
    seen = agent_view(play(agent, user).messages)
    assert [as_chat(m)["role"] for m in seen] == ["assistant", "user", "assistant", "user"]


def test_messages_in_the_form_of_chat_templates_keep_every_letter():
    call = ToolCall(id="1", name="look", arguments={"who": "Zoë"}, requestor="assistant")
    function = {"name": "look", "arguments": '{"who": "Zoë"}'}
    assert as_chat(AssistantMessage(role="assistant", tool_calls=[call])) == {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "1", "type": "function", "function": function}],
    }
    for content in ("Zoë", "", None):
        told = as_chat(ToolMessage(id="1", role="tool", content=content, requestor="assistant"))
        assert told == {"role": "tool", "content": content or "", "tool_call_id": "1"}


@pytest.mark.parametrize("task", load_tasks("small"), ids=lambda task: task.id[:40])
def test_environment_is_tau2s_own(task):
    official = get_environment()
    official.user_tools.default_vpn_details = official.user_tools.default_vpn_details.model_copy()
    official.set_state(None, task.initial_state.initialization_actions, [])
    ours = make_environment(task)
    assert ours.get_db_hash() == official.get_db_hash()
    assert ours.get_user_db_hash() == official.get_user_db_hash()
    assert ours.policy == official.policy


def test_one_episodes_broken_vpn_does_not_reach_the_next():
    broken = get_task(
        "[mobile_data_issue]bad_network_preference|bad_vpn|user_abroad_roaming_disabled_on[PERSONA:None]"
    )
    make_environment(broken)
    fresh = make_environment(get_task(TASK))
    fresh.user_tools.connect_vpn()
    assert "excellent" in str(fresh.user_tools._check_vpn_status()["details"])


def test_official_prompt_is_tau2s_agents():
    environment = get_environment()
    agent = LLMAgent(tools=environment.get_tools(), domain_policy=environment.get_policy())
    assert system_prompt("tau2") == agent.system_prompt
    assert [t["function"]["name"] for t in prompt_tools("tau2")] == [t.name for t in agent.tools]
    assert prompt_tools("short") == []
    assert len(user_tools()) == 30
    assert prompt_sha256("tau2") != prompt_sha256("short")
    with pytest.raises(ValueError, match="tau2, tau2-owners, short"):
        system_prompt("none")
