"""What waits, what is wished for, what is crossed out, and plain words about a request."""

from __future__ import annotations

import itertools

import pytest
from test_scripted_user import talk_to
from test_understanding import asks
from test_understanding_kinds import DONE, SOME, presses

SWITCHES = {
    "Data Saver": "toggle_data_saver_mode",
    "mobile data": "toggle_data",
    "Wi-Fi Calling": "toggle_wifi_calling",
    "airplane mode": "toggle_airplane_mode",
}
# Not what is thrown to be thrown back: "after a minute" may mean the second half of that.
FEW = {words: done for words, done in list(SOME.items())[2::2] if "airplane" not in done}

# --- Waits ---
EVENTS = [
    "until you are home",
    "until you're back in the States",
    "until the bill has been paid",
    "until your battery is full",
    "until I have resumed your line",
    "till midnight",
    "until a colleague has called you",
    "for your plane to land",
    "for the suspension to be lifted",
    "for our confirmation",
]
WAITS = ["wait", "please wait", "hold on", "you'll need to wait", "stay on the line"]


@pytest.mark.parametrize("event", EVENTS)
def test_nothing_is_pressed_after_a_wait_for_what_the_phone_does_not_show(event):
    for wait, (words, _) in itertools.product(WAITS, FEW.items()):
        for text in (
            f"{wait} {event} and then {words}.",
            f"{wait} {event}, then {words}.",
            f"{wait} {event}. Then {words}.",
            f"{wait} {event}. Please {words}.",
        ):
            assert presses(text) == [], text


PAUSES = ["wait for 30 seconds", "wait a moment", "wait until it is back on",
          "wait until your phone has restarted", "wait for it to restart"]  # fmt: skip


@pytest.mark.parametrize("pause", PAUSES)
def test_a_pause_and_the_return_of_the_phone_put_nothing_off(pause):
    text = f"Restart your phone, {pause}, and then turn on mobile data."
    assert presses(text) == ["reboot_device", "toggle_data=on"]
    assert presses(f"Please {pause} and then turn on mobile data.") == ["toggle_data=on"]


@pytest.mark.parametrize("wait", ["Wait", "Please wait", "Watch", "Give it a moment and wait"])
def test_what_the_phone_is_waited_for_to_do_is_not_the_users_deed(wait):
    for verb in ("restart", "turn on mobile data", "disconnect the VPN", "reset the APN settings"):
        assert presses(f"{wait} for your phone to {verb}.") == [], verb


@pytest.mark.parametrize("alone", ["by itself", "on its own", "of its own accord"])
def test_what_a_thing_does_by_itself_is_left_to_it(alone):
    assert presses(f"Please let your phone restart {alone}.") == []
    assert presses(f"Please restart your phone. It will do so {alone}.") == []


@pytest.mark.parametrize("first", ["back up your data", "please back up the photos on it"])
def test_a_backup_that_comes_first_is_nothing_that_the_user_can_do(first):
    for words in FEW:
        assert presses(f"{first}, then {words}.") == []


# --- Wishes ---
WISHES = ["(we want it {})", ", as we want it {}", ", because I need it {}", "- I'd prefer it {}",
          "(we'd like it to be {})", "since we require that {}"]  # fmt: skip


@pytest.mark.parametrize(("wish", "state"), list(itertools.product(WISHES, ("on", "off"))))
def test_a_toggle_has_its_aim_in_what_is_wished_for(wish, state):
    for switch, tool in SWITCHES.items():
        text = f"Please toggle {switch} {wish.format(state)}.".replace(" ,", ",")
        assert presses(text) == [f"{tool}={state}"], text


UNSURE = ["(we don't want it {})", "(what we are after is {})", "(the goal: {})",
          ", as it is not supposed to be {}"]  # fmt: skip


@pytest.mark.parametrize("wish", UNSURE)
def test_a_toggle_with_a_wish_that_is_not_plain_is_never_thrown_the_other_way(wish):
    for (switch, tool), state in itertools.product(SWITCHES.items(), ("on", "off")):
        text = f"Toggle {switch} {wish.format(state)}.".replace(" ,", ",")
        right = {"on": "off", "off": "on"}[state] if "n't" in wish or "not" in wish else state
        assert presses(text) in ([], [f"{tool}={right}"]), text


# --- Marks ---
CROSSES = "❌✖✗✘🚫⛔"


@pytest.mark.parametrize("cross", CROSSES)
def test_what_is_crossed_out_is_not_pressed(cross):
    for words in DONE:
        for text in (f"{cross} {words}", f"- {cross} **{words}**", f"1. {words} {cross}",
                     f"What now?\n{cross} {words}\n{cross} restart your phone"):  # fmt: skip
            assert presses(text) == [], text


@pytest.mark.parametrize("cross", CROSSES)
def test_a_crossed_fact_is_a_fact(cross):
    text = f"✅ SIM: active\n{cross} Mobile data: off\n\nPlease turn on mobile data."
    assert presses(text) == ["toggle_data=on"]


@pytest.mark.parametrize("mark", "👉🔄➡🔹")
def test_another_sign_before_a_request_changes_nothing(mark):
    for words, done in FEW.items():
        assert presses(f"{mark} Please {words}.") == [done]


# --- Plain words about a request ---
BEFORE = [
    f"{this} {may} {effect}."
    for this, may, effect in itertools.product(
        ("This", "That", "It"),
        ("can noticeably", "may", "could well"),
        ("reduce your speed", "limit the connection", "slow your data considerably"),
    )
]
AFTER = [
    "Your phone may be unavailable for a minute or so; that's normal.",
    "Your device will be offline for a short while.",
    "Sometimes that's all it takes.",
    "This often does the trick.",
    "Why? A stale setting is a common cause of a lost signal.",
    "Please do that now and tell me what the status bar shows.",
    "After it has powered back on, check the status bar.",
    "When it has started up fully, tell me what you see.",
    "Then we can see if the problem is solved.",
    "Hopefully, this fixes the problem.",
    "I'm quite confident that this will fix it.",
]


BEFORE += ["One more check before we move on.", "Here's the next step:",
           "Based on these results, I recommend the following:"]  # fmt: skip


@pytest.mark.parametrize("before", BEFORE)
def test_an_effect_before_a_request_changes_nothing(before):
    for words, done in FEW.items():
        assert presses(f"{before} Please {words}.") == [done], words


@pytest.mark.parametrize("after", AFTER)
def test_what_is_said_of_the_effect_after_a_request_changes_nothing(after):
    for words, done in FEW.items():
        assert presses(f"Please {words}. {after}") == [done], words


@pytest.mark.parametrize("now", ["currently", "still"])
def test_what_is_not_the_case_yet_is_a_reason_and_what_is_already_is_none(now):
    for (switch, tool), (on, off) in itertools.product(
        SWITCHES.items(), (("on", "off"), ("off", "on"), ("off", "enabled"), ("on", "disabled"))
    ):
        said = f"Please turn {on} {switch}. It's {now}"
        assert presses(f"{said} {off}, which explains why you can't browse.") == [f"{tool}={on}"]
        assert presses(f"{said} {on}, which is odd.") == []


ASKING = ["Would you mind checking if", "Do you mind seeing if", "Can you try confirming if",
          "Let me ask you to check if"]  # fmt: skip


@pytest.mark.parametrize("asking", ASKING)
def test_a_look_may_be_asked_for_with_a_gerund(asking):
    assert asks(f"{asking} a VPN is connected?") == ["check_vpn_status"]
    assert asks(f"{asking} Wi-Fi Calling is on?") == ["check_wifi_calling_status"]


@pytest.mark.parametrize("back", ["out and back in", "out of its tray and then back in again"])
def test_a_sim_card_out_and_back_in_is_reseated(back):
    for verb in ("Pop", "Take", "Slide", "Please pull"):
        assert presses(f"{verb} the SIM card {back}.") == ["reseat_sim_card"]
        assert presses(f"{verb} the SIM card {back.split(' and')[0]}.") == []


@pytest.mark.parametrize(
    "to", ["the factory defaults", "its original settings", "the carrier's default settings"]
)
def test_apn_settings_are_restored_to_their_defaults_in_any_words(to):
    assert presses(f"Please reset the APN settings to {to}.") == ["reset_apn_settings"]


# --- What was proposed, and is then asked for ---
PROPOSALS = [
    "Restarting your phone should help.",
    "One thing that often helps is restarting the phone.",
    "I think restarting your phone would fix this.",
]
DO_IT = ["Please do that now.", "Could you do that for me?", "Please go ahead and do so."]


@pytest.mark.parametrize("proposal", PROPOSALS)
def test_a_proposal_is_what_do_that_means(proposal):
    for do_it in DO_IT:
        assert presses(f"{proposal} {do_it}") == ["reboot_device"], do_it
        assert presses(f"{proposal} Let me look first. {do_it}") == [], do_it
    assert presses(f"{proposal} Please do so and reset the APN settings.") == [
        "reboot_device",
        "reset_apn_settings",
    ]


REFUSED = ["Please don't do that.", "Did you do that?", "Do that later.", "I would not do that.",
           "Please do that tonight."]  # fmt: skip


@pytest.mark.parametrize("refused", REFUSED)
def test_a_proposal_alone_presses_nothing(refused):
    for proposal in PROPOSALS:
        assert presses(proposal) == presses(f"{proposal} {refused}") == []


@pytest.mark.parametrize("case", ["if the signal is poor", "once I have lifted it", "later"])
def test_a_proposal_with_a_case_or_of_several_things_is_none(case):
    for do_it in DO_IT:
        for proposal in (f"Restarting your phone may help {case}.",
                         "Restarting may help, but checking the SIM is faster.",
                         "Backing up your data and restarting may help.",
                         "Restarting the tablet may help."):  # fmt: skip
            assert presses(f"{proposal} {do_it}") == [], proposal


@pytest.mark.parametrize("leave", ["Do you want to?", "Would you like to?", "Are you willing to?"])
def test_who_is_asked_for_leave_has_not_been_told_to(leave):
    for words in FEW:
        assert presses(f"Please {words}. {leave}") == [], words


# --- Steps, and what stands around them ---
HEADS = ["I'd now like you to do two things:", "I need you to do the following quick steps:",
         "I'd like you to try these steps:"]  # fmt: skip


@pytest.mark.parametrize("head", HEADS)
def test_steps_that_the_agent_would_like(head):
    for (one, first), (two, second) in itertools.permutations(list(FEW.items())[:3], 2):
        assert presses(f"{head} 1) {one}, and 2) {two}.") == [first, second]
        assert presses(f"{head}\n- {one}\n- {two}") == [first, second]


@pytest.mark.parametrize("note", ["Please note that", "Keep in mind that", "Rest assured that"])
def test_a_note_is_what_it_says(note):
    for words, done in FEW.items():
        assert presses(f"{note} a restart won't delete any photos. Please {words}.") == [done]
        assert presses(f"Please {words}. {note} your photos won't be affected.") == [done]
        assert presses(f"{note} you should {words} once a week.") == []
        assert presses(f"{note} you don't need to {words}.") == []


def test_again_and_for_the_moment():
    text = "Please turn off Wi-Fi for the moment. That way we can test your data. Then retest it."
    assert presses(text) == ["toggle_wifi=off"]
    for again in ("run another test", "do one more test", "retest your speed"):
        looked = asks(f"Please disconnect the VPN and {again}.")
        assert looked == ["disconnect_vpn", "run_speed_test"], again
    assert asks("What do you see when you check your network mode?") == [
        "check_network_mode_preference"
    ]


def test_prior_to_that_comes_first():
    text = "Reboot your device. But prior to that, reset the APN settings."
    assert presses(text) == ["reset_apn_settings", "reboot_device"]


async def test_used_data_is_no_question_and_an_offer_is_one():
    talk = await talk_to("mobile_data", "data_usage_exceeded")
    said = await talk.say("You have used all of your data allowance. Shall I proceed?")
    assert said == "Yes, please."
    assert await talk.say("I can add 2 GB for $4. Would you like that?") == "Yes, please."


# --- A look that shows nothing ---
async def test_a_look_that_does_not_show_the_fact_is_taken_once_and_told():
    talk = await talk_to("mms")
    said = await talk.say(
        "Please call grant_app_permission(app_name='camera', permission='storage')"
        " if the permission is missing."
    )
    assert talk.pressed == ["check_app_permissions"]
    assert "not found" in said
