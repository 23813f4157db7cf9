"""What an agent did beside its score: each counter on episodes made for it."""

from __future__ import annotations

from replays import play
from tau2.data_model.message import AssistantMessage, UserMessage
from tau2.data_model.tasks import Action

from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.records.counters import count

TASK = load_tasks("small")[0]
LOOK = ("assistant", "get_details_by_id", {"id": "L1002"})
WRONG = ("assistant", "get_details_by_id", {"id": "nobody"})
THEIRS = ("assistant", "toggle_airplane_mode", {})
UNKNOWN = ("assistant", "reboot_the_world", {})
USERS = ("user", "check_network_status", {})
TRANSFER = ("assistant", "transfer_to_human_agents", {"summary": "?"})
FOREIGN_LINE = {"customer_id": "C1002", "line_id": "L1005"}


def counted(*calls, said=None, task=TASK):
    """One message a call; the user says `said` after each."""
    messages = play(task, [[call] for call in calls]).messages
    if said:
        spread = []
        for message in messages:
            spread.append(message)
            if message.role == "tool":
                spread.append(UserMessage(role="user", content=said))
        messages = spread
    return count(task, messages)


def test_a_call_is_repeated_only_while_nothing_could_have_changed():
    assert counted(LOOK, LOOK, LOOK)["repeated_calls"] == 2
    assert "repeated_calls" not in counted(LOOK, LOOK, LOOK, said="Try again.")
    assert "repeated_calls" not in counted(LOOK, USERS, LOOK)
    together = play(TASK, [[LOOK, LOOK], [LOOK]]).messages
    assert count(TASK, together)["repeated_calls"] == 2


def test_what_the_user_says_counts_from_the_last_call_on():
    messages = play(TASK, [[LOOK], [LOOK], [LOOK]]).messages
    second = [place for place, message in enumerate(messages) if message.role == "tool"][1]
    messages.insert(second + 1, UserMessage(role="user", content="I did."))
    assert count(TASK, messages)["repeated_calls"] == 1  # the second; the third is asked anew


def test_a_failed_call_that_is_made_again_is_a_repeated_one():
    counts = counted(WRONG, WRONG)
    assert counts["repeated_calls"] == 1 and counts["agent_tool_errors"] == 2


def test_calls_after_a_user_s_call_count_as_those_before():
    counts = counted(USERS, THEIRS, UNKNOWN, TRANSFER, LOOK)
    assert counts["foreign_tool_calls"] == counts["unknown_tool_calls"] == 1
    assert counts["transfers"] == 1
    assert counts["tool_errors"] == counts["agent_tool_errors"] == 2


def test_calls_that_could_not_be_read():
    said = ["Hello.", None, "<tool_call>{", "Once more: <tool_call>", "tool_call"]
    messages = [AssistantMessage(role="assistant", content=text) for text in said]
    messages.append(UserMessage(role="user", content="<tool_call>{}</tool_call>"))
    assert count(TASK, messages)["unparsed_calls"] == 2
    assert count(TASK, []) == {}


def test_a_write_is_outside_unless_the_task_names_what_it_changes():
    def at_a_foreign_line(task) -> int:
        counts = counted(("assistant", "enable_roaming", FOREIGN_LINE), task=task)
        assert "agent_tool_errors" not in counts
        return counts.get("outside_writes", 0)

    assert at_a_foreign_line(TASK) == 1
    for named, outside in (
        (FOREIGN_LINE, 0),
        ({"line_id": FOREIGN_LINE["line_id"]}, 1),  # not whose
        ({"customer_id": FOREIGN_LINE["customer_id"]}, 1),  # not which
        ({}, 1),
    ):
        gold = Action(action_id="x", requestor="assistant", name="enable_roaming", arguments=named)
        criteria = TASK.evaluation_criteria.model_copy(update={"actions": [gold]})
        assert at_a_foreign_line(TASK.model_copy(update={"evaluation_criteria": criteria})) == (
            outside
        ), named
