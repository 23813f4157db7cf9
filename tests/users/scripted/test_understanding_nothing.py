"""What must never make the scripted user press a button: denied, told, unknown, random."""

from __future__ import annotations

import itertools
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tau2_agent.users.scripted.lexicon import CHECKS
from tau2_agent.users.scripted.request import Request
from tau2_agent.users.scripted.understanding import parse

# Texts that ask for nothing on the phone.
NOTHING = [
    # negated
    "Please do not restart your phone yet.",
    "You don't need to turn off mobile data.",
    "Don't turn on airplane mode.",
    "There is no need to reset your APN settings.",
    "Never remove your SIM card.",
    "You should not restart your phone or turn off airplane mode.",
    "Please avoid turning off mobile data.",
    "Do not restart your phone and do not turn off Wi-Fi.",
    "Please don't toggle_data.",
    "It is not necessary to reboot the phone.",
    "Do not restart or turn off mobile data.",
    # told, past, announced
    "I have enabled roaming on your line.",
    "I've turned on roaming for your account.",
    "I will now check your line.",
    "I am going to enable roaming on your line.",
    "Your SIM card is active.",
    "Airplane mode disables all connections.",
    "Turning off data saver can improve the speed.",
    "Thank you for restarting your phone.",
    "You have turned off airplane mode, great.",
    "I can see that mobile data is enabled.",
    "Resetting the APN settings will require a restart.",
    "We can enable roaming for you.",
    "Mobile data should be on now.",
    "I used check_status_bar and toggle_data.",
    "Let me turn on roaming for your line.",
    "I can help you turn off airplane mode.",
    "Please note that mobile data must work for MMS.",
    "I'd rather you did not restart your phone.",
    "You mentioned that you turned off airplane mode.",
    "Let me know after you've turned on mobile data.",
    "What happens if you restart your phone?",
    "How do you restart your phone?",
    # depends on what is not known yet
    "If that doesn't work, restart your phone.",
    "If the problem persists, please reset your APN settings.",
    "Otherwise, restart your phone.",
    "Once you have restarted your phone, tell me.",
    "Let me know when you are done.",
    # a tool call that went wrong
    '{"name": "toggle_data", "arguments": {}}',
    '<tool_call>{"name": "toggle_data", "arguments": {}}</tool_call>',
    # nothing in particular
    "Please fix your phone settings.",
    "Please do whatever is necessary.",
    "Please factory reset your phone.",
    "Please restart the messaging app.",
    "Please reset your network settings.",
    "Go to Settings > Network > Mobile data.",
    "Turn off your phone.",
    "Turn it off.",
    "asdf qwer zxcv",
    "???",
    "",
]


@pytest.mark.parametrize("text", NOTHING)
def test_nothing_is_asked_for(text):
    assert parse(text).requests == ()


# --- Nothing is pressed by accident ---
_NOUNS = [
    "airplane mode",
    "mobile data",
    "roaming",
    "VPN",
    "SIM card",
    "APN",
    "phone",
    "Wi-Fi calling",
]
_FORMS = [
    "I have already {did} {noun}.",
    "We {did} {noun} for you.",
    "Do not {do} {noun}.",
    "You do not need to {do} {noun}.",
    "Please don't {do} {noun} yet.",
    "{doing} {noun} is not necessary.",
    "I will {do} {noun} on our side.",
    "There is no need to {do} {noun}.",
    "If nothing helps, {do} {noun}.",
    "Your {noun} was fine before.",
    "After you {do} {noun}, wait.",
]
_VERBS = [
    ("turn off", "turned off", "Turning off"),
    ("enable", "enabled", "Enabling"),
    ("reset", "reset", "Resetting"),
    ("restart", "restarted", "Restarting"),
    ("toggle", "toggled", "Toggling"),
    ("disconnect", "disconnected", "Disconnecting"),
]


def _writes(text: str) -> list[Request]:
    return [request for request in parse(text).requests if request.tool not in CHECKS.values()]


@pytest.mark.parametrize("form", _FORMS)
def test_told_or_denied_actions_are_never_done(form):
    for (do, did, doing), noun in itertools.product(_VERBS, _NOUNS):
        text = form.format(do=do, did=did, doing=doing, noun=noun)
        assert _writes(text) == [], text


@pytest.mark.parametrize(
    "loop",
    ["thank you for ", "so ", "please ", "turn it off and ", "toggle_data(", "mobile data ", "1. ",
     "hold the power button ", "change to a plan ", "if it is on ", "turn off your phone, ", "a"],
)  # fmt: skip
def test_a_model_that_repeats_itself_is_read_quickly(loop):
    start = time.process_time()
    parse(loop * 1000)
    assert time.process_time() - start < 0.5


@given(st.text(max_size=300))
@settings(max_examples=300)
def test_any_text_can_be_read_and_random_text_presses_nothing(text):
    if not re.search(r"[a-z]{4}", text.lower()):
        assert _writes(text) == []
    parse(text)


_SOUP = re.findall(
    r"\w+",
    "the a of your blue phone data mode card signal sim apn vpn it is very slow line plan bill "
    "network roaming and with",
)


@given(st.lists(st.sampled_from(_SOUP), max_size=25))
def test_words_without_a_verb_press_nothing(words):
    assert _writes(" ".join(words)) == []
