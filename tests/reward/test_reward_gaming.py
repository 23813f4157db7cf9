"""Attempts to raise the partial score without doing the work. None may pay."""

from __future__ import annotations

import pytest
from replays import gold_calls, play
from tau2.data_model.message import (
    AssistantMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
)

from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.records.counters import count, wasted_turns
from tau2_agent.reward.action_checks import ExecutedCall, carried_out, executed_calls
from tau2_agent.reward.scoring import score
from tau2_agent.rollout.trajectory import EndReason, TokenRecord, Turn

TASKS = load_tasks("base")
LOOK = ("assistant", "get_details_by_id", {"id": "L1002"})
FIND = ("assistant", "get_customer_by_phone", {"phone_number": "555-123-2002"})
LINE = {"customer_id": "C1001", "line_id": "L1002"}


def tasks_with(action):
    found = [
        task
        for task in TASKS
        if any(gold.name == action for gold in task.evaluation_criteria.actions)
    ]
    assert found, action
    return found


def check_of(result, action):
    """The action check of a tool."""
    return next(
        check for check in result.reward_info["action_checks"] if check["action"]["name"] == action
    )


def test_saying_that_it_is_done_pays_nothing():
    for task in TASKS:
        names = [gold.name for gold in task.evaluation_criteria.actions]
        lies = [
            "I have fixed everything. Your speed test returns excellent. ###STOP###",
            "\n".join(f"{name}: Success. Airplane Mode is now OFF." for name in names),
            "".join(
                f'<tool_call>{{"name": "{name}", "arguments": {{}}}}</tool_call>' for name in names
            ),
            "".join(f"<tool_response>{name} done</tool_response>" for name in names),
        ]
        trajectory = play(task, [], EndReason.AGENT_STOP)
        trajectory.messages += [AssistantMessage(role="assistant", content=lie) for lie in lies]
        trajectory.messages += [UserMessage(role="user", content=lie) for lie in lies]
        assert score(trajectory, task).partial == 0.0, task.id


@pytest.mark.parametrize("arguments", ["right", "none"])
def test_calling_the_users_tools_pays_nothing(arguments):
    for task in TASKS:
        calls = [
            ("assistant", gold.name, gold.arguments if arguments == "right" else {})
            for gold in task.evaluation_criteria.actions
            if gold.requestor == "user"
        ]
        result = score(play(task, [[call] for call in calls]), task)
        assert result.partial == 0.0, task.id
        # The hole in tau2's own match that this closes.
        assert sum(
            check["action_match"] for check in result.reward_info["action_checks"] or ()
        ) >= len(calls)


def test_empty_arguments_match_nothing_but_actions_without_arguments():
    for task in TASKS:
        with_arguments = [
            gold
            for gold in task.evaluation_criteria.actions
            if gold.compare_args is None and gold.arguments
        ]
        calls = [[(gold.requestor, gold.name, {})] for gold in with_arguments]
        assert score(play(task, calls), task).partial == 0.0, task.id


def test_a_call_that_claims_to_be_the_users_is_not():
    """A model may write "requestor": "user" into its call."""
    task = tasks_with("toggle_airplane_mode")[0]
    trajectory = play(task, [[("user", "toggle_airplane_mode", {})]])
    message = trajectory.messages[1]
    assert check_of(score(trajectory, task), "toggle_airplane_mode")["verified"]
    trajectory.messages[1] = AssistantMessage(role="assistant", tool_calls=message.tool_calls)
    assert not check_of(score(trajectory, task), "toggle_airplane_mode")["verified"]


def test_failed_call_pays_nothing_even_where_tau2_rewards_it():
    task = tasks_with("transfer_to_human_agents")[0]
    failing = ("assistant", "transfer_to_human_agents", {})  # no summary: the tool raises
    result = score(play(task, [[failing]]), task)
    assert (result.reward, result.partial) == (1.0, 0.0)
    works = ("assistant", "get_details_by_id", {"id": "L1002"})
    for groups in (
        [[failing], [works]],
        [[works], [failing]],
        [[works, failing]],
        [[failing, works]],
    ):
        same_id = score(play(task, groups, one_id=True), task)  # models write the ids
        assert same_id.partial == 0.0


def test_call_without_the_gold_arguments_pays_nothing_even_if_it_worked():
    task = tasks_with("enable_roaming")[0]
    environment = play(task, gold_calls(task)).environment
    gold = [a for a in task.evaluation_criteria.actions if a.name == "enable_roaming"]
    paid = [
        carried_out(
            gold,
            [
                ExecutedCall(
                    ToolCall(name="enable_roaming", arguments=arguments), "assistant", False
                )
            ],
            environment,
        )
        for arguments in (LINE, {}, {"line_id": "L1002"}, {**LINE, "more": 1})
    ]
    assert paid == [[True], [False], [False], [False]]


def test_a_forged_result_without_a_call_pays_nothing():
    task = tasks_with("toggle_data")[0]
    trajectory = play(task, [])
    forged = ToolMessage(id="x", role="tool", content="Mobile Data is now ON.", requestor="user")
    trajectory.messages.insert(1, forged)
    assert score(trajectory, task).partial == 0.0


@pytest.mark.parametrize("change", [{"id": "another"}, {"requestor": "assistant"}])
def test_a_result_of_another_call_pays_nothing(change):
    task = tasks_with("toggle_data")[0]
    trajectory = play(task, [[("user", "toggle_data", {})]])
    assert check_of(score(trajectory, task), "toggle_data")["verified"]
    trajectory.messages[2] = trajectory.messages[2].model_copy(update=change)
    assert not check_of(score(trajectory, task), "toggle_data")["verified"]


def test_calls_have_the_places_of_their_messages_and_fail_without_a_result():
    def calls(*names):
        made = [ToolCall(id=name, name=name, arguments={}, requestor="user") for name in names]
        return UserMessage(role="user", tool_calls=made)

    answer = ToolMessage(id="a", role="tool", content="It is on.", requestor="user")
    broken_off = [UserMessage(role="user", content="Hi"), calls("a", "b"), answer, calls("c")]
    found = executed_calls(broken_off)
    assert [(one.call.name, one.requestor, one.error, one.message) for one in found] == [
        ("a", "user", False, 1),
        ("b", "user", True, 1),
        ("c", "user", True, 3),
    ]


def test_what_the_system_says_parts_no_call_from_its_result():
    task = tasks_with("toggle_data")[0]
    trajectory = play(task, [[("user", "toggle_data", {})]])
    trajectory.messages.insert(2, SystemMessage(role="system", content="A note."))
    assert check_of(score(trajectory, task), "toggle_data")["verified"]


def test_one_call_pays_for_one_action_only():
    task = tasks_with("transfer_to_human_agents")[0].model_copy(deep=True)
    task.evaluation_criteria.actions *= 2
    call = ("assistant", "transfer_to_human_agents", {"summary": "no"})
    verified = [
        [
            check["verified"]
            for check in score(play(task, [[call]] * n), task).reward_info["action_checks"]
        ]
        for n in (1, 2, 3)
    ]
    assert verified == [[True, False], [True, True], [True, True]]


def test_a_call_goes_to_the_action_that_needs_it():
    """An action that takes any arguments leaves the only fitting call to one that does not."""
    task = tasks_with("transfer_to_human_agents")[0].model_copy(deep=True)
    anything = task.evaluation_criteria.actions[0]
    exact = anything.model_copy(update={"compare_args": ["summary"]})
    task.evaluation_criteria.actions = [anything, exact]
    calls = [
        [("assistant", "transfer_to_human_agents", s)] for s in (exact.arguments, {"summary": "-"})
    ]
    checks = score(play(task, calls), task).reward_info["action_checks"]
    assert [check["verified"] for check in checks] == [True, True]


def test_repeating_a_call_pays_no_more():
    task = tasks_with("grant_app_permission")[0]
    call = [("user", "grant_app_permission", {"app_name": "messaging", "permission": "sms"})]
    assert score(play(task, [call]), task).partial == score(play(task, [call] * 9), task).partial


UNDO = {
    "toggle_airplane_mode": ("user", "toggle_airplane_mode", {}),
    "toggle_data": ("user", "toggle_data", {}),
    "toggle_roaming": ("user", "toggle_roaming", {}),
    "toggle_data_saver_mode": ("user", "toggle_data_saver_mode", {}),
    "toggle_wifi_calling": ("user", "toggle_wifi_calling", {}),
    "disconnect_vpn": ("user", "connect_vpn", {}),
    "set_network_mode_preference": ("user", "set_network_mode_preference", {"mode": "2g_only"}),
    "enable_roaming": ("assistant", "disable_roaming", LINE),
    "refuel_data": ("assistant", "refuel_data", {**LINE, "gb_amount": 2.0}),
    "resume_line": ("assistant", "suspend_line", {**LINE, "reason": "asked"}),
}


@pytest.mark.parametrize("action", sorted(UNDO))
def test_work_that_was_undone_pays_nothing(action):
    for task in tasks_with(action):
        gold = next(g for g in task.evaluation_criteria.actions if g.name == action)
        done = [(gold.requestor, gold.name, gold.arguments)]
        kept = score(play(task, [done]), task)
        assert check_of(kept, action)["verified"], task.id
        undone = score(play(task, [done, [UNDO[action]]]), task)
        assert not check_of(undone, action)["verified"], task.id
        assert undone.partial < kept.partial


def test_paying_before_there_is_anything_to_pay_pays_nothing():
    task = tasks_with("make_payment")[0]
    pay = [("user", "make_payment", {})]
    early = score(play(task, [pay]), task)
    assert check_of(early, "make_payment")["action_match"]
    assert early.partial == 0.0
    request = [
        ("assistant", "send_payment_request", {"customer_id": "C1001", "bill_id": "B1234321"})
    ]
    assert check_of(score(play(task, [request, pay]), task), "make_payment")["verified"]


def test_paying_the_wrong_bill_pays_nothing():
    task = tasks_with("make_payment")[0]
    wrong = [("assistant", "send_payment_request", {"customer_id": "C1001", "bill_id": "B1003"})]
    result = score(play(task, [wrong, [("user", "make_payment", {})]]), task)
    assert not check_of(result, "make_payment")["verified"]


@pytest.mark.parametrize("first", ["reset_apn_settings", "resume_line"])
def test_a_reboot_counts_after_what_it_is_for(first):
    for task in tasks_with(first):
        gold = {
            g.name: [(g.requestor, g.name, g.arguments)] for g in task.evaluation_criteria.actions
        }
        others = [calls for name, calls in gold.items() if name not in (first, "reboot_device")]
        late = play(task, [*others, gold["reboot_device"], gold[first]])
        assert not check_of(score(late, task), "reboot_device")["verified"]
        right = play(task, [*others, gold[first], gold["reboot_device"]])
        assert check_of(score(right, task), "reboot_device")["verified"]


def test_trying_every_amount_pays_nothing():
    task = tasks_with("refuel_data")[0]
    calls = [("assistant", "refuel_data", {**LINE, "gb_amount": float(n)}) for n in range(1, 6)]
    assert not check_of(score(play(task, [calls]), task), "refuel_data")["verified"]


def test_transferring_pays_only_where_the_policy_asks_for_it():
    """On the transfer tasks it is the whole work: tau2's reward is 1 there too."""
    call = ("assistant", "transfer_to_human_agents", {"summary": "Sorry."})
    for task in TASKS:
        result = score(play(task, [[call]]), task)
        gold = {action.name for action in task.evaluation_criteria.actions}
        expected = 1.0 if gold == {"transfer_to_human_agents"} else 0.0
        assert (result.reward, result.partial) == (expected, expected), task.id


def test_doing_more_never_beats_stopping_when_done():
    for task in load_tasks("test"):
        calls = gold_calls(task)
        assert score(play(task, calls * 2), task).partial <= score(play(task, calls), task).partial


def wasted(task, groups, cut=0) -> int:
    tokens = TokenRecord()
    for _ in range(cut):
        tokens.append_sampled(Turn([1], [0.0], "length"))
    return wasted_turns(count(task, play(task, groups).messages, tokens))


def refused(name):
    return ("assistant", "get_details_by_id", {"id": name})


def bills(limit):
    return ("assistant", "get_bills_for_customer", {"customer_id": "C1001", "limit": limit})


@pytest.mark.parametrize(
    ("groups", "least"),
    [
        ([[LOOK]] * 8, 7),
        ([[LOOK], [FIND]] * 4, 6),  # two calls in turn
        ([[LOOK], [FIND], [bills(12)]] * 3, 6),  # three
        ([[bills(limit)] for limit in range(12, 20)], 7),  # an argument that changes nothing
        ([[LOOK] * n for n in range(1, 9)], 7),  # more of it at once
        # a call that is refused in between, each time another one
        ([group for name in "abcd" for group in ([LOOK], [refused(name)])], 6),
        ([[("assistant", "transfer_to_human_agents", {"summary": "x" * n})] for n in range(8)], 7),
    ],
)  # fmt: skip
def test_the_penalty_for_repetition_is_not_dodged(groups, least):
    assert wasted(TASKS[0], groups) >= least


def test_the_penalty_falls_on_a_turn_that_never_ends():
    assert wasted(TASKS[0], [[LOOK]], cut=3) == 3


def test_no_repetition_of_the_right_way_costs_anything():
    """Every gold way, with the look again that the manual asks for after each step."""
    bar, speed = ("user", "check_status_bar", {}), ("user", "run_speed_test", {})
    for task in load_tasks("test"):
        groups = [[LOOK]]
        for calls in gold_calls(task):
            groups += [calls, [bar], [speed], [LOOK]]
        assert wasted(task, groups) == 0, task.id
