"""Mixtures of user simulators: what they may be, and who is drawn."""

import pytest

from tau2_agent.users.mixture import SIMULATORS, MixError, draw, mix_text, parse_mix
from tau2_agent.users.registry import USERS


def test_the_names_are_those_of_the_simulators():
    assert set(SIMULATORS) == set(USERS)


@pytest.mark.parametrize(
    ("value", "shares", "text"),
    [
        ("llm", {"llm": 1.0}, "llm"),
        ({"scripted": 3}, {"scripted": 1.0}, "scripted"),
        ({"scripted": 3, "llm": 1}, {"llm": 0.25, "scripted": 0.75}, "llm=0.25,scripted=0.75"),
        ("scripted=0.5, llm=0.5", {"llm": 0.5, "scripted": 0.5}, "llm=0.5,scripted=0.5"),
    ],
)
def test_a_mixture_and_its_text(value, shares, text):
    assert parse_mix(value) == shares
    assert mix_text(value) == text and mix_text(text) == text


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("human", "'human' does not exist; choose from: scripted, llm"),
        ({"llm": 0}, "share of llm is 0"),
        ({"llm": -1, "scripted": 2}, "share of llm is -1"),
        ({"llm": True}, "True"),
        ({"llm": "much"}, "'much'"),
        ({"llm": float("nan")}, "nan"),
        ("llm=much", "must be a number"),
        ("llm=0.5,llm=0.5", "twice"),
        ({}, "at least one"),
        ("", "does not exist"),
    ],
)
def test_what_is_no_mixture(value, words):
    with pytest.raises(MixError, match=words):
        parse_mix(value)


def test_the_draw_is_by_ratio_and_always_the_same():
    shares = {"llm": 0.25, "scripted": 0.75}
    drawn = [draw(shares, 0, f"task {i}", "0") for i in range(4000)]
    assert 0.22 < drawn.count("llm") / 4000 < 0.28
    assert drawn == [draw(shares, 0, f"task {i}", "0") for i in range(4000)]
    assert drawn != [draw(shares, 1, f"task {i}", "0") for i in range(4000)]
    assert drawn != [draw(shares, 0, f"task {i}", "1") for i in range(4000)]
    assert {draw({"llm": 1.0}, 0, str(i), "0") for i in range(100)} == {"llm"}
