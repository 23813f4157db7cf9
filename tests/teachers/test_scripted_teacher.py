"""The teacher: solves the tasks, by the book, in few sentences, fast."""

from __future__ import annotations

import asyncio
import re
import time

import pytest
from official import official_reward, scripted_episode, tools_called
from tau2.data_model.message import AssistantMessage, UserMessage

from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.reward.scoring import score
from tau2_agent.rollout.trajectory import EndReason
from tau2_agent.teachers import answers
from tau2_agent.teachers.scripted import TRANSFER_TEXT, ScriptedTeacher
from tau2_agent.users.scripted.understanding import parse

NEEDS_TRANSFER = re.compile(r"lock_sim_card_pin|contract_end_suspension")


@pytest.fixture(scope="module")
def episodes():
    """(task, trajectory) of train and test."""

    async def play():
        tasks = load_tasks("train") + load_tasks("test")
        return [(task, await scripted_episode(task)) for task in tasks]

    return asyncio.run(play())


def agent_messages(trajectory):
    return [m for m in trajectory.messages[1:] if isinstance(m, AssistantMessage)]


def test_solves_every_train_and_test_task_by_tau2s_own_evaluator(episodes):
    failed = [task.id for task, run in episodes if official_reward(run, task) != 1.0]
    assert failed == []
    assert {run.end for _, run in episodes} == {EndReason.USER_STOP}


async def test_solves_unseen_tasks():
    tasks = load_tasks("extra_unseen")
    solved = [score(await scripted_episode(task), task).reward for task in tasks]
    assert sum(solved) >= 0.99 * len(tasks)


def test_one_move_a_turn(episodes):
    for _, run in episodes:
        for message in agent_messages(run):
            if message.is_tool_call():
                assert len(message.tool_calls) == 1
                assert not message.has_text_content()
        assert run.tool_errors == 0


def test_few_and_constant_sentences_that_each_name_one_thing(episodes):
    said = {
        message.content for _, run in episodes for message in agent_messages(run) if message.content
    }
    assert len(said) <= 32
    for sentence in said - {TRANSFER_TEXT}:
        heard = parse(sentence)
        assert len(heard.requests) + len(heard.questions) >= 1, sentence
        assert len(heard.requests) <= 1, sentence
        assert heard.understood and not heard.unclear, sentence


def test_the_customer_understands_everything(episodes):
    for _, run in episodes:
        assert run.user_report["unknown"] == run.user_report["refused"] == 0


def test_transfers_only_what_policy_says(episodes):
    assert any("contract_end_suspension" in task.id for task, _ in episodes)
    for task, run in episodes:
        transferred = "transfer_to_human_agents" in tools_called(run, "assistant")
        assert transferred is bool(NEEDS_TRANSFER.search(task.id)), task.id
        if "contract_end_suspension" in task.id:
            assert "resume_line" not in tools_called(run, "assistant")


def test_identifies_the_customer_first(episodes):
    for _, run in episodes:
        moves = agent_messages(run)
        assert moves[0].content == "What is your phone number?"
        assert moves[1].tool_calls[0].name == "get_customer_by_phone"


def test_resumes_a_line_only_after_it_saw_the_bill_paid(episodes):
    resumed = 0
    for _, run in episodes:
        seen = [m.content for m in run.messages if m.role == "tool" and m.requestor == "assistant"]
        calls = tools_called(run, "assistant")
        if "resume_line" in calls:
            resumed += 1
            assert '"status": "Paid"' in seen[calls.index("resume_line") - 1]
    assert resumed > 0


def test_refuels_only_with_consent_and_only_when_all_is_used(episodes):
    assert any("data_usage_exceeded" in task.id for task, _ in episodes)
    for task, run in episodes:
        refuelled = "refuel_data" in tools_called(run, "assistant")
        assert refuelled is ("data_usage_exceeded" in task.id)
        if refuelled:
            texts = [m.content for m in run.messages if isinstance(m, UserMessage) and m.content]
            assert any(text.startswith("Yes, please refuel") for text in texts)
            assert "Yes, please." in texts


def test_repairs_only_what_is_broken(episodes):
    """The writes of the user's phone are those of the task's own solution."""
    for task, run in episodes:
        if NEEDS_TRANSFER.search(task.id):
            continue
        gold = {a.name for a in task.evaluation_criteria.actions if a.requestor == "user"}
        pressed = tools_called(run, "user")
        writes = {n for n in pressed if not n.startswith(("check_", "can_", "run_"))}
        assert writes <= gold, task.id


@pytest.mark.parametrize(
    ("reason", "issue"),
    [
        ("I am unable to send MMS messages.", "mms"),
        ("My picture messages do not go out.", "mms"),
        ("My phone has been showing 'No Service'.", "service"),
        ("My internet is slow.", "data"),
        ("No bars at all on my phone.", "service"),
        ("My phone can't make calls.", "service"),
    ],
)
def test_issue(reason, issue):
    assert answers.issue_of(reason) == issue


@pytest.mark.parametrize(
    "text",
    [
        "555-123-2002",
        "555 123 2002.",
        "(555) 123-2002",
        "5551232002",
        "+1 555.123.2002",
        "555\u2011123\u20112002",
        "555\u2013123\u20132002",
        "555\u00a0123\u00a02002",
        "555/123/2002",
    ],
)
def test_phone_number_however_it_is_written(text):
    assert answers.phone_number(f"Sure, it is {text}") == "555-123-2002"
    assert answers.phone_number("My account is 12345678901234.") is None


@pytest.mark.parametrize(
    ("text", "abroad"),
    [("I am currently abroad in France.", True), ("Yes, I'm travelling in France", True),
     ("I am at home in the United States.", False), ("No, I am not abroad.", False),
     ("I\u2019m not travelling.", False), ("I am not sure about that.", False),
     ("I'm overseas, not at home.", True), ("Not at home: I'm abroad.", True),
     ("I'm not in the US.", True), ("I'm not at home, I am at work.", False)],
)  # fmt: skip
def test_abroad(text, abroad):
    assert answers.is_abroad(text) is abroad


@pytest.mark.parametrize(
    ("text", "amount"),
    [("Yes, please refuel 2.0 GB of data.", 2.0), ("2gb please", 2.0), ("two gigabytes", 2.0),
     ("I want 1.5 gigs.", 1.5), ("2,0 GB", 2.0),
     ("I'd take 2 more GB.", 2.0), ("No, I do not want to refuel data.", None)],
)  # fmt: skip
def test_amount_of_data(text, amount):
    assert answers.gigabytes(text) == amount


@pytest.mark.parametrize(
    ("text", "agreed"),
    [("Yes, please.", True), ("sure, go ahead", True), ("That is fine.", True), ("No.", False),
     ("I do not agree.", False), ("That's not okay.", False), ("Hm.", False),
     ("Sure, why not?", True), ("Absolutely!", True), ("Absolutely not.", False),
     ("That works for me.", True), ("Of course not.", False)],
)  # fmt: skip
def test_agreement(text, agreed):
    assert answers.agrees(text) is agreed


async def test_a_customer_who_never_answers_is_transferred_in_the_end():
    teacher = ScriptedTeacher()
    for _ in range(60):
        move = await teacher.act([UserMessage(role="user", content="What do you mean?")])
        if move.is_tool_call():
            break
    assert move.tool_calls[0].name == "transfer_to_human_agents"


async def test_a_number_that_nobody_has_is_transferred_in_the_end():
    teacher = ScriptedTeacher()
    for _ in range(20):
        move = await teacher.act([UserMessage(role="user", content="My number is 555-000-0000.")])
        if move.is_tool_call() and move.tool_calls[0].name != "get_customer_by_phone":
            break
    assert move.tool_calls[0].name == "transfer_to_human_agents"


async def test_an_episode_costs_at_most_ten_milliseconds_of_cpu_with_its_score():
    tasks = load_tasks("test")
    costs = []
    for _ in range(3):  # the best of three: other work on the machine slows caches, not us
        start = time.process_time()
        for task in tasks:
            score(await scripted_episode(task), task)
        costs.append((time.process_time() - start) / len(tasks))
    assert min(costs) < 0.010
