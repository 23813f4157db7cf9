"""What stands beside a request: shapes that leave it as it is, and what may take it back."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_understanding import MODE, asks
from test_understanding_kinds import DONE, SOME, presses

from tau2_agent.users.scripted.harmless import beside, harmless
from tau2_agent.users.scripted.plain_words import plainly
from tau2_agent.users.scripted.spelling import corrected
from tau2_agent.users.scripted.vocabulary import SAFE
from tau2_agent.users.scripted.word_classes import DANGEROUS, MILD, letters

FEW = dict(list(SOME.items())[::5])
# Neither a verb of phone support nor a dangerous word: what an agent says of a phone.
_OPEN = st.from_regex(
    r"[bcdfghjklmnprstvw][aeiou][bcdfgklmnprtv]{1,2}[aeiou][dklmnrt]", fullmatch=True
)


def pressed(text: str, words: str) -> bool:
    done = presses(text)
    assert done in ([], [DONE[words]]), text
    return bool(done)


# --- Classes of words ---
@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("your phone isn't registered", "DTB!p"),
        ("it won't last", "SM!D"),
        ("i've sent you that", "IHpYt"),
        ("the gromit flurbles", "Dov"),
        ("my colleague", "XX"),
        ("T_vpn, or T_call", "T,CX"),
        ("turning it on", "GSP"),
        ("the tower's antenna", "DTsT"),
        ("suspension_start", "X"),
    ],
)
def test_a_letter_a_word(text, classes):
    assert letters(text) == classes


# --- Before a request ---
SUBJECTS = [
    "your phone",
    "the missing MMSC URL",
    "a VPN",
    "Data Saver",
    "your line",
    "the network in France",
]
TOLD = [
    "{} is what {}s your messages.",
    "{} can {} the connection.",
    "{} isn't {} at the moment.",
    "I see that {} has a {} signal.",
    "It looks like {} is {} right now.",
    "{} is {}, and that's why pages won't load.",
    "Okay, so {} became {} after the restart.",
]


@given(st.sampled_from(sorted(FEW)), st.sampled_from(SUBJECTS), st.sampled_from(TOLD), _OPEN)
@settings(max_examples=150, deadline=None)
def test_a_statement_about_a_thing_may_have_any_open_word(words, subject, told, riddle):
    assume(letters(riddle) == "o")
    text = told.format(subject, riddle)
    assert pressed(f"{text[0].upper()}{text[1:]} Please {words}.", words)


@given(st.sampled_from(sorted(FEW)), st.sampled_from(sorted(DANGEROUS - MILD)), st.integers(0, 3))
@settings(max_examples=300, deadline=None)
def test_a_dangerous_word_fits_no_statement(words, word, place):
    assume(corrected(word) == word and word not in SAFE)  # a known word is read with its phrase
    assume(
        word not in ("another", "assuming", "says", "plans", "following", "texting")
    )  # so are these
    frames = (
        f"The network has the {word} signal.",
        f"It is the {word} antenna.",
        f"The speed looks {word} to me.",
        f"That {word} explains the symptom.",
    )
    assume("X" in letters(plainly(frames[place].lower())))  # and no plain phrase with it
    assert not pressed(f"{frames[place]} Please {words}.", words)
    assert not pressed(f"Please {words}. {frames[place]}", words)


@pytest.mark.parametrize(
    "before",
    [
        "Your neighbour lost the signal.",
        "The shop recommended this.",
        "Imagine a bad day.",
        "Vote now.",
        "When you are home.",
        "Once the towers are fixed.",
        "I will call you.",
        "I'll do the rest.",
        "That would be the last resort.",
        "You may have read this somewhere.",
        "In some cases.",
        "The handset in the drawer is faulty.",
        "Your screen reads as follows.",
        "It goes like this.",
        "Your phone should not be restarted or reset.",
        "There is one thing you can't do.",
        "The app shows you a list.",
        "We did that.",
        "You only need this if it rains.",
    ],
)
def test_what_may_make_the_next_sentence_no_request(before):
    for words in SOME:
        assert not pressed(f"{before} {words[0].upper()}{words[1:]}.", words)


# --- After it ---
EFFECTS = [
    "This will {} your connection.",
    "It should {} the signal.",
    "That lets your phone {} to a tower.",
    "It won't delete any {} photos.",
    "A VPN can slow your {} connection.",
    "Your screen will go {}.",
    "You should then see the {} icon.",
    "Let me know how the {} signal behaves.",
    "There's no charge for the {} signal.",
    "You can find it under the {} settings.",
    "I'll check the {} values.",
    "Thanks for the {} details!",
]


@given(
    st.sampled_from(sorted(SOME)),
    st.sampled_from(EFFECTS),
    st.sampled_from(["local", "final", "extra"]),
)
@settings(max_examples=200, deadline=None)
def test_an_effect_a_place_or_a_courtesy_takes_nothing_back(words, effect, word):
    assume("VPN" not in words or "VPN" not in effect)
    assume(letters(word) != "o" or "will {}" not in effect)
    assume(letters(word) != "o" or "should {}" not in effect)
    assert pressed(f"Please {words}. {effect.format(word)}", words)


@pytest.mark.parametrize(
    "after",
    [
        "It turns itself on by itself.",
        "It works, though.",
        "That worked.",
        "It looks fine.",
        "They should be left alone.",
        "It will be done remotely.",
        "Our system does that anyway.",
        "It is no longer required.",
        "It doesn't help.",
        "This must wait.",
        "It will erase everything.",
        "Did you do that?",
        "Is that what you did?",
        "We handled it.",
        "I will do it.",
        "Okay, next week.",
        "This is for your tablet.",
        "Better yet, ignore it.",
        "Once I tell you.",
        "If you want that.",
        "Let me know if you want that.",
        "Tell me first whether you agree.",
        "It shows that it is done.",
    ],
)
def test_what_may_take_it_back(after):
    for words in SOME:
        assert not pressed(f"Please {words}. {after}", words)


# --- In its own sentence ---
REASONS = [
    "since your line is active",
    "as the antenna of the network sleeps",
    "so that your phone can talk to the tower",
    "to restore your connection",
    "so I can lift the suspension",
    "because the tower forgets phones",
    "which should refresh everything",
]


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_changes_nothing(reason):
    for words in FEW:
        assert pressed(f"Please {words}, {reason}.", words) or "forgets" in reason


@pytest.mark.parametrize(
    "reason",
    [
        "since your colleague is back",
        "so that my boss can see it",
        "because you told me so yesterday",
        "which you already did",
        "as many times as you like",
        "while abroad",
        "so I hear",
        "unless it rains",
        "with the charger plugged in",
        "at some point",
        "in some cases",
        "at the end of our call",
    ],
)
def test_a_reason_of_another_or_a_time_does(reason):
    for words in FEW:
        assert not pressed(f"Please {words}, {reason}.", words)
        assert not pressed(f"{reason[0].upper()}{reason[1:]}, {words}.", words)


@pytest.mark.parametrize(
    "label", ["It's an easy one", "Your next step is simple", "Let's try one more thing"]
)
def test_a_label_that_is_a_sentence_invites(label):
    for words in SOME:
        assert pressed(f"{label}: {words}.", words)


def test_a_time_after_it_belongs_to_a_look_or_a_promise():
    for words, last in itertools.product(
        FEW, ("tell me the speed", "I'll check your line", "we can move on")
    ):
        assert pressed(f"Please {words}. As soon as it is back, {last}.", words)
        assert not pressed(f"Please {words}. As soon as I am back, {last}.", words)


def test_what_leaves_it_is_told_by_its_place():
    assert harmless("your T_phone has a weak antenna", False, False)
    assert not harmless("it was a mistake", False, False)
    assert beside("because the antenna is weak", True)
    assert not beside("in some cases", False)
    assert not harmless("did you do that", True, True)


# --- What "it" is ---
def test_it_is_what_fits_the_verb():
    for thing, tool in (
        ("Wi-Fi Calling", "toggle_wifi_calling"),
        ("Data Saver", "toggle_data_saver_mode"),
    ):
        assert asks(
            f"{thing} is on. This can affect your messages and calls. Please disable it."
        ) == [f"{tool}=off"]


@pytest.mark.parametrize(("seen", "verb", "want"), [("off", "on", "on"), ("on", "off", "off")])
def test_it_is_what_stands_in_the_other_position(seen, verb, want):
    text = f"Mobile data is {seen} on your phone, and that matters away from Wi-Fi. Turn it {verb}."
    assert presses(text) == [f"toggle_data={want}"]


@pytest.mark.parametrize(
    ("text", "done"),
    [
        ("Remove the card, check that it's clean, and insert it again.", "reseat_sim_card"),
        ("Take the SIM card out, wipe it gently, and reinsert it.", "reseat_sim_card"),
        ("Remove the SIM card from the list and put it back.", None),
        ("Please set the network mode to the option that allows 5G and 4G.", MODE),
        ("I was wondering if you could restart your phone?", "reboot_device"),
        ("Would it be okay if you restarted your phone?", "reboot_device"),
        ("To turn Data Saver off is to let every app use it.", None),
    ],
)
def test_ways_to_say_it(text, done):
    assert presses(text) == ([done] if done else [])
