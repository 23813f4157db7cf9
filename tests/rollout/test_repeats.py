"""Loops are found whatever their length and however they are dressed; honest repetition is none."""

import asyncio

import pytest
from replays import Plays
from tau2.data_model.message import (
    AssistantMessage,
    MultiToolMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
)

from tau2_agent.benchmark.tasks import get_task, load_tasks
from tau2_agent.rollout.episode import Limits, run_episode
from tau2_agent.rollout.repeats import Repeats
from tau2_agent.rollout.trajectory import EndReason
from tau2_agent.teachers.baselines import make_agent
from tau2_agent.users.registry import make_user

TASK = get_task("[mobile_data_issue]airplane_mode_on|user_abroad_roaming_enabled_off[PERSONA:None]")
NUMBER = "555-123-2002"
LINE = {"customer_id": "C1001", "line_id": "L1002"}
FIND = ("get_customer_by_phone", {"phone_number": NUMBER})
LOOK = ("get_details_by_id", {"id": "L1002"})
BAR, SPEED = "Please check the status bar.", "Please run a speed test."


def play(turns, limit=0, phrasing="fixed", user=None, **more):
    """An episode with the scripted user."""
    user = user or make_user("scripted", TASK, phrasing=phrasing)
    limits = Limits(max_steps=200, repeat_limit=limit)
    return asyncio.run(run_episode(TASK, Plays(turns, **more), user, limits=limits))


def bills(limit):
    return "get_bills_for_customer", {"customer_id": "C1001", "limit": limit}


LOOPS = {
    "the same look": [LOOK] * 9,
    "two in turn": [FIND, LOOK] * 9,
    "three in turn": [FIND, LOOK, bills(12)] * 9,
    "five in turn": [FIND, LOOK, bills(12), BAR, "What is your phone number?"] * 30,
    "an argument that changes no answer": [bills(number) for number in range(12, 40)],
    "calls that are refused": [
        ("get_customer_by_phone", {"phone_number": f"555-{i}"}) for i in range(9)
    ],
    "arguments that do not exist": [
        ("get_details_by_id", {"id": "L1", f"x{i}": 1}) for i in "abcd"
    ],
    "one call, then many of it": [[LOOK] * number for number in range(1, 9)],
    "another order": [[LOOK, FIND], [FIND, LOOK]] * 9,
    "the same question": [BAR] * 30,
    "in other dress": [BAR, BAR.upper(), f"  {BAR}!!", BAR.replace(" ", "\n")] * 9,
    "a word over and over": [f"Please check the status bar {'bar ' * i}" for i in range(1, 30)],
    "off and on for ever": ["Please turn on airplane mode.", "Please turn off airplane mode."] * 20,
    "a switch pressed for ever": ["Please toggle airplane mode."] * 30,
}


@pytest.mark.parametrize("phrasing", ["fixed", "train", "held_out"])
@pytest.mark.parametrize("turns", LOOPS.values(), ids=LOOPS)
def test_a_loop_ends_the_episode(turns, phrasing):
    trajectory = play(turns, limit=3, phrasing=phrasing)
    assert trajectory.end is EndReason.REPEAT_LIMIT, trajectory.end
    assert trajectory.agent_turns <= len(turns)
    assert "times in a row" in trajectory.detail
    assert Repeats(trajectory.messages).longest == 3
    assert trajectory.messages[-1].role != "assistant"  # calls are answered
    free = play(turns, phrasing=phrasing)
    assert free.end is not EndReason.REPEAT_LIMIT and free.steps > trajectory.steps


def test_the_nth_time_ends_it_and_none_before():
    for limit in (2, 3, 5):
        assert play([LOOK] * 9, limit).agent_turns == limit
        assert play([FIND, LOOK] * 9, limit).agent_turns == 2 * limit
        # a user who does the same again may tell it in other words
        assert play([BAR] * 9, limit, phrasing="train").agent_turns == limit
        # what went before is no part of it, and neither is a cycle that was broken
        assert play([FIND, *[LOOK] * 9], limit).agent_turns == limit + 1
        broken = [LOOK] * (limit - 1) + [FIND]
        assert play([*broken, BAR, *broken, *[FIND] * 9], limit).agent_turns >= 2 * limit + 2


FIX = [
    "Please turn off airplane mode.",
    "Please turn on data roaming.",
    "Please reboot your phone.",
]
HONEST = {
    "a look again after a write": [LOOK, ("disable_roaming", LINE), LOOK, ("enable_roaming", LINE)]
    + [LOOK],
    "a look again after what the user did": [LOOK, FIX[0], LOOK, FIX[1], LOOK],
    "the bar again after each repair": [BAR, FIX[0], BAR, FIX[1], BAR, FIX[2], BAR],
    "a speed test after each repair": [FIX[2], SPEED, FIX[0], SPEED, FIX[2], SPEED],
    "off and on again": ["Please turn on airplane mode.", "Please turn off airplane mode.", BAR],
    "different lines": [("get_details_by_id", {"id": f"L100{i}"}) for i in (1, 2, 3)],
    "one write on three lines": [
        (name, {"customer_id": "C1001", "line_id": f"L100{i}"})
        for name in ("disable_roaming", "enable_roaming")
        for i in (1, 2, 3)
    ],
    "a call put right": [("get_data_usage", {}), ("get_data_usage", {"customer_id": "C1"})],
    "other questions, one answer": ["Is the issue urgent?", "Could it wait a day?", BAR],
}


def test_the_same_question_is_another_while_the_phone_answers_otherwise():
    def talk(*shown):
        for number, bars in enumerate(shown):
            call = ToolCall(id=f"{number}", name="check_status_bar", arguments={}, requestor="user")
            answer = ToolMessage(id=f"{number}", role="tool", content=bars, requestor="user")
            yield AssistantMessage(role="assistant", content=BAR)
            yield from (UserMessage(role="user", tool_calls=[call]), answer)
            yield UserMessage(role="user", content="Here it is.")

    assert Repeats([*talk("none", "none", "none", "none")]).longest == 3
    assert Repeats([*talk("none", "weak", "good", "full")]).longest == 1


def test_the_same_words_are_others_while_the_user_does_something_else():
    """Each time he looks at another app, and is told the same."""

    def talk(*apps):
        for number, app in enumerate(apps):
            told = {"app_name": app}
            call = ToolCall(id=f"{number}", name="check_app", arguments=told, requestor="user")
            answer = ToolMessage(id=f"{number}", role="tool", content="Off.", requestor="user")
            yield AssistantMessage(role="assistant", content="And the next one?")
            yield from (UserMessage(role="user", tool_calls=[call]), answer)
            yield UserMessage(role="user", content="It is off.")

    assert Repeats([*talk("maps", "maps", "maps", "maps")]).longest == 3
    assert Repeats([*talk("maps", "mail", "news", "chat")]).longest == 1


def test_answers_that_come_together_are_heard_one_by_one():
    """tau2 has the results of several calls in one message."""

    def looks(*answers):
        for number, content in enumerate(answers):
            calls = [
                ToolCall(id=f"{number}{side}", name="look", arguments={}, requestor="assistant")
                for side in "ab"
            ]
            told = [
                ToolMessage(id=call.id, role="tool", content=content, requestor="assistant")
                for call in calls
            ]
            yield AssistantMessage(role="assistant", tool_calls=calls)
            yield MultiToolMessage(role="tool", tool_messages=told)

    assert Repeats([*looks("hi", "1 GB", "2 GB", "3 GB")]).longest == 1
    assert Repeats([*looks("hi", "1 GB", "1 GB", "1 GB")]).longest == 3


def test_refusals_that_differ_in_what_they_repeat_are_one():
    """The longest is taken out first: an argument may be a word of another."""

    def refused(*values, reason="there is no plan"):
        for number, value in enumerate(values):
            arguments = {"plan": value, "word": value.split()[-1]}
            call = ToolCall(id=f"{number}", name="find", arguments=arguments, requestor="assistant")
            yield AssistantMessage(role="assistant", tool_calls=[call])
            why = reason[number] if isinstance(reason, list) else reason
            said = f"Error: {why} {value}."
            yield ToolMessage(
                id=f"{number}", role="tool", content=said, requestor="assistant", error=True
            )

    plans = ("basic x", "extra y", "great z", "small v")
    assert Repeats([*refused(*plans)]).longest == 3
    reasons = ["no plan", "no such word as", "too much is", "who wants"]
    assert Repeats([*refused(*plans, reason=reasons)]).longest == 1


@pytest.mark.parametrize("turns", HONEST.values(), ids=HONEST)
def test_honest_repetition_is_no_loop(turns):
    trajectory = play(turns, rest="Is there anything else?")
    places = [i for i, m in enumerate(trajectory.messages) if m.role == "assistant"]
    assert len(places) > len(turns)  # the greeting, and all that was to be played
    own = trajectory.messages[: [*places, None][len(turns) + 1]]
    repeats = Repeats(own)
    assert (repeats.repeated, repeats.longest) == (0, 1)


def test_the_scripted_teacher_never_loops():
    """Each of its conversations is right, on varied words too."""
    for task in load_tasks("test"):
        for phrasing in ("fixed", "train"):
            user = make_user("scripted", task, phrasing=phrasing)
            limits = Limits(repeat_limit=2)
            played = asyncio.run(run_episode(task, make_agent("scripted"), user, limits=limits))
            assert played.end is EndReason.USER_STOP


class Answers:
    """A user who says one thing after the other."""

    def __init__(self, *texts):
        self.texts = iter(texts)

    async def reply(self, new):
        return UserMessage(role="user", content=next(self.texts, "###STOP###"))

    def report(self):
        return {}


def test_a_user_who_has_more_to_say_breaks_the_loop():
    more = Answers("Hi", "My phone is slow.", "It began on Monday.", "I live in Spain.")
    assert play(["What else?"] * 9, limit=2, user=more).end is EndReason.USER_STOP
    nothing = Answers("Hi", "I said it is slow.", "It is slow, I said.", "Slow it is.", "Slow.")
    assert play(["What else?"] * 9, limit=3, user=nothing).end is EndReason.REPEAT_LIMIT


def test_a_user_who_says_one_thing_only_does_not_break_a_loop():
    trajectory = play(["What else?"] * 9, limit=3, user=Answers(*["It is slow."] * 9))
    assert trajectory.end is EndReason.REPEAT_LIMIT


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        ([LOOK] * 9, "the last turn 3 times in a row"),
        ([FIND, LOOK] * 9, "the last 2 turns 3 times in a row"),
        ([FIND, LOOK, bills(12)] * 9, "the last 3 turns 3 times in a row"),
    ],
)
def test_the_end_says_what_was_repeated(turns, said):
    assert play(turns, limit=3).detail == said


def test_a_stop_of_the_user_and_the_limit_of_steps_come_first():
    stops = Answers("Hi", "No", "No", "###STOP###")
    assert play(["Well?"] * 9, limit=3, user=stops).end is EndReason.USER_STOP
    trajectory = asyncio.run(
        run_episode(
            TASK,
            Plays([LOOK] * 9),
            make_user("scripted", TASK),
            limits=Limits(max_steps=6, repeat_limit=3),
        )
    )
    assert trajectory.end is EndReason.MAX_STEPS


def test_turns_of_a_loop_are_counted_without_the_first_time():
    counted = [
        ([LOOK, LOOK], 1, 2),
        ([LOOK, LOOK, LOOK, FIND], 2, 3),
        ([FIND, LOOK, FIND], 0, 1),
        ([FIND, LOOK, FIND, LOOK], 2, 2),
        ([FIND, LOOK, FIND, LOOK, FIND], 3, 2),
        ([LOOK, LOOK, FIND, LOOK, LOOK, LOOK], 3, 3),
    ]
    for turns, repeated, longest in counted:
        played = play(turns, user=Answers("Hi"), rest="Bye").messages
        found = Repeats(played)
        assert (found.repeated, found.longest) == (repeated, longest), turns
        # seen while it grows, as an episode sees it
        grown = Repeats()
        for end in range(1, len(played)):
            if played[end].role == "assistant":
                grown.see(played[:end])
        grown.see(played)
        assert (grown.repeated, grown.longest) == (repeated, longest), turns
