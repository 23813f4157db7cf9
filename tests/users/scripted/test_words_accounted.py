"""A press needs every word of the message accounted for; typing errors, tables, two positions."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_understanding import asks
from test_understanding_kinds import DONE, SOME, presses, upper

from tau2_agent.users.scripted.accounting import words_left
from tau2_agent.users.scripted.spelling import corrected
from tau2_agent.users.scripted.vocabulary import QUESTION_WORDS, SAFE

_WORD = st.from_regex(
    r"[bcdfghjklmnpqrstvwxz][aeiou][bcdfgklmnprstvz]{1,2}[aeiou][dklmnrt]", fullmatch=True
)


@given(st.sampled_from(sorted(SOME)), _WORD, st.integers(0, 5))
@settings(max_examples=200, deadline=None)
def test_an_unknown_word_anywhere_in_the_sentence_or_after_it_presses_nothing(words, riddle, at):
    assume(corrected(riddle) == riddle and riddle not in QUESTION_WORDS)
    places = (
        f"{riddle.title()}, {words}.", f"Please {words}, {riddle}.", f"{upper(words)} {riddle}.",
        f"Please {words}. {riddle.title()}.", f"Please {words}. It is {riddle}.",
        f"Please {words}, {riddle} it is.",
    )  # fmt: skip
    assert presses(places[at]) == []


@pytest.mark.parametrize(
    "word",
    ["not", "if", "until", "unless", "later", "soon", "tomorrow", "never", "nobody", "instead",
     "rather", "should", "joke", "wrong", "bot", "colleague", "friend", "laptop", "imagine"],
)  # fmt: skip
def test_what_may_turn_a_request_off_is_never_safe_by_itself(word):
    assert word not in SAFE
    for words in SOME:
        assert presses(f"Please {words} {word}.") == [], words
        assert presses(f"Please {words}. {word.title()}.") == [], words


BESIDE = [
    "I can see that your line is active.", "Your SIM card is working properly.",
    "Thank you for checking that for me.", "I understand how frustrating this is.",
    "I've added 2 GB of data to your account.", "It looks like there's no issue on our side.",
    "A restart often clears up connection problems.", "The antenna of your phone seems weak.",
]  # fmt: skip
AFTER = [
    "Let me know when you're done.", "This will refresh your connection to our network.",
    "It should only take a minute.", "I'll wait while you do that.", "Take your time.",
    "Then tell me what your status bar shows.", "You won't lose any photos or messages.",
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), list(itertools.product(BESIDE[::2], AFTER)))
def test_what_agents_say_beside_a_request_does_not_hide_it(before, after):
    for words, done in list(SOME.items())[::3]:
        assert presses(f"{before} Please {words}. {after}") == [done], words


@pytest.mark.parametrize("before", BESIDE)
def test_what_is_known_of_the_phone_may_be_said_in_other_words(before):
    for words, done in SOME.items():
        if "restart" not in words and "SIM" not in words:
            assert presses(f"{before} Please {words}.") == [done], words


@pytest.mark.parametrize(
    "after",
    ["It is up to you.", "That's complete.", "It's fine.", "I see it is done.", "No.", "Kidding!",
     "You have done that.", "This is for the other phone.", "Wait for me first."],
)  # fmt: skip
def test_after_the_request_it_may_be_taken_back(after):
    for words in SOME:
        assert presses(f"Please {words}. {after}") == [], words


def test_then_waits_for_what_is_not_the_users_to_do():
    for words, then in itertools.product(SOME, ("Then", "After that,", "Afterwards,")):
        assert presses(f"I'll update your line. {then} {words}.") == [], words
        assert presses(f"The network is coming back. {then} {words}.") == [], words


def test_words_left_are_those_that_no_phrase_holds():
    assert words_left("if it is on, turn it off") == ["turn", "it", "off"]
    assert "if" in words_left("if it rains, turn it off")
    assert "when" not in words_left("let me know when you're done")


# --- Two positions ---
def test_each_switch_gets_its_own_position_or_none():
    assert presses("Turn Wi-Fi Calling on and Data Saver off.") == [
        "toggle_wifi_calling=on",
        "toggle_data_saver_mode=off",
    ]
    for one, two in itertools.permutations(["Wi-Fi Calling", "Data Saver", "mobile data"], 2):
        assert presses(f"Turn on {one} and {two} off.") == []
        assert presses(f"Turn on {one} over {two}.") == []
        assert presses(f"Turn on {one} by turning off {two}.") == []


# --- Typing errors ---
@pytest.mark.parametrize(
    ("wrong", "right"),
    [("restrt", "restart"), ("plese", "please"), ("airplnae", "airplane"), ("roming", "roaming"),
     ("netwrok", "network"), ("settngs", "settings"), ("disconect", "disconnect")],
)  # fmt: skip
def test_one_slip_in_a_long_key_word_is_mended(wrong, right):
    assert corrected(f"a {wrong} b") == f"a {right} b"


@pytest.mark.parametrize(
    "word", ["of", "on", "off", "resent", "rest", "unable", "restarts", "witch", "enables", "date"]
)
def test_what_would_change_the_meaning_is_no_slip(word):
    assert corrected(word) == word


def test_slips_are_read_where_all_else_is_clear():
    assert asks("Plese restrt your phone.") == ["reboot_device"]
    assert asks("Could you turn on moblie data?") == ["toggle_data=on"]
    assert asks("Please turn of airplane mode.") == []
    assert asks("Pleese do not togle airplane mode.") == []


# --- Terse orders and tables ---
@pytest.mark.parametrize(
    ("text", "done"),
    [("Vpn off pls", "disconnect_vpn"), ("airplane mode: off, please", "toggle_airplane_mode=off"),
     ("Data saver off please", "toggle_data_saver_mode=off"), ("Airplane mode: off", None),
     ("VPN off, please confirm.", None), ("Data Saver off, thanks.", None)],
)  # fmt: skip
def test_a_terse_order_says_please(text, done):
    assert presses(text) == ([done] if done else [])


@pytest.mark.parametrize("head", ["| step | action |", "| # | Action |", "| | What to do |"])
def test_a_table_of_steps_is_a_list(head):
    for one, two in itertools.product(list(SOME)[:4], list(SOME)[-4:]):
        text = f"{head}\n|---|---|\n| 1 | {upper(one)} |\n| 2 | {two} |"
        assert presses(text) == [DONE[one], DONE[two]]


@pytest.mark.parametrize("head", ["| Setting | Value |", "| Tried | Result |", "| Step | Who |"])
def test_another_table_asks_for_nothing(head):
    for words in SOME:
        assert presses(f"{head}\n|---|---|\n| {words} | me |\n| {words} | done |") == []
