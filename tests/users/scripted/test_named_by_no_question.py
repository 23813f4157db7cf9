"""What a plain yes would press wrongly: the user's question does not name it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_set_aside import REQUESTS

from tau2_agent.users.scripted.understanding import parse

SWITCHES = ("mobile data", "data roaming", "airplane mode", "Data Saver", "Wi-Fi", "Wi-Fi calling")


def writes(text: str) -> list[str]:
    """What is pressed, or named in a question that a yes answers."""
    heard = parse(text)
    return [one.tool for one in (*heard.requests, *heard.doubted) if not one.reads]


@given(
    st.sampled_from(["once", "after", "when", "as soon as"]),
    st.sampled_from([
        "the speed test has failed twice", "your payment has arrived", "a message has got stuck",
        "the red light has come on", "our engineer has called", "that page has loaded",
    ]),
    st.sampled_from(REQUESTS),
)  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_what_waits_for_something_to_have_happened_is_not_named(joint, event, request):
    assert writes(f"{request.capitalize()} {joint} {event}.") == []


@given(
    st.sampled_from(["When", "Once", "After", "As soon as"]),
    st.sampled_from(["you're home", "you get back", "you are back there", "you've landed"]),
    st.sampled_from(REQUESTS),
    st.sampled_from(["", " Until then, keep using your Wi-Fi."]),
)
@settings(max_examples=60, deadline=None)
def test_what_waits_for_the_users_way_home_is_not_named(joint, place, request, end):
    assert writes(f"{joint} {place}, please {request}.{end}") == []
    assert writes(f"Let's postpone this step. Please {request} by then.{end}") == []


@given(
    st.sampled_from(["twice", "three times", "a couple of times", "5 times", "twice in a row"]),
    st.sampled_from(SWITCHES),
)
@settings(max_examples=40, deadline=None)
def test_more_than_once_is_not_named_as_once(often, switch):
    assert writes(f"Toggle {switch} {often}.") == []


@given(
    st.sampled_from(["Turn off", "Disable", "Deactivate"]),
    st.sampled_from(SWITCHES),
    st.sampled_from([
        "and follow that by activating it anew", "and have it enabled afresh",
        "before enabling it anew", "and see to its re-activation",
    ]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_a_position_for_a_time_is_not_named(verb, switch, back):
    tools = writes(f"Please {verb} {switch} for a few seconds, {back}.")
    assert len(tools) != 1


@given(
    st.sampled_from(SWITCHES),
    st.sampled_from([
        "should be in the {} position", "must show as {}", "needs to end up {}",
        "is supposed to be {}",
    ]),
    st.sampled_from(["on", "off"]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_a_toggle_whose_goal_is_told_later_is_never_named_without_it(switch, aim, position):
    text = f"Please toggle {switch}. When you're done, the switch {aim.format(position)}."
    heard = parse(text)
    wants = [one.want for one in (*heard.requests, *heard.doubted) if not one.reads]
    assert set(wants) <= {position == "on"}, text


@pytest.mark.parametrize("mark", ["**{}**", "__{}__", "{}", "*{}*", "{}:"])
@pytest.mark.parametrize("no", ["Don\u2019t", "Do not", "NEVER", "Please do not", "You must not"])
def test_a_denial_on_a_line_of_its_own_denies_the_next(mark, no):
    for request in REQUESTS:
        assert writes(f"{mark.format(no)}\n{request}.") == [], request
        assert writes(f"{mark.format(no)}\n\n{request}.") == [], request
    assert writes(f"No problem.\n{mark.format('Next')}\nPlease restart your phone.") != []


@pytest.mark.parametrize(
    "asked",
    ["Is that the message you received?", "Did you get this one?", "This is what our email said."],
)
def test_a_quotation_is_not_named(asked):
    for request in REQUESTS:
        assert writes(f"> {request.capitalize()}\n\n{asked}") == [], request
        assert writes(f"> {request.capitalize()}") != [], request
