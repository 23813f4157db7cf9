"""Our environment answers every call as tau2's own does, and is left in the same state."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tau2.data_model.message import ToolCall
from tau2.domains.telecom.environment import get_environment
from tau2.domains.telecom.user_tools import TelecomUserTools
from tau2.environment.toolkit import ToolType

from tau2_agent.benchmark.environment import assistant_tools, make_environment, user_tools
from tau2_agent.benchmark.tasks import get_task, load_tasks

TASKS = [task.id for task in load_tasks("small")]
BROKEN_VPN = "[mobile_data_issue]airplane_mode_on|bad_vpn[PERSONA:None]"
OVERDUE = "[service_issue]airplane_mode_on|break_apn_settings|overdue_bill_suspension[PERSONA:None]"
VPN = [("user", name, {}) for name in ("disconnect_vpn", "connect_vpn", "run_speed_test")]
PAYING = [  # what one side does, the other sees
    ("assistant", "send_payment_request", {"customer_id": "C1001", "bill_id": "B1234321"}),
    ("user", "check_payment_request", {}),
    ("user", "make_payment", {}),
    ("assistant", "get_details_by_id", {"id": "B1234321"}),
    ("assistant", "resume_line", {"customer_id": "C1001", "line_id": "L1002"}),
    ("user", "check_payment_request", {}),
    ("user", "reboot_device", {}),
    ("user", "check_status_bar", {}),
]
NAMES = {
    "assistant": [tool["function"]["name"] for tool in assistant_tools()],
    "user": [tool["function"]["name"] for tool in user_tools()],
}
IDS = {"customer_id": "C1001", "line_id": "L1002"}
ARGUMENTS = [
    {},
    IDS,
    {**IDS, "gb_amount": "much"},  # not a number: a bill would get a random id
    {"phone_number": "555-123-2002"},
    {"id": "P1002"},
    {"customer_id": "C1001", "bill_id": "B1234321"},
    {"app_name": "messaging", "permission": "sms"},
    {"mode": "4g_5g_preferred"},
    {"apn_settings": None},
    {"summary": "s"},
    *({word: "x"} for word in ("tool_name", "requestor", "self", "kwargs", "message")),
]


@st.composite
def calls(draw):
    side = draw(st.sampled_from(["assistant", "user"]))
    name = draw(
        st.sampled_from([*NAMES["assistant"], *NAMES["user"], "no_such_tool", "db", "tools"])
    )
    return side, name, draw(st.sampled_from(ARGUMENTS))


@settings(max_examples=150, deadline=None)
@given(task=st.sampled_from(TASKS), made=st.lists(calls(), max_size=12))
@example(task=TASKS[0], made=VPN)
@example(task=BROKEN_VPN, made=VPN)
@example(task=OVERDUE, made=PAYING)
def test_every_call_is_answered_as_tau2_does(task, made):
    task = get_task(task)
    official = get_environment()
    details = TelecomUserTools.default_vpn_details.model_copy(deep=True)
    official.user_tools.default_vpn_details = details
    official.set_state(None, task.initial_state.initialization_actions, [])
    # Twice: the first is made as the task wants it, the second is a copy.
    for ours in (make_environment(task), make_environment(task)):
        assert ours.get_db_hash() == official.get_db_hash()
        assert ours.get_user_db_hash() == official.get_user_db_hash()
    for number, (side, name, arguments) in enumerate(made):
        call = ToolCall(id=str(number), name=name, arguments=arguments, requestor=side)
        expected, answer = official.get_response(call), ours.get_response(call)
        for one in (expected, answer):
            one.timestamp = None
        assert answer.model_dump() == expected.model_dump()
        assert ours.get_db_hash() == official.get_db_hash()
        assert ours.get_user_db_hash() == official.get_user_db_hash()


def text(environment):
    return repr((environment.tools.db.model_dump(), environment.user_tools.db.model_dump()))


@pytest.mark.parametrize("task", [TASKS[0], BROKEN_VPN, OVERDUE])
def test_what_tau2_calls_reading_changes_nothing(task):
    """So nothing is to be synced after it."""
    environment = make_environment(get_task(task))
    before, answered = text(environment), set()
    for toolkit in (environment.tools, environment.user_tools):
        for name, tool in toolkit.tools.items():
            if toolkit.tool_type(name) is ToolType.READ:
                for arguments in ARGUMENTS:
                    with contextlib.suppress(Exception):
                        tool(**arguments)
                        answered.add(name)
                    assert text(environment) == before, (name, arguments)
    environment.sync_tools()
    assert text(environment) == before
    assert len(answered) > 15


def test_a_call_that_failed_half_way_is_synced_by_the_next():
    task = get_task(TASKS[0])
    reading = ToolCall(name="get_details_by_id", arguments={"id": "L1002"})
    roaming = ToolCall(name="enable_roaming", arguments=IDS)
    official = get_environment()
    official.set_state(None, task.initial_state.initialization_actions, [])
    states = []
    for environment in (official, make_environment(task)):
        line = environment.tools._get_line_by_id("L1002")
        assert not environment.get_response(reading).error

        def half(line=line, **_):
            line.roaming_enabled = not line.roaming_enabled
            raise ValueError("no more")

        environment.tools.enable_roaming = half
        surroundings = environment.user_tools.surroundings
        seen = [surroundings.roaming_allowed]
        for call in (roaming, reading, reading, roaming, reading):
            assert environment.get_response(call).error == (call is roaming)
            seen.append(surroundings.roaming_allowed)
        states.append((seen, text(environment)))
    assert states[0] == states[1] and len(set(states[1][0])) == 2


def test_no_episode_reaches_into_another():
    task = get_task(BROKEN_VPN)
    first, second = make_environment(task), make_environment(task)
    fresh = second.get_user_db_hash()
    for side, name, arguments in VPN:
        first.get_response(ToolCall(name=name, arguments=arguments, requestor=side))
    first.user_tools.default_vpn_details.protocol = "none"
    assert second.get_user_db_hash() == make_environment(task).get_user_db_hash() == fresh
    assert make_environment(task).user_tools.default_vpn_details.protocol == "OpenVPN"
