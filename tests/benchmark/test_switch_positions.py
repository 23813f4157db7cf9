"""Denials, lists and ellipses in what a person says of the switches of a phone."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tau2_agent.benchmark.tool_outputs import read

SWITCHES = {
    "airplane": "airplane mode", "mobile_data": "mobile data", "roaming": "data roaming",
    "data_saver": "data saver", "wifi": "Wi-Fi", "wifi_calling": "Wi-Fi calling", "vpn": "VPN",
}  # fmt: skip
_SWITCH = st.sampled_from(sorted(SWITCHES))
_AROUND = st.sampled_from(
    ["{}", "No, {}", "{} What next?", "Okay. {}", "Signal: good. {}", "Well, {}"]
)


@given(
    _SWITCH,
    st.sampled_from([
        "I don't have {} on.", "I haven't got {} on.", "I do not have {} enabled.",
        "I don't see {} turned on.", "I don't think {} is on.", "I don't believe {} is active.",
        "There is no {} on.", "There's no {} active.", "My phone doesn't have {} on.",
        "It doesn't show {} as on.", "I can't see {} being on.", "Neither is {} on.",
        "We never had {} on.", "I don't actually have my {} on right now.",
    ]),
    _AROUND,
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_a_denial_before_the_switch_denies_it(fact, words, around):
    text = around.format(words.format(SWITCHES[fact]))
    assert read(text).get(fact) is False, text


@given(_SWITCH, st.sampled_from(["on", "enabled", "active"]), st.sampled_from([
    "I don't know why {} is {}.", "I'm not sure whether {} is {}.", "I can't tell if {} is {}.",
    "I don't have {} {} or do I? No idea, if {} is {} I can't see it.",
]))  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_who_does_not_know_states_nothing(fact, value, words):
    text = words.format(SWITCHES[fact], value, SWITCHES[fact], value)
    assert read(text).get(fact) is not True, text


@given(_SWITCH, st.sampled_from([
    "I can't browse but {} is on.", "I have no service. {} is on.", "Nothing works, {} is on.",
    "I don't see why, but {} is on.", "No SIM card, {}: on", "Signal: no {}: on",
    "It's not fast although {} is on.",
]))  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_a_denial_of_something_else_does_not(fact, words):
    text = words.format(SWITCHES[fact])
    assert read(text).get(fact) is True, text


@given(st.permutations(sorted(SWITCHES)), st.sampled_from(["on", "off", "disabled", "enabled"]))
@settings(max_examples=100, deadline=None)
def test_several_switches_share_a_value(facts, value):
    one, two, three = facts[:3]
    a, b, c = SWITCHES[one], SWITCHES[two], SWITCHES[three]
    wanted = value in ("on", "enabled")
    for text in (f"{a}, {b} and {c} are all {value}.", f"My {a} and {b} are both {value}."):
        seen = read(text)
        assert seen.get(one) is wanted and seen.get(two) is wanted, text
    seen = read(f"Neither {a} nor {b} is on.")
    assert (seen.get(one), seen.get(two)) == (False, False), (a, b)
    seen = read(f"{a} is {value} but {b} isn't.")
    assert (seen.get(one), seen.get(two)) == (wanted, not wanted), (a, b)
    seen = read(f"{a}'s {value}, {b}'s off.")
    assert (seen.get(one), seen.get(two)) == (wanted, False), (a, b)
    assert one not in read(f"I looked at {a}, and {b} is {value}."), (a, b)
