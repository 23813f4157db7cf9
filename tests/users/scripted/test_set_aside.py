"""What is put off, taken back or half understood: neither pressed nor named in a question."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from official import Talk
from test_scripted_user import find_task

from tau2_agent.users.scripted.spelling import corrected
from tau2_agent.users.scripted.understanding import parse
from tau2_agent.users.scripted.word_classes import letters

REQUESTS = (
    "restart your phone", "turn off airplane mode", "turn on mobile data", "turn off Data Saver",
    "disconnect your VPN", "reset your APN settings", "reseat your SIM card", "pay the bill",
    "set your network mode to 4G/5G preferred", "grant the messaging app the SMS permission",
)  # fmt: skip
EVENTS = (
    "your line is active again", "I resume your line", "the signal drops", "you see a weak signal",
    "we hang up", "it fails", "your bill is paid", "the bars are gone", "this happens",
)  # fmt: skip
_WORD = st.from_regex(
    r"[bcdfghklmnprstvz][aeiou][bdfgklmnprst]{1,2}[aeiou][bdklmnprt]", fullmatch=True
)


def pressed(text: str) -> bool:
    return any(not request.reads for request in parse(text).requests)


def _unknown(word: str) -> bool:
    return letters(word) == "o" and corrected(word) == word


# --- Another time, in front of the request ---
_OCCASION = st.sampled_from((
    "The {}", "Each {}", "Every {}", "The next {}", "The very first {}", "Any {}", "From the {}",
    "At the exact {}", "The {} that",
))  # fmt: skip


@given(_OCCASION, _WORD, st.sampled_from(EVENTS), st.sampled_from(REQUESTS))
@settings(max_examples=300, deadline=None)
def test_any_noun_with_what_happens_then_is_a_time(occasion, noun, event, request):
    assume(_unknown(noun))
    text = f"{occasion.format(noun)} {event}, please {request}."
    assert not pressed(text), text


@pytest.mark.parametrize("noun", ["moment", "minute", "second", "instant", "day", "time", "night"])
@pytest.mark.parametrize(
    "occasion", ["The {}", "Every {}", "The next {}", "The first {}", "That {}"]
)
def test_nouns_of_time_too(noun, occasion):
    for event in EVENTS:
        for request in REQUESTS:
            text = f"{occasion.format(noun)} {event}, {request}."
            assert not pressed(text), text


@given(_WORD, st.sampled_from(EVENTS), st.sampled_from(REQUESTS))
@settings(max_examples=150, deadline=None)
def test_any_adverb_with_what_happens_then_is_a_time(adverb, event, request):
    assume(_unknown(adverb))
    text = f"{adverb.capitalize()}ly {event}, {request}."
    assert not pressed(text), text


@pytest.mark.parametrize(
    "when",
    [
        "Directly", "Immediately", "Right after", "Just as", "Shortly after", "Straight after",
        "Ten minutes after", "Long before", "Moments after", "Instantly", "Right when",
    ],
)  # fmt: skip
def test_what_happens_then_is_a_time(when):
    for event in EVENTS:
        for request in REQUESTS:
            text = f"{when} {event}, {request}."
            assert not pressed(text), text


@pytest.mark.parametrize(
    "when",
    [
        "ten minutes from now", "for the next outage", "from now on", "half an hour later",
        "at the next power cut", "in the future", "for any future blackout", "on your next journey",
        "during the coming week", "wherever applicable", "in five days", "with every update",
    ],
)  # fmt: skip
def test_another_time_in_front_and_behind(when):
    for request in REQUESTS:
        for text in (f"{when.capitalize()}, please {request}.", f"Please {request} {when}."):
            assert not pressed(text), text


@given(_WORD, _WORD, st.sampled_from(["{} {}", "with {} {}", "{} the {}", "no {} but {}"]))
@settings(max_examples=150, deadline=None)
def test_what_is_not_known_in_front_of_a_request_is_asked_about(one, two, form):
    assume(_unknown(one) and _unknown(two))
    for request in REQUESTS[:3]:
        text = f"{form.format(one, two).capitalize()}, please {request}."
        assert not pressed(text), text


@pytest.mark.parametrize(
    "opener",
    [
        "Okay", "Great, thank you", "Next", "Now", "First", "Alright, John", "As the next step",
        "To fix this", "The problem you have is the signal, so", "Since your line is active",
        "Thanks for checking", "Unfortunately your signal is"
        " weak, so", "Currently the connection is slow, so", "As a last check",
        "For the next step", "On your side", "In your phone's settings", "On your phone",
    ],
)  # fmt: skip
def test_a_harmless_opener_is_none(opener):
    for request in REQUESTS:
        joint = " " if opener.endswith("so") else ", "
        text = f"{opener}{joint}please {request}."
        assert pressed(text), text


# --- Taken back ---
@pytest.mark.parametrize(
    "back",
    [
        "Please don't do it yet.", "That was a copy-paste error, please disregard.",
        "Sorry, typo! Leave it.", "Then again, keep it as it is.", "No, that would cut us off.",
        "Hmm, hold on, I've sent you the wrong one.", "Actually, scrap that.",
        "Let me double-check your account first, though.", "Forget the last step.",
        "I take that back.", "On second thought, never mind.", "Hmm, better not.",
        "Not yet, I mean.", "Don't.", "Erm, no.", "Not that one.", "Nope.", "There's no point.",
        "That is too early.", "Oops, wrong window.", "Please wait with it.",
    ],
)  # fmt: skip
def test_what_is_taken_back_is_not_named(back):
    for request in REQUESTS:
        heard = parse(f"Please {request}. {back}")
        assert not heard.doubted, (request, back)
        assert not pressed(f"Please {request}. {back}"), (request, back)


@pytest.mark.parametrize(
    "when",
    ["Tomorrow morning", "At the end of this call", "Once I've resumed your line", "Not yet"],
)
def test_what_is_put_off_is_not_named(when):
    for request in REQUESTS:
        heard = parse(f"{when}, please {request}.")
        assert not (heard.doubted or pressed(f"{when}, please {request}.")), request


async def test_a_yes_to_the_open_question_presses_nothing():
    talk = Talk(find_task("mobile_data", "data_saver_mode_on"))
    await talk.say("Hi! How can I help you today?")
    answer = await talk.say("Please restart your phone. Oh no, please don't restart it yet.")
    assert "right?" not in answer
    await talk.say("Yes, please.")
    assert talk.pressed == []


# --- There and back ---
SWITCHES = ("mobile data", "airplane mode", "Wi-Fi", "Wi-Fi Calling", "data roaming", "Data Saver")


def _halves(text: str) -> tuple[int, list[str]]:
    """How many presses are done or named, and the tools of those that are done."""
    heard = parse(text)
    done = [request.tool for request in heard.requests if not request.reads]
    return len(done) or sum(not request.reads for request in heard.doubted), done


@given(
    st.sampled_from(SWITCHES),
    st.sampled_from(["Cycle", "Toggle", "Please flip", "Could you cycle", "Switch"]),
    st.sampled_from([("off", "on"), ("on", "off")]),
    st.sampled_from(
        ["{}: {}, then {}", "{} ({} – {})", "{}, {}, wait 10 seconds, {}", "{} {} and back {}"]
    ),
)
@settings(max_examples=200, deadline=None)
def test_both_positions_in_their_order_or_none(switch, verb, positions, form):
    text = f"{verb} {form.format(switch, *positions)}."
    wanted = [request.want for request in parse(text).requests if not request.reads]
    assert wanted in ([], [word == "on" for word in positions]), text
    assert _halves(text)[0] != 1, text


@pytest.mark.parametrize(
    "back",
    [
        ", then restore it", " for a moment and then undo that", ", wait a bit, then switch back",
        " temporarily, then revert it", ", and afterwards reverse the change", ". Then undo it",
        " and, once the icon is gone, change it back", ", then return it to the old setting",
        ", wait, and switch it a second time",
    ],
)  # fmt: skip
def test_half_of_a_pair_is_neither_done_nor_named(back):
    for deed in (
        "Turn Wi-Fi off", "Switch Data Saver on", "Turn off Wi-Fi Calling", "Disconnect your VPN",
        "Set your network mode to 3G only", "Turn data roaming off", "Turn airplane mode on",
    ):  # fmt: skip
        assert _halves(f"{deed}{back}.")[0] != 1, deed


@given(
    st.sampled_from(["2G only", "3g_only", "4G only"]),
    st.sampled_from(["4G/5G preferred", "4g_5g_preferred"]),
    st.sampled_from([
        "Set the network mode to {} and then to {}.", "Switch to {}, wait a bit, then to {}.",
        "Change the network mode to {} for a moment and then to {}.",
        "Please put your network mode on {}, then after a minute on {}.",
        "Set it from {} to {} and back.", "Change your network mode to {}, and later to {} again.",
    ]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_of_two_modes_in_turn_not_one_alone(one, two, form):
    assert _halves(form.format(one, two))[0] != 1, form


@pytest.mark.parametrize(
    "text",
    [
        "Please change your network mode from 3G only to 4G/5G preferred.",
        "Set the network mode to 4G/5G preferred instead of 3G only.",
        "Please turn mobile data back on.", "Set your network mode back to 4G/5G preferred.",
        "Disconnect your VPN. You can always reconnect later.",
        "Your phone is on 2G only. Please set the network mode to 4G/5G preferred.",
        "Please turn off Wi-Fi, and then turn mobile data back on.",
    ],
)  # fmt: skip
def test_one_change_is_no_half(text):
    assert pressed(text), text


async def test_a_vpn_is_looked_at_before_it_is_switched_off():
    for words in ("Toggle your VPN off.", "Please disconnect your VPN.", "Turn off the VPN."):
        talk = Talk(find_task("mobile_data", "data_saver_mode_on"))
        await talk.say("Hi! How can I help you today?")
        answer = await talk.say(words)
        assert "disconnect_vpn" not in talk.pressed
        assert "VPN" in answer, answer


def test_reading_takes_no_time_with_words_of_any_length():
    for text in ("a" * 3000, "not " * 900, "minutes " * 450, "3g only then " * 300):
        began = perf_counter()
        parse(f"Please restart your phone. {text}")
        parse(f"Set your network mode to {text}, then back.")
        assert perf_counter() - began < 5, text[:20]
