"""Plain requests in the courtesies of support, and what beside them is still not pressed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_scripted_user import talk_to
from test_set_aside import EVENTS, REQUESTS, pressed
from test_voice import Talk, Users, find_task

from tau2_agent.users.scripted.understanding import parse

FRAMES = (
    "I would be grateful if you could {}.", "We'd be most obliged if you would {}.",
    "I must ask you to {}.", "I must ask you to {} before we continue.",
    "We kindly request that you {}.", "We have to ask you to {}.",
    "If you could just {}, that'd be lovely.", "Please {}, that would be brilliant.",
    "Right, could you {} for us?", "Great news! Please {}.", "Time for a classic: let's {}.",
    "Please {} and retry.", "Go ahead and {}, then retry.",
    "Please {}, and we should be in business.",
)  # fmt: skip
NOT_NOW = st.sampled_from(
    [f"{joint} {event}" for joint in ("once", "unless", "when") for event in EVENTS]
)


def presses(text: str) -> list[tuple[str, bool | None]]:
    return [(one.tool, one.want) for one in parse(text).requests if not one.reads]


@given(st.sampled_from(FRAMES), st.sampled_from(REQUESTS))
@settings(max_examples=150, deadline=None)
def test_a_courtesy_asks_for_what_a_plain_please_does(frame, request):
    assert presses(frame.format(request)) == presses(f"Please {request}.") != [], frame


@given(st.sampled_from(FRAMES), st.sampled_from(REQUESTS), NOT_NOW)
@settings(max_examples=200, deadline=None)
def test_no_courtesy_presses_what_a_plain_please_does_not(frame, request, event):
    plain = presses(f"Please {request} {event}.")  # under a condition that a look settles, or not
    assert presses(frame.format(f"{request} {event}")) in ([], plain), frame
    if "!" not in frame:  # of one sentence
        plain = presses(f"{event.capitalize()}, please {request}.")
        assert presses(f"{event.capitalize()}, {frame.format(request)}") in ([], plain), frame


@given(st.sampled_from(FRAMES), st.sampled_from(REQUESTS), st.sampled_from(["not", "never"]))
@settings(max_examples=80, deadline=None)
def test_no_courtesy_presses_what_is_denied(frame, request, no):
    verb = f"{no} to {request}" if "ask you to" in frame else f"{no} {request}"
    assert not pressed(frame.replace("ask you to", "ask you").format(verb)), frame


@given(
    st.sampled_from(["mobile data", "roaming", "Wi-Fi calling", "airplane mode", "Data Saver"]),
    st.sampled_from([("on", True), ("off", False)]),
    st.sampled_from(["then speed test", "then retry", "then please restart your phone"]),
)
@settings(max_examples=40, deadline=None)
def test_a_terse_order_before_another_step_is_not_dropped(switch, position, then):
    word, want = position
    asked = presses(f"{switch.capitalize()} {word} please, {then}.")
    assert want in [one for _, one in asked] or not parse(f"{switch} {word} please.").understood


@pytest.mark.parametrize("then", ["retry with the office Wi-Fi", "retry later", "retry your luck"])
def test_where_a_press_is_not_certain_the_rest_does_not_hide_it(then):
    for request in REQUESTS:
        if request == "pay the bill":
            continue  # he says that he will
        heard = parse(f"{request.capitalize()} and {then}.")
        assert not pressed(f"{request.capitalize()} and {then}.")
        assert heard.doubted or not heard.understood, request


@pytest.mark.parametrize(
    "text",
    [
        "Please accept the payment request you just received.",
        "Please approve the payment request that you've received.",
        "The overdue amount is $50. I've sent the request to your phone, please go ahead and make"
        " the payment.",
        "Your total balance is 75.20 dollars. Please pay the bill.",
    ],
)
def test_a_bill_is_paid(text):
    assert presses(text) == [("make_payment", None)]


@given(
    st.sampled_from(["zap", "mend", "bounce", "tweak", "nuke"]),
    st.sampled_from(["VPN", "Wi-Fi", "APN settings", "mobile data"]),
    st.sampled_from(["Please {} the {}.", "{} the {}, please.", "I must ask you to {} your {}."]),
)
@settings(max_examples=40, deadline=None)
def test_a_verb_that_nobody_knows_is_asked_about(verb, thing, form):
    heard = parse(form.format(verb, thing))
    assert not heard.understood and heard.unclear


def test_a_word_to_say_to_wait_is_no_order():
    for text in ("Please keep your VPN on.", "Please note that the VPN is off."):
        assert parse(text).understood, text


# --- How much at once ---
STEPS = "Please follow these steps:\n\n1. {}\n2. {}\n3. {}"


async def test_a_look_at_the_end_is_no_further_action():
    for look in ("Check if you can send an MMS", "Run a speed test", "Check your status bar"):
        talk = await talk_to("mms", "break_apn_mms_setting", persona="Easy")
        await talk.say(STEPS.format("Reset your APN settings", "Restart your phone", look))
        assert talk.pressed[:2] == ["reset_apn_settings", "reboot_device"]
    three = STEPS.format("Reset your APN settings", "Restart your phone", "Turn off Wi-Fi calling")
    talk = await talk_to("mms", "break_apn_mms_setting", persona="Easy")
    assert "one thing" in await talk.say(f"{three}\n4. Check if you can send an MMS")
    assert talk.pressed == []


async def test_with_one_action_a_look_counts():
    task = find_task("mobile_data", persona="Easy")
    talk = Talk(task, Users(one_action=True).make(task, "0"))
    await talk.say("Hi!")
    assert "one thing" in await talk.say("Please restart your phone, then run a speed test.")
    assert talk.pressed == []
