"""What comes first, what is announced, whose condition it is, and invitations to a list."""

from __future__ import annotations

import itertools

import pytest
from test_scripted_user import talk_to
from test_understanding import asks
from test_understanding_kinds import SOME, presses

FEW = {words: done for words, done in list(SOME.items())[::3] if "airplane" not in done}


def never_pressed(*forms: str) -> None:
    for form, words in itertools.product(forms, FEW):
        text = form.format(words=words)
        assert presses(text) == [], text


def pressed_once(form: str) -> None:
    for words, done in FEW.items():
        text = form.format(words=words)
        assert presses(text) == [done], text


# --- What comes first ---
@pytest.mark.parametrize(
    "order",
    ["go home", "go to your bank", "head to the kitchen", "charge your phone to 100%",
     "open the door", "plug it in", "update your apps", "exit the building"],
)  # fmt: skip
def test_what_the_phone_cannot_do_comes_first_so_nothing_is_pressed(order):
    never_pressed(
        f"First, {order}. Please {{words}}.",
        f"Please {order}. Then {{words}}.",
        f"{order} first. Please {{words}}.".capitalize(),
    )


@pytest.mark.parametrize(
    "way", ["go to your settings", "open the network menu", "swipe down from the top of the screen"]
)
def test_a_way_through_the_phone_comes_first_and_changes_nothing(way):
    pressed_once(f"First, {way}. Please {{words}}.")


def test_what_looks_good_is_no_order():
    pressed_once("Looks good. Please {words}.")


@pytest.mark.parametrize(
    "before",
    ["Please confirm with the account holder beforehand.", "Check with your bank.",
     "I'll send you the details first, hold on.", "Let me look into that first.",
     "One moment, please.", "Hold on.", "I'll confirm the time with you by SMS.",
     "See to it that your data is safe beforehand.", "Finish the download beforehand."],
)  # fmt: skip
def test_what_somebody_does_before_it_is_waited_for(before):
    never_pressed(f"Please {{words}}. {before}")


def test_a_place_is_nothing_that_a_restart_comes_back_from():
    never_pressed("Please {words} when you're back home.", "Once you're back at work, {words}.")


@pytest.mark.parametrize(
    "label",
    ["Press 1 for this", "Dial 611 for help", "You may see this tip", "You might hear these words",
     "The worst thing to do", "To confirm, reply YES", "This part is done",
     "A warning sign you should ignore"],
)  # fmt: skip
def test_a_label_that_orders_or_shows_something_else_invites_to_nothing(label):
    never_pressed(f"{label}: please {{words}}.", f"{label}: {{words}}.")


def test_to_confirm_is_no_aim():
    never_pressed("To confirm, reply YES. Please {words}.")


def test_a_look_or_a_report_is_no_order_of_its_own():
    pressed_once('Please {words}. I would love to see an "Excellent" result!')
    pressed_once("Please {words}, then retry the speed test.")
    pressed_once("Please {words}, and have a look at your status bar to see if you have signal.")
    pressed_once("Please go ahead and {words}, and let me know what the status bar says.")


@pytest.mark.parametrize("means", ["by calling 611", "by texting us", "by asking your carrier"])
def test_what_is_done_by_asking_somebody_is_not_pressed(means):
    never_pressed(f"Please {{words}} {means}.")


@pytest.mark.parametrize("wait", ["count to ten", "wait for ten seconds", "pause a moment"])
def test_a_pause_is_no_order_of_its_own(wait):
    both = f"Turn on airplane mode, {wait}, and switch it off."
    assert presses(both) == ["toggle_airplane_mode=on", "toggle_airplane_mode=off"]


# --- What is announced ---
ANNOUNCED = ["I'll ask you to", "I will have you", "I'm going to ask you to", "I'll tell you to",
             "we'll", "I'll walk you through how to", "we're going to"]  # fmt: skip
WHEN = ["Once that's done,", "After that,", "Then", "When it is done,", "Afterwards,"]


@pytest.mark.parametrize(("announced", "when"), itertools.product(ANNOUNCED, WHEN))
def test_what_is_announced_for_later_is_not_pressed_and_puts_nothing_off(announced, when):
    text = f"Please reset the APN settings. {when} {announced} restart your phone."
    assert presses(text) == ["reset_apn_settings"], text


@pytest.mark.parametrize("announced", ANNOUNCED)
def test_now_or_later_is_not_both(announced):
    assert presses(f"Please restart your phone. After that, {announced} restart it.") == []


def test_what_is_needed_next_is_asked_for_now():
    assert presses("Next, I'll need you to restart your phone.") == ["reboot_device"]
    assert presses("Okay, then I'll need you to restart your phone.") == ["reboot_device"]
    both = "Please reset the APN settings. I'll need you to restart your phone as well."
    assert presses(both) == ["reset_apn_settings", "reboot_device"]


def test_an_announcement_of_something_else_instead_takes_it_back():
    never_pressed("Please {words}. Then again, we'll check your plan instead.")


@pytest.mark.parametrize(
    "put_off",
    ["We'll see about that.", "We'll see about it after the test.", "I'll get back to you on this.",
     "We will come to that in a minute.", "I'll look into that."],
)  # fmt: skip
def test_what_the_agent_comes_back_to_is_not_pressed(put_off):
    never_pressed(f"Please {{words}}. {put_off}")


# --- Denied, or to be agreed to ---
@pytest.mark.parametrize(
    "after",
    ["You should be fine without it.", "Then tell me why you haven't.",
     "You did that already, right?",
     "Could you explain why you did that?", "You can do that on your own time.",
     "But tell me how come you didn't.", "What are the risks of that?",
     "It will work without that, really."],
)  # fmt: skip
def test_what_makes_it_done_or_needless_takes_it_back(after):
    never_pressed(f"Please {{words}}. {after}")


def test_where_it_can_be_done_changes_nothing():
    pressed_once("Please {words}. You can do this in your settings.")
    pressed_once("Please {words}. You can do that under the network menu.")


@pytest.mark.parametrize(
    "denied",
    ["This is what not to do", "That's what we don't do", "No need for this",
     "There is no point in doing that", "There's little sense in this",
     "There's one thing left, but not for now", "We have a fix, but not yet",
     "This one's not for you"],
)  # fmt: skip
def test_what_is_denied_in_advance_is_not_pressed(denied):
    never_pressed(f"{denied}. Please {{words}}.", f"{denied}: please {{words}}.")


@pytest.mark.parametrize(
    "leave",
    ["Can I do it for you?", "Would you like me to do it?", "Would you be okay with this?",
     "Is that okay?", "Shall we proceed?", "Sounds good?", "Do you agree?"],
)  # fmt: skip
def test_a_question_for_leave_is_answered_before_anything_is_pressed(leave):
    never_pressed(f"Please {{words}}. {leave}")


# --- Whose condition it is ---
@pytest.mark.parametrize(
    "report",
    ["tell me when it is on again", "let me know if it is off", "inform me after it is done",
     "let me know once you've done so", "tell me when it's enabled"],
)  # fmt: skip
def test_a_condition_of_the_report_is_not_one_of_the_request(report):
    for words, done in FEW.items():
        if "disable" in words:
            continue  # off until it is on again: a pair of which a half is missing
        assert done in presses(f"Please {words} and {report}."), (words, report)


@pytest.mark.parametrize(
    "leave",
    ["you agree first", "you disagree", "you want to do that", "you'd rather not",
     "you would mind", "it's not okay", "that is fine", "needed"],
)  # fmt: skip
def test_a_report_that_asks_for_leave_holds_the_request_back(leave):
    never_pressed(
        f"Please {{words}} and let me know if {leave}.",
        f"Tell me whether {leave} and please {{words}}.",
    )


@pytest.mark.parametrize(
    ("look", "case", "press", "issue", "fault"),
    [
        ("Check your SIM status", "it's missing", "reseat it", "service", "unseat_sim_card"),
        ("Check the VPN status", "it's connected", "disconnect it", "mobile_data", "bad_vpn"),
        ("Check your Data Saver", "it is on", "switch it off", "mobile_data", "data_saver_mode_on"),
        ("Check your APN settings", "the MMSC URL isn't set", "reset them",
         "mms", "break_apn_mms_setting"),
        ("Check the permissions of the messaging app", "storage is missing", "grant it",
         "mms", "break_app_storage_permission"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("joint", [", and if ", " and, if ", ". If "])
async def test_after_a_look_the_condition_is_of_the_rest(look, case, press, issue, fault, joint):
    text = f"{look}{joint}{case}, {press}."
    changed = []
    for task in ((issue, fault), ("service", "airplane_mode_on")):
        talk = await talk_to(*task)
        await talk.say(text)
        changed.append([tool for tool in talk.pressed if not tool.startswith("check_")])
    assert len(changed[0]) == 1 and changed[1] == [], (text, changed)


def test_it_is_incorrect_holds_for_all_that_follows():
    text = "Check your APN settings. If it's incorrect, reset it and restart the phone."
    assert asks(text)[1:] == ["reset_apn_settings ?apn_ok=False", "reboot_device ?apn_ok=False"]


def test_once_you_have_done_it_the_next_comes():
    for done in ("you have reset them", "you've reset it", "you reset them"):
        text = f"Please reset your APN settings. Once {done}, please restart your phone."
        assert presses(text) == ["reset_apn_settings", "reboot_device"], text
        assert presses(text.split(". ")[1]) == [], text


@pytest.mark.parametrize("slow", ["it's slow", "it is poor", "it isn't working", "it is not on"])
def test_what_a_test_will_show_is_no_condition_that_a_switch_can_tell(slow):
    for look in ("Run a speed test", "Check if you can send an MMS"):
        assert presses(f"{look}, and if {slow}, disconnect the VPN.") == [], (look, slow)
        assert presses(f"{look}. If {slow}, restart your phone.") == [], (look, slow)


# --- Lists ---
STEPS = "\n1. Reset your APN settings – this restores the defaults.\n2. Restart your phone."


@pytest.mark.parametrize(
    "head",
    ["Let's do two things:", "Please do the following:", "What I need from you:",
     "Could you do the following for me?", "I'd like you to do these two quick things:",
     "I recommend the following steps:", "Okay, please follow the steps below:"],
)  # fmt: skip
def test_an_invitation_to_a_list(head):
    assert presses(head + STEPS) == ["reset_apn_settings", "reboot_device"], head


@pytest.mark.parametrize(
    "head",
    ["Let's do one of these two things:", "Please try some of these steps:", "Pick one:",
     "Please do any of the following:", "Let's do these next week:", "Please never do this:",
     "Would you do one of the two?", "Here's what we would do:"],
)  # fmt: skip
def test_no_invitation_to_the_whole_list(head):
    assert presses(head + STEPS) == [], head


# --- Ways to say it ---
@pytest.mark.parametrize(
    ("text", "done"),
    [
        ("Toggle Airplane Mode off using toggle_airplane_mode, and let me know once done.",
         ["toggle_airplane_mode=off"]),
        ("Please toggle mobile data on with the toggle_data tool.", ["toggle_data=on"]),
        ("Let's try toggling Airplane Mode: turn it on, wait ten seconds, and turn it off again.",
         ["toggle_airplane_mode=on", "toggle_airplane_mode=off"]),
        ("Turn off Wi-Fi Calling if it's on; if it's off, turn it on.", []),
        ("If mobile data is off, turn it on. If it is on, turn it off.", []),
        ("Please power your phone off, wait a bit, and power it back on.", ["reboot_device"]),
        ("Let's give your phone a fresh start. Please power it off and then power it on.",
         ["reboot_device"]),
        ("Enable mobile data and then verify your speed.", ["toggle_data=on", "run_speed_test"]),
        ("See to it that mobile data is on.", ["toggle_data=on"]),
        ("Do me a favor and check your Wi-Fi status.", ["check_wifi_status"]),
        ("I think your phone might just need a reboot. Can you do that?", ["reboot_device"]),
        ("I think your phone might not need a reboot. Can you do that?", []),
        ("Toggle mobile data on and off using toggle_data.", []),
        ("Toggle mobile data on or off using toggle_data.", []),
        ("Please enable data roaming. You can do this with toggle_roaming.", ["toggle_roaming=on"]),
        ("Please enable data roaming. You can do this with toggle_data.", []),
        ("Please enable data roaming. You can do this with toggle_roaming later.", []),
        ("Tap the airplane icon to turn it off.", ["toggle_airplane_mode=off"]),
        ("Tap the VPN icon beside Wi-Fi to turn it off.", []),
        ("Let the VPN turn it off.", []),
        ("Swipe down and hit the Wi-Fi toggle to switch it on.", ["toggle_wifi=on"]),
        ("Restart you phone.", ["reboot_device"]),
        ("Pleas reset teh APN settings.", ["reset_apn_settings"]),
        ("I'd like you too disconnect your VPN.", ["disconnect_vpn"]),
        ("I'm happy to help 🙂 Could you restart your phone?", ["reboot_device"]),
        ("Okay :) Please check your SIM.", ["check_sim_status"]),
        ("Please make the roaming on in your phone.", ["toggle_roaming=on"]),
        ("Restart your phone once and check the signal.", ["reboot_device", "check_status_bar"]),
        ("Please disconnect the VPN and tell me your speed.", ["disconnect_vpn", "run_speed_test"]),
        ("Dear customer, restart your phone.", ["reboot_device"]),
        ("Once you've reviewed it, please complete the payment.", ["make_payment"]),
        ("Once you've reviewed it, please restart your phone.", []),
        ("Mind turning off your VPN?", ["disconnect_vpn"]),
    ],
)  # fmt: skip
def test_said_so(text, done):
    assert asks(text) == done
