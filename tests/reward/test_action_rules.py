"""What must hold at the end for a gold action to count, by the state of phone, line and bills."""

from __future__ import annotations

import pytest
from replays import play
from tau2.data_model.message import ToolCall
from tau2.data_model.tasks import Action
from tau2.domains.telecom.data_model import BillStatus, LineStatus
from tau2.domains.telecom.user_data_model import APNNames, NetworkStatus

from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.reward.action_checks import ExecutedCall, carried_out

LINE = {"customer_id": "C1001", "line_id": "L1002"}
BILL = {"customer_id": "C1001", "bill_id": "B1001"}


@pytest.fixture
def environment():
    """A final state; its parts are set by the tests."""
    return play(load_tasks("small")[0], []).environment


def counts(environment, name, arguments=None, requestor="user", beside=()) -> bool:
    """Whether an action that was called once counts, in a task with the actions `beside` too."""
    arguments = arguments or {}
    action = Action(action_id=name, requestor=requestor, name=name, arguments=arguments)
    others = [Action(action_id=n, requestor=r, name=n, arguments=a) for r, n, a in beside]
    call = ToolCall(id="x", name=name, arguments=arguments, requestor=requestor)
    return carried_out([action, *others], [ExecutedCall(call, requestor, False)], environment)[0]


@pytest.mark.parametrize(
    ("action", "part", "right", "wrong"),
    [
        ("toggle_airplane_mode", "airplane_mode", False, True),
        ("toggle_data", "data_enabled", True, False),
        ("toggle_roaming", "roaming_enabled", True, False),
        ("toggle_data_saver_mode", "data_saver_mode", False, True),
        ("toggle_wifi_calling", "wifi_calling_enabled", False, True),
        ("disconnect_vpn", "vpn_connected", False, True),
        ("reseat_sim_card", "sim_card_missing", False, True),
    ],
)
def test_a_switch_stands_right(environment, action, part, right, wrong):
    for value in (right, wrong):
        setattr(environment.user_tools.device, part, value)
        assert counts(environment, action) is (value is right)


def test_the_network_mode_is_the_one_asked_for(environment):
    device = environment.user_tools.device
    device.network_mode_preference = "4g_only"
    assert counts(environment, "set_network_mode_preference", {"mode": "4g_only"})
    assert not counts(environment, "set_network_mode_preference", {"mode": "4g_5g_preferred"})


def test_a_line_is_active_and_roams(environment):
    line = environment.tools._get_line_by_id("L1002")
    for status in LineStatus:
        line.status = status
        assert counts(environment, "resume_line", LINE, "assistant") is (status == "Active")
    for roams in (True, False):
        line.roaming_enabled = roams
        assert counts(environment, "enable_roaming", LINE, "assistant") is roams


def test_what_is_not_there_is_not_in_effect(environment):
    nowhere = {"customer_id": "C1001", "line_id": "L9999", "gb_amount": 2.0}
    for name in ("enable_roaming", "resume_line", "refuel_data"):
        assert not counts(environment, name, nowhere, "assistant")


@pytest.mark.parametrize(
    ("gigabytes", "right"),
    [(2.0, True), (2 + 5e-7, True), (2.01, False), (1.5, False), (0, False)],
)
def test_the_amount_is_the_one_asked_for(environment, gigabytes, right):
    environment.tools._get_line_by_id("L1002").data_refueling_gb = gigabytes
    gold = {**LINE, "gb_amount": 2.0}
    assert counts(environment, "refuel_data", gold, "assistant") is right


@pytest.mark.parametrize("status", BillStatus)
def test_a_bill_is_asked_for_until_it_is_paid(environment, status):
    environment.tools._get_bill_by_id("B1001").status = status
    request = ("assistant", "send_payment_request", BILL)
    paid = status == BillStatus.PAID
    asked = counts(environment, request[1], BILL, "assistant")
    assert asked is (paid or status == BillStatus.AWAITING_PAYMENT)
    assert counts(environment, "make_payment", beside=[request]) is paid


def test_an_app_is_there_and_has_the_permission(environment):
    apps = environment.user_tools.device.app_statuses
    gold = {"app_name": "messaging", "permission": "sms"}
    for granted in (True, False):
        apps["messaging"].permissions.sms = granted
        assert counts(environment, "grant_app_permission", gold) is granted
    assert not counts(environment, "grant_app_permission", {**gold, "app_name": "chess"})


SOUND, BROKEN, NO_MMS = (
    {"apn_name": APNNames.INTERNET},
    {"apn_name": APNNames.BROKEN},
    {"apn_name": APNNames.INTERNET, "mmsc_url": None},
)


@pytest.mark.parametrize("pending", [True, False])
@pytest.mark.parametrize("apn", [SOUND, BROKEN, NO_MMS])
def test_apn_settings_are_reset_before_a_reboot_and_sound_after_it(environment, apn, pending):
    settings = environment.user_tools.device.active_apn_settings
    for name, value in {"mmsc_url": "http://mms", **apn, "reset_at_reboot": pending}.items():
        setattr(settings, name, value)
    assert counts(environment, "reset_apn_settings") is (pending or apn is SOUND)
    reset = [("user", "reset_apn_settings", {})]
    after = counts(environment, "reboot_device", beside=reset)
    assert after is (apn is SOUND and not pending)
    assert counts(environment, "reboot_device")  # of a task without a reset


@pytest.mark.parametrize("network", NetworkStatus)
def test_a_reboot_connects_a_resumed_line(environment, network):
    environment.user_tools.device.network_connection_status = network
    resume = [("assistant", "resume_line", LINE)]
    connected = network == NetworkStatus.CONNECTED
    assert counts(environment, "reboot_device", beside=resume) is connected
    assert counts(environment, "reboot_device")


def test_an_action_without_a_rule_counts_by_its_call(environment):
    assert counts(environment, "transfer_to_human_agents", {"summary": "s"}, "assistant")


def test_the_other_sides_call_counts_for_nobody(environment):
    gold = Action(action_id="x", requestor="user", name="toggle_data", arguments={})
    call = ToolCall(id="x", name="toggle_data", arguments={}, requestor="user")
    sides = [[ExecutedCall(call, side, False)] for side in ("user", "assistant")]
    assert [carried_out([gold], calls, environment) for calls in sides] == [[True], [False]]


@pytest.mark.parametrize(
    ("gold", "called", "same"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1, "b": 1}, {"a": 1, "b": 2}, True),  # b is not compared
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {}, False),
        ({}, {}, True),
        ({}, {"a": None}, False),
        ({"a": None}, {}, False),
    ],
)
def test_only_arguments_to_compare_are_compared(environment, gold, called, same):
    action = Action(action_id="x", name="look", arguments=gold, compare_args=["a"])
    call = ToolCall(id="x", name="look", arguments=called)
    made = [ExecutedCall(call, "assistant", False)]
    assert carried_out([action], made, environment) == [same]
