"""Scoring: equal to tau2's evaluator on every episode, checks for cut-off episodes, speed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replays import gold_calls, play
from tau2.data_model.message import MultiToolMessage
from tau2.data_model.simulation import RewardInfo, SimulationRun, TerminationReason
from tau2.data_model.tasks import RewardType
from tau2.domains.telecom import tools as telecom_tools
from tau2.domains.telecom.environment import get_environment
from tau2.domains.telecom.user_tools import TelecomUserTools
from tau2.evaluator.evaluator import EvaluationType, evaluate_simulation
from tau2.evaluator.evaluator_action import ActionEvaluator
from tau2.evaluator.evaluator_env import EnvironmentEvaluator

from tau2_agent.benchmark.tasks import get_task, load_tasks, split_ids
from tau2_agent.reward import scoring
from tau2_agent.reward.scoring import score
from tau2_agent.rollout.trajectory import INFRASTRUCTURE_ENDS, OFFICIAL_ENDS, EndReason, Trajectory

VPN_DETAILS = TelecomUserTools.default_vpn_details.model_copy(deep=True)
ENDS = [end for end in EndReason if end not in INFRASTRUCTURE_ENDS]
TRANSFER = next(i for i in split_ids("test") if "contract_end_suspension" in i)


@pytest.fixture(autouse=True)
def repeatable(monkeypatch):
    """tau2's replay refuses the random bill ids of `refuel_data`; its VPN details leak."""
    fixed = SimpleNamespace(uuid4=lambda: SimpleNamespace(hex="0" * 32))
    monkeypatch.setattr(telecom_tools, "uuid", fixed)


def tau2_score(trajectory, task) -> RewardInfo:
    TelecomUserTools.default_vpn_details = VPN_DETAILS.model_copy(deep=True)
    known = {reason.value for reason in TerminationReason}
    reason = trajectory.end.value if trajectory.end.value in known else "max_steps"
    simulation = SimulationRun(
        id="1",
        task_id=task.id,
        start_time="",
        end_time="",
        duration=0.0,
        termination_reason=TerminationReason(reason),
        messages=trajectory.messages,
    )
    try:
        return evaluate_simulation(simulation, task, EvaluationType.ALL, False, "telecom")
    finally:
        TelecomUserTools.default_vpn_details = VPN_DETAILS.model_copy(deep=True)


def tau2_checks(trajectory, task) -> tuple[list, list]:
    """What tau2's evaluators say of an episode that it would not look at."""
    TelecomUserTools.default_vpn_details = VPN_DETAILS.model_copy(deep=True)
    environment = EnvironmentEvaluator.calculate_reward(get_environment, task, trajectory.messages)
    action = ActionEvaluator.calculate_reward(task, trajectory.messages)
    return environment.env_assertions, action.action_checks


def assert_equal_to_tau2(trajectory, task):
    ours = score(trajectory, task)
    try:
        theirs = tau2_score(trajectory, task)
    except AttributeError:  # the phone is broken, see below; tau2 has no score at all then
        assert ours.reward == 0.0
        return
    assert ours.reward == theirs.reward
    info = RewardInfo.model_validate(ours.reward_info)  # the flags are extra and ignored here
    assert info.reward == ours.reward
    assert info.reward_basis == theirs.reward_basis
    if trajectory.end in OFFICIAL_ENDS:
        expected = theirs.env_assertions, theirs.action_checks
        assert info.reward_breakdown == theirs.reward_breakdown
        assert info.communicate_checks == theirs.communicate_checks
    else:
        assert theirs.action_checks is None  # tau2 says nothing about these
        expected = tau2_checks(trajectory, task)
    assert (info.env_assertions, info.action_checks) == expected
    replayed = score(
        Trajectory(task.id, trajectory.messages, trajectory.end, environment=None), task
    )
    assert replayed == ours == score(trajectory, task)  # scoring changed nothing
    for check in ours.reward_info["action_checks"] or ():
        assert check["action_match"] or not check["verified"]  # ours is the stricter one
    if ours.partial == 1.0 and trajectory.end in OFFICIAL_ENDS:
        assert ours.reward == 1.0


LINE = {"customer_id": "C1001", "line_id": "L1002"}
VALUES = st.sampled_from(
    [None, True, 0, -1.0, 2, 2.0, 5.5, "", "C1001", "L1001", "L1002", "B1234321", "sms", "SMS"]
) | st.sampled_from(["storage", "messaging", "2g_only", "4g_5g_preferred", [], {"apn_name": "x"}])
PLAIN_USER_CALLS = """
    toggle_airplane_mode toggle_data toggle_roaming toggle_wifi toggle_wifi_calling
    toggle_data_saver_mode reseat_sim_card reset_apn_settings reboot_device connect_vpn
    disconnect_vpn make_payment check_vpn_status run_speed_test can_send_mms check_status_bar
    check_payment_request no_such_tool simulate_network_search
"""
CHANGES = ["drop", "repeat", "swap", "side", "empty", "argument", "undo", "insert", "insert"]
# Calls that are likely to work, fail, break something or undo a repair.
CALLS = st.one_of(
    st.sampled_from([("user", name, {}) for name in PLAIN_USER_CALLS.split()]),
    st.sampled_from(
        [
            ("assistant", "get_customer_by_phone", {"phone_number": "555-123-2002"}),
            ("assistant", "get_bills_for_customer", {"customer_id": "C1001"}),
            ("assistant", "get_details_by_id", {"id": "L1002"}),
            ("assistant", "suspend_line", {**LINE, "reason": "asked"}),
            ("assistant", "resume_line", LINE),
            ("assistant", "enable_roaming", LINE),
            ("assistant", "disable_roaming", LINE),
            ("assistant", "refuel_data", {**LINE, "gb_amount": 2.0}),
            ("assistant", "refuel_data", {**LINE, "gb_amount": 1}),
            (
                "assistant",
                "send_payment_request",
                {"customer_id": "C1001", "bill_id": "B1234321"},
            ),
            ("assistant", "transfer_to_human_agents", {"summary": "Cannot be fixed."}),
            ("assistant", "transfer_to_human_agents", {}),
            ("user", "set_apn_settings", {"apn_settings": {"apn_name": "broken"}}),
            ("user", "set_apn_settings", {"apn_settings": {"no": "such"}}),
            ("user", "set_network_mode_preference", {"mode": "2g_only"}),
            ("user", "set_network_mode_preference", {"mode": "4g_5g_preferred"}),
            ("user", "set_network_mode_preference", {"mode": 5}),
            ("user", "grant_app_permission", {"app_name": "messaging", "permission": "sms"}),
        ]
    ),
)


@st.composite
def episodes(draw):
    """A gold replay with up to six changes."""
    task = get_task(draw(st.sampled_from(split_ids("base"))))
    calls = [group[0] for group in gold_calls(task)]
    for _ in range(draw(st.integers(0, 6))):
        change = draw(st.sampled_from(CHANGES))
        place = draw(st.integers(0, max(len(calls) - 1, 0)))
        if change == "insert" or not calls:
            calls.insert(place, draw(CALLS))
            continue
        requestor, name, arguments = calls[place]
        if change == "drop":
            del calls[place]
        elif change == "repeat":
            calls.insert(draw(st.integers(0, len(calls))), calls[place])
        elif change == "undo":
            calls.append(calls[place])
        elif change == "swap":
            other = draw(st.integers(0, len(calls) - 1))
            calls[place], calls[other] = calls[other], calls[place]
        elif change == "side":
            side = "user" if requestor == "assistant" else "assistant"
            calls[place] = (side, name, arguments)
        elif change == "empty":
            calls[place] = (requestor, name, {})
        else:
            key = draw(st.sampled_from([*arguments, "surprise"]))
            calls[place] = (requestor, name, {**arguments, key: draw(VALUES)})
    groups: list[list] = []
    for call in calls:  # several calls in one message, now and then
        if groups and groups[-1][0][0] == call[0] and draw(st.booleans()):
            groups[-1].append(call)
        else:
            groups.append([call])
    end = draw(st.sampled_from([EndReason.USER_STOP, EndReason.USER_STOP, *ENDS]))
    return task, groups, end, draw(st.booleans())


@pytest.mark.filterwarnings("ignore:Pydantic serializer")
@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(episodes())
def test_equal_to_tau2_on_perturbed_gold_replays(episode):
    task, groups, end, one_id = episode
    assert_equal_to_tau2(play(task, groups, end, one_id), task)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("task_id", [split_ids("test")[0], split_ids("test")[-1], TRANSFER])
def test_equal_to_tau2_whatever_the_end(task_id, end):
    task = get_task(task_id)
    assert_equal_to_tau2(play(task, gold_calls(task), end), task)
    assert_equal_to_tau2(play(task, [], end), task)


def test_gold_replays_are_right_and_doing_nothing_is_worth_nothing():
    for task in [*load_tasks("base"), *load_tasks("extra_unseen"), *load_tasks("extra_dev")]:
        solved = score(play(task, gold_calls(task)), task)
        assert (solved.reward, round(solved.partial, 12)) == (1.0, 1.0), task.id
        idle = score(play(task, []), task)
        assert (idle.reward, idle.partial) == (0.0, 0.0), task.id


def test_phone_is_synced_with_the_line_before_it_is_judged():
    """tau2 syncs after its replay; a call that fails half-way leaves that to do."""
    task = get_task("[mobile_data_issue]data_usage_exceeded[PERSONA:Easy]")
    trajectory = play(task, [])
    trajectory.environment.tools.refuel_data("C1001", "L1002", 2.0)  # no sync
    assert score(trajectory, task).reward == 1.0


def test_a_call_that_breaks_the_phone_itself_scores_zero():
    task = next(t for t in load_tasks("test") if t.id.startswith("[mms_issue]"))
    broken = [("user", "set_apn_settings", {"apn_settings": None})]
    trajectory = play(task, [*gold_calls(task), broken])
    with pytest.raises(AttributeError):
        tau2_score(trajectory, task)
    result = score(trajectory, task)
    assert (result.reward, result.partial < 1.0) == (0.0, True)


def test_leaving_out_any_gold_action_costs_partial_credit():
    for task in load_tasks("test"):
        calls = gold_calls(task)
        for place in range(len(calls)):
            kept = calls[:place] + calls[place + 1 :]
            assert score(play(task, kept), task).partial < 1.0, (task.id, calls[place])


@pytest.mark.parametrize("end", [EndReason.MAX_STEPS, EndReason.CONTEXT_LENGTH])
def test_cut_off_episode_has_checks_and_partial_credit_but_no_reward(end):
    task = max(load_tasks("test"), key=lambda task: len(task.evaluation_criteria.actions))
    calls = gold_calls(task)
    half = score(play(task, calls[: len(calls) // 2], end), task)
    assert half.reward == half.reward_info["reward"] == 0.0
    assert 0.0 < half.partial < 1.0
    assert half.reward_info["info"]["note"].endswith(end.value)
    assert half.reward_info["reward_breakdown"] is half.reward_info["reward_basis"] is None
    official = score(play(task, calls), task).reward_info
    assert official["info"] is None and set(official["reward_breakdown"].values()) == {1.0}
    whole = score(play(task, calls, end), task)
    assert (whole.reward, whole.partial) == (0.0, 1.0)


def test_call_whose_result_never_came_is_no_work():
    task = get_task(TRANSFER)
    trajectory = play(task, gold_calls(task), EndReason.AGENT_ERROR)
    trajectory.messages = trajectory.messages[:2]  # the call, not its result
    result = score(trajectory, task)
    assert result.reward_info["action_checks"][0]["action_match"] is True
    assert result.reward_info["action_checks"][0]["verified"] is False
    assert result.partial == 0.0


@pytest.mark.parametrize("end", sorted(INFRASTRUCTURE_ENDS))
def test_infrastructure_failures_cannot_be_scored(end):
    task = get_task(TRANSFER)
    with pytest.raises(ValueError, match=f"{end.value}; retry"):
        score(play(task, gold_calls(task), end), task)


def test_what_cannot_be_scored_here_is_refused():
    task, other = load_tasks("test")[:2]
    with pytest.raises(ValueError, match="cannot be scored as"):
        score(play(task, []), other)
    changed = task.model_copy(deep=True)
    changed.evaluation_criteria.reward_basis = [RewardType.DB]
    with pytest.raises(ValueError, match="use tau2's evaluator"):
        score(play(task, []), changed)


def test_what_held_at_the_start_is_of_the_task_that_is_scored():
    """Not of another one with the same id, such as one of one's own after an edit."""
    task = load_tasks("test")[0]
    edited = task.model_copy(deep=True)
    for assertion in edited.evaluation_criteria.env_assertions:
        assertion.assert_value = not assertion.assert_value

    def held(of):
        checks = score(play(of, []), of).reward_info["env_assertions"]
        return [check["held_at_start"] for check in checks]

    first = held(task)
    assert first and held(edited) == [not one for one in first] and held(task) == first


def test_results_told_together_belong_to_their_calls():
    task = load_tasks("test")[0]
    trajectory = play(task, gold_calls(task))
    alone = score(trajectory, task)
    messages = []
    for message in trajectory.messages:
        if message.role == "tool":
            message = MultiToolMessage(role="tool", tool_messages=[message])
        messages.append(message)
    trajectory.messages = messages
    assert alone.partial == score(trajectory, task).partial == 1.0


def test_communicate_checks_are_tau2s_when_a_task_has_them():
    task = load_tasks("test")[0].model_copy(deep=True)
    task.evaluation_criteria.communicate_info = ["help", "never said"]
    task.evaluation_criteria.reward_basis = [RewardType.ENV_ASSERTION, RewardType.COMMUNICATE]
    trajectory = play(task, gold_calls(task))
    assert_equal_to_tau2(trajectory, task)
    assert score(trajectory, task).partial == pytest.approx(0.7 + 0.05 + 0.2)


def test_nothing_to_say_is_all_said():
    task = load_tasks("test")[0].model_copy(deep=True)
    task.evaluation_criteria.reward_basis = [RewardType.ENV_ASSERTION, RewardType.COMMUNICATE]
    breakdown = score(play(task, []), task).reward_info["reward_breakdown"]
    assert breakdown == {"ENV_ASSERTION": 0.0, "COMMUNICATE": 1.0}


def test_a_task_may_ask_for_all_that_telecom_has():
    task = load_tasks("test")[0].model_copy(deep=True)
    task.evaluation_criteria.communicate_info = ["help"]
    basis = [RewardType.ENV_ASSERTION, RewardType.ACTION, RewardType.COMMUNICATE]
    task.evaluation_criteria.reward_basis = basis
    assert_equal_to_tau2(play(task, gold_calls(task)), task)
    assert score(play(task, gold_calls(task)), task).reward == 1.0
    assert score(play(task, gold_calls(task)[:-1]), task).reward == 0.0


@pytest.mark.parametrize("end", [EndReason.USER_STOP, EndReason.MAX_STEPS])
def test_reward_info_is_tau2s(end):
    task = load_tasks("test")[0]
    info = score(play(task, gold_calls(task), end), task).reward_info
    assert set(info) == set(RewardInfo.model_fields)
    assert RewardInfo.model_validate(info).reward == info["reward"] == (end == "user_stop")


def test_weights_reach_the_partial_score():
    task = next(t for t in load_tasks("test") if len(t.evaluation_criteria.actions) == 2)
    trajectory = play(task, gold_calls(task)[:1])
    assert score(trajectory, task, scoring.PartialWeights(1, 0, 0)).partial == 0.5
