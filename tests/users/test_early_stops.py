"""Users who agree to what is not done yet and hang up; words alone, no server."""

from __future__ import annotations

import pytest
from tau2.data_model.message import AssistantMessage, UserMessage

from tau2_agent.users.early_stops import stops_early

ACTS = ["refuel 2 GB", "resume your line", "enable roaming", "send the payment request"]


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("Shall we go ahead and {}?", "Yes, go ahead."),
        ("Do I have your permission to {}?", "Yes you do."),
        ("May I get your okay to {}?", "Go for it."),
        ("Would you like to go ahead? I would {}.", "By all means."),
        ("Do you mind if I {}?", "OK with me."),
        ("I will {} for you. One moment.", "Perfect, thank you!"),
        ("Let me {} now.", "Great!"),
        ("I'm going to {} now, please hold.", "Thanks so much."),
    ],
)
def test_offers_and_announcements_of_any_act(act, offer, answer):
    assert early(offer.format(act), f"{answer} ###STOP###")
    assert not early(offer.format(act), answer)
    assert not early(f"I have done it: {act}. Goodbye!", f"{answer} ###STOP###")


def early(offer: str, answer: str) -> bool:
    heard = AssistantMessage(role="assistant", content=offer)
    return stops_early([heard], UserMessage(role="user", content=answer))


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("Happy to help. Have a great day!", "Thank you!"),
        ("I've added 2 GB. I'll send you a confirmation. Goodbye!", "Great, thanks!"),
        ("I will close this case now. Have a nice day!", "Thanks!"),
        ("I'm glad it works now.", "Perfect, thank you!"),
        ("If it fails again, I'll be here.", "Thank you."),
        ("Please restart your phone. Then I'll check your line.", "Great, it works now!"),
        ("Can we try one more test?", "Yes, it is excellent now."),
        ("Your speed is excellent again.", "Wonderful, thanks."),
        ("Let me enable roaming for you.", "Great, my data is back!"),
    ],
)
def test_farewells_are_no_early_stops(said, answer):
    assert not early(said, f"{answer} ###STOP###")
