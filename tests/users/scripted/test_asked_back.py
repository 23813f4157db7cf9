"""A plain request beside what is not plain: the user asks whether it is meant, and needs a yes."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from official import Talk
from test_scripted_user import GREETING, find_task, talk_to
from test_understanding import brief
from test_understanding_kinds import DONE, SOME, presses

from tau2_agent.benchmark.tool_outputs import read
from tau2_agent.users.registry import make_user
from tau2_agent.users.scripted.agreement import is_plain_yes
from tau2_agent.users.scripted.spelling import corrected
from tau2_agent.users.scripted.understanding import parse
from tau2_agent.users.scripted.user import PATIENCE
from tau2_agent.users.scripted.voice import PHRASINGS
from tau2_agent.users.scripted.word_classes import letters, names_a_thing

ODD = "The moon is made of cheese."  # neither harmless nor taken back
SAVER = f"Please turn off Data Saver. {ODD}"
ASKED = "You want me to turn off Data Saver Mode, right?"
YES = [
    "Yes.", "yes please", "Yes, please. Go ahead!", "Correct.", "That's right, thank you.",
    "Exactly, please do that.", "Great! Yes.", "Yes, John. Please go ahead and do it now.", "Sure!",
    "Yes. Let me know once it's done.", "Okay, yes. Thanks for checking!",
]  # fmt: skip
NO_YES = [
    "No.", "No, sorry.", "Okay.", "Yes?", "Thank you.", "Not yet.",
    "Yes, but first check your SIM card.",
    "Yes. First, check your SIM card.", "Yes, once I have resumed your line.", "Yes, later.",
    "Yes, if you are at home.", "Yes and no.", "Yes, please don't.", "Right, forget that.",
    "Sure, whatever suits you.", "Yes, please check your SIM card.", "Yes. Actually, wait.",
    "That's right, my colleague said so.", "Yes, your phone needs a new battery.",
]  # fmt: skip


def doubted(text: str, topic: str = "") -> list[str]:
    return [brief(request) for request in parse(text, topic).doubted]


async def saver():
    talk = await talk_to("mobile_data", "data_saver_mode_on")
    assert await talk.say(SAVER) == ASKED
    assert talk.pressed == []
    return talk


# --- What is asked back ---
# Sentences of others that change or put off what is asked for, or that nobody can place.
PIECES = [
    "Or no, give me a second with my screen.", "Such is the custom of the house.",
    "There is no point.", "It's your call.", "Nothing to do.", "I'll take it back.",
    "Wait a moment.", "Hang on.", "Many do this.", "The lights have to go out.",
    "Our system will handle that.", "Let me know your choice.", "Allow me some time to check.",
    "You're right, sorry.", "Part two of it is fun.",
]  # fmt: skip
LABELS = [
    "One of the things we might try:", "The screen shows this:", "This is what the system shows:",
    "We hear this a lot:", "My task:", "Two ways forward:", "What our guys do:",
]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
def test_a_sentence_that_cannot_be_placed_is_asked_about(piece):
    for words, done in SOME.items():
        for text in (f"Please {words}. {piece}", f"Please {words} ({piece[:-1].lower()})."):
            assert presses(text) == [], text
            assert doubted(text) in ([done], []), text


@pytest.mark.parametrize("label", LABELS)
def test_a_label_that_does_not_invite_is_asked_about(label):
    for words in SOME:
        for text in (f"{label} {words}.", f"{label}\n{words}.", f"{label} Please {words}."):
            assert presses(text) == [], text


_OPEN = st.from_regex(
    r"[bcdfghjklmnprstvw][aeiou][bcdfgklmnprtv]{1,2}[aeiou][dklmnrt]", fullmatch=True
)
FRAMES = ["The {} is {}.", "It was {} of {}.", "Our {} will {}.", "A {} {}.", "Some {} have {}.",
          "You are {} and {}.", "This is {} {}.", "{} {}.", "In the {} of {}."]  # fmt: skip


@given(st.sampled_from(sorted(SOME)), st.sampled_from(FRAMES), _OPEN, _OPEN)
@settings(max_examples=250, deadline=None)
def test_what_names_no_thing_and_is_not_known_is_asked_about(words, frame, one, two):
    text = frame.format(one, two)
    assume(letters(one) == letters(two) == "o" and corrected(text) == text)
    assume(not names_a_thing(text.lower()))
    text = text[0].upper() + text[1:]
    for whole in (f"{text} Please {words}.", f"Please {words}. {text}"):
        assert presses(whole) == [], whole
        assert doubted(whole) == [DONE[words]], whole


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}, as that could be limiting your speed.", "turn off Data Saver"),
        ("It would be great if you could {}.", "restart your phone"),
        ("Please {}. There won't be an additional charge.", "turn on data roaming"),
        ("Please {}. Let me know what your phone says afterwards.", "turn off Data Saver"),
        ("Good morning, John. Please {}.", "restart your phone"),
        ("Please {}. I'm watching your line in the meantime.", "restart your phone"),
        ("No, you won't lose your photos. Please {}.", "restart your phone"),
        ("To do: {}.", "reset your APN settings"),
    ],
)
def test_what_is_plain_is_done_without_a_question(text, words):
    said = text.format(words)
    assert presses(said[0].upper() + said[1:]) == presses(f"Please {words}.") != []


def test_looks_are_done_at_once_and_again_after_what_was_asked_about():
    heard = parse(f"{ODD} Please check your SIM card, restart your phone and run a speed test.")
    assert [r.tool for r in heard.requests] == ["check_sim_status", "run_speed_test"]
    assert [r.tool for r in heard.doubted] == ["reboot_device", "run_speed_test"]


# --- What "it" is ---
TWO = ["data roaming", "mobile data", "Data Saver", "Wi-Fi"]


def test_it_is_asked_about_where_it_may_be_one_of_two():
    for one in TWO:
        for other in TWO:
            if one == other:
                continue
            for either in (f"{one} and {other} are off.", f"I see {one} and {other}."):
                assert presses(f"{either} Please turn it on.") == []
                assert len(doubted(f"{either} Please turn it on.")) == 1
            said = f"{one} is on. {other} is off. Please turn it on."
            assert presses(said) == presses(f"Please turn on {other}."), said
            said = f"{other} is off, but {one} is on. Please turn it on."
            assert presses(said) == presses(f"Please turn on {other}."), said
            both = f"{one} and {other} are off. Please turn them on."
            assert sorted(presses(both)) == sorted(presses(f"Turn on {one} and {other}.")), both


@pytest.mark.parametrize("between", ["It slows things down on purpose to save data.",
                                     "It is a friend of slow data."])  # fmt: skip
def test_data_in_passing_is_not_it(between):
    text = f"I notice Data Saver is turned on. {between} Would you please turn it off?"
    assert [*presses(text), *doubted(text)] == ["toggle_data_saver_mode=off"]


# --- The yes ---
@pytest.mark.parametrize("yes", YES)
async def test_a_plain_yes_presses_it(yes):
    talk = await saver()
    assert "Data Saver Mode is now OFF" in await talk.say(yes)
    assert talk.pressed == ["check_data_restriction_status", "toggle_data_saver_mode"]
    assert talk.user.report()["asked_back"] == 1 and talk.user.report()["unknown"] == 0


@pytest.mark.parametrize("answer", NO_YES)
async def test_anything_else_does_not(answer):
    talk = await saver()
    await talk.say(answer)
    assert "toggle_data_saver_mode" not in talk.pressed
    await talk.say("Yes, please.")  # it is a message too late
    assert "toggle_data_saver_mode" not in talk.pressed


@given(st.sampled_from(YES[:8]), _OPEN, st.sampled_from(["{} {}", "{}, the {}.", "{}\n{} it."]))
@settings(max_examples=150, deadline=None)
def test_a_word_more_that_is_not_known_is_no_yes(yes, more, form):
    assume(letters(more) == "o" and corrected(more) == more and more != "madam")
    assert is_plain_yes(yes.lower().split("\n"))
    assert not is_plain_yes(form.format(yes.lower().rstrip(".!"), more).split("\n"))


async def test_yes_with_another_request_is_that_request():
    talk = await saver()
    await talk.say("Yes, please turn on data roaming.")
    assert "toggle_roaming" in talk.pressed and "toggle_data_saver_mode" not in talk.pressed


async def test_a_yes_after_a_look_or_out_of_nothing_presses_nothing():
    talk = await talk_to("mobile_data", "data_saver_mode_on")
    await talk.say("Yes, please.")
    assert talk.pressed == []
    await talk.say(f"{ODD} Please check your data saver.")
    assert talk.pressed == ["check_data_restriction_status"]
    await talk.say("Yes, please.")
    assert talk.pressed == []


async def test_several_are_named_and_done_in_order():
    talk = await talk_to("mobile_data", "bad_vpn", "data_saver_mode_on", persona="Easy")
    text = f"{ODD} Please turn off Data Saver, then disconnect your VPN."
    asked = "You want me to turn off Data Saver Mode and then disconnect my VPN, right?"
    assert await talk.say(text) == asked
    await talk.say("Yes, please do.")
    assert [tool for tool in talk.pressed if "check" not in tool] == [
        "toggle_data_saver_mode",
        "disconnect_vpn",
    ]
    talk = await talk_to("mobile_data", "bad_vpn", persona="Hard")
    assert "one thing at a time" in await talk.say(text)


async def test_a_condition_is_asked_about_and_looked_up():
    talk = await talk_to("service", "break_apn_settings")
    asked = await talk.say(f"{ODD} If your SIM card is missing, please reseat it.")
    assert asked.endswith("put it back in if that is needed, right?")
    await talk.say("Yes, please.")
    assert talk.pressed == ["check_sim_status"]


async def test_the_fear_for_the_photos_stays():
    talk = await talk_to("mms", "break_apn_mms_setting", persona="Hard")
    assert "restart my phone, right?" in await talk.say(f"Please restart your phone. {ODD}")
    assert "lose my photos" in await talk.say("Yes, please.")
    assert talk.pressed == []
    await talk.say("No, your photos are safe.")
    assert talk.pressed == ["reboot_device"]


async def test_a_question_is_no_riddle_but_the_same_one_again_is():
    talk = await talk_to("mobile_data", "data_saver_mode_on")
    for _ in range(2):  # other questions: patience stays
        for words in ("turn off Data Saver", "restart your phone", "reset your APN settings"):
            assert "right?" in await talk.say(f"Please {words}. {ODD}")
    for _ in range(PATIENCE):  # the first is new after the others
        assert (await talk.say(SAVER)).endswith("right?")
    assert await talk.say(SAVER) == "###OUT-OF-SCOPE###"


@pytest.mark.parametrize("phrasing", PHRASINGS)
@pytest.mark.parametrize("persona", ["None", "Easy", "Hard"])
async def test_the_question_is_asked_in_every_wording_and_mood(phrasing, persona):
    task = find_task("mobile_data", "data_saver_mode_on", persona=persona)
    for draw in "0123456":
        talk = Talk(task, make_user("scripted", task, phrasing=phrasing, draw=draw))
        await talk.say(GREETING)
        asked = await talk.say(SAVER)
        assert "turn off Data Saver Mode" in asked
        assert not read(asked), asked  # it tells nothing of the phone
        await talk.say("Yes, please.")
        assert talk.pressed[-1] == "toggle_data_saver_mode"
