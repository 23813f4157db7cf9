"""Kinds of sentences, each by a product of its parts: what is pressed, and what never is."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_understanding import SAID, asks, brief
from test_understanding_nothing import NOTHING

from tau2_agent.users.scripted.lexicon import CHECKS, TOGGLES
from tau2_agent.users.scripted.understanding import parse

SWITCHES = {  # as an agent names them, and the tool
    "airplane mode": "toggle_airplane_mode",
    "Airplane Mode on your phone": "toggle_airplane_mode",
    "flight mode": "toggle_airplane_mode",
    "mobile data": "toggle_data",
    "the cellular data switch": "toggle_data",
    "data roaming": "toggle_roaming",
    "Data Saver": "toggle_data_saver_mode",
    "Data Saver Mode": "toggle_data_saver_mode",
    "Wi-Fi Calling": "toggle_wifi_calling",
    "your Wi-Fi": "toggle_wifi",
}
THROWS = [
    ("turn on", True),
    ("switch on", True),
    ("enable", True),
    ("activate", True),
    ("turn off", False),
    ("switch off", False),
    ("disable", False),
    ("deactivate", False),
]
REPAIRS = {
    "restart your phone": "reboot_device",
    "reboot the device": "reboot_device",
    "power cycle your phone": "reboot_device",
    "give your phone a quick restart": "reboot_device",
    "reseat your SIM card": "reseat_sim_card",
    "take the SIM card out and put it back in": "reseat_sim_card",
    "reset your APN settings": "reset_apn_settings",
    "disconnect the VPN": "disconnect_vpn",
    "turn off your VPN": "disconnect_vpn",
    "make the payment": "make_payment",
    "set the network mode to 4G/5G": "set_network_mode_preference(4g_5g_preferred)",
    "grant the storage permission to the messaging app": "grant_app_permission(messaging, storage)",
}
THROWN = {
    f"{verb} {thing}": f"{tool}={'on' if on else 'off'}"
    for (verb, on), (thing, tool) in itertools.product(THROWS, SWITCHES.items())
}
DONE = THROWN | REPAIRS
SOME = dict(list(THROWN.items())[::7]) | REPAIRS  # enough where the other side varies
ASKING = ["Please {}.", "Could you {}, please?", "Now {}.", "I'd like you to {}.", "You should {}."]


def presses(text: str, topic: str = "") -> list[str]:
    requests = parse(text, topic).requests
    return [brief(request) for request in requests if request.tool not in CHECKS.values()]


def upper(text: str) -> str:
    return text[0].upper() + text[1:]


@pytest.mark.parametrize("asking", ASKING)
def test_what_is_plainly_asked_for_is_pressed(asking):
    for words, done in DONE.items():
        text = asking.format(words)
        assert presses(text) == [done], text


# --- Conditions ---
UNKNOWN = ["that doesn't work", "the problem persists", "it still fails", "this does not help",
           "nothing changes", "you still cannot send messages", "the speed is still poor",
           "the issue is not resolved", "that fails", "none of this helps"]  # fmt: skip
IFS = ["if", "only if", "but only if", "in case", "provided that", "only when", "in the event that"]


@pytest.mark.parametrize("if_", IFS)
def test_what_waits_for_an_unknown_outcome_is_not_pressed(if_):
    for words, condition in itertools.product(SOME, UNKNOWN):
        for text in (
            f"Please {words} {if_} {condition}.",
            f"{upper(if_.removeprefix('but '))} {condition}, please {words}.",
            f"Check your status bar and {words} {if_} {condition}.",
            f"Could you {words} {if_} {condition}?",
        ):
            assert presses(text) == [], text


FACTS = {
    "your SIM card is missing": "sim=missing",
    "the SIM is not detected": "sim=missing",
    "the MMSC URL is not set": "apn_ok=False",
    "your VPN is connected": "vpn=True",
    "you have no signal": "signal=False",
    "you are abroad": "abroad=True",
    "your network mode is 2G": "old_mode=True",
    "data saver is on": "data_saver=True",
    "the mobile data is off": "mobile_data=False",
}


@pytest.mark.parametrize(("condition", "fact"), FACTS.items())
def test_a_condition_holds_before_and_after_its_request(condition, fact):
    for words, done in REPAIRS.items():
        for text in (
            f"If {condition}, {words}.",
            f"Please {words} if {condition}.",
            f"{upper(words)} only if {condition}.",
            f"Please {words}, but only if {condition}.",
            f"Please {words} as long as {condition}.",
            f"Please {words} (if {condition}).",
        ):
            assert presses(text) == [f"{done} ?{fact}"], text


def test_a_condition_governs_what_it_is_about():
    assert presses(
        "Turn on mobile data and reset your APN settings if the MMSC URL is missing."
    ) == [
        "toggle_data=on",
        "reset_apn_settings ?apn_ok=False",
    ]
    assert presses("Turn off your VPN and restart your phone if your VPN is connected.") == [
        "disconnect_vpn ?vpn=True",
        "reboot_device ?vpn=True",
    ]


ON_OR_OFF = [("on", True), ("enabled", True), ("off", False), ("disabled", False)]


@pytest.mark.parametrize(("word", "seen"), ON_OR_OFF)
def test_a_toggle_knows_its_goal_by_any_position_in_the_sentence(word, seen):
    for thing, tool in SWITCHES.items():
        goal, other = f"{tool}={'on' if seen else 'off'}", f"{tool}={'off' if seen else 'on'}"
        for text, wanted in (
            (f"Please toggle {thing} if it is {word}.", other),
            (f"If {thing} is {word}, toggle it.", other),
            (f"Toggle {thing}, which is currently {word}.", other),
            (f"Please toggle {thing} (it's currently {word.upper()}).", other),
            (f"Please toggle {thing} since it is {word}.", other),
            (f"I see that {thing} is {word}. Please toggle it.", other),
            (f"Could you toggle {thing}? It shows as {word} right now.", other),
            (f"Please call {tool} because it is {word}.", other),
            (f"Call {tool} (it's currently {word}).", other),
            (f"Call {tool} only when it is {word}.", other),
            (f"Please toggle {thing} so that it is {word}.", goal),
            (f"Toggle {thing} so that it's in the {word.upper()} position.", goal),
            (f"Please toggle {thing} until it is {word}.", goal),
            (f"Toggle {thing} to {word}.", goal),
            (f"Run {tool}() so it ends up {word}.", goal),
            (f"Please use {tool} to make sure it is {word}.", goal),
        ):
            if thing.startswith("the ") and "I see" in text:
                continue
            assert presses(text) in ([wanted], []), text
            if "ends up" not in text and "the cellular" not in text and "on your" not in text:
                assert presses(text) == [wanted], text


# --- Not now ---
LATER = ["later", "tomorrow", "in a few minutes", "at some point", "next time", "in the future",
         "after I resume your line", "once I have enabled roaming", "as soon as we are done here",
         "when I tell you", "once the payment is processed", "after my next message"]  # fmt: skip


@pytest.mark.parametrize("time", LATER)
def test_another_time_is_not_now(time):
    for words in SOME:
        for text in (
            f"Please {words} {time}.",
            f"You can {words} {time}.",
            f"{upper(time)}, please {words}.",
            f"{upper(time)} you should {words}.",
            f"You can {words} {time}; right now just check your SIM card.",
        ):
            assert presses(text) == [], text
    assert parse(f"You can restart {time}; right now just check your SIM card.").requests


@pytest.mark.parametrize("first", ["but first {}", "but before that, {}", "but {} first"])
def test_what_comes_first_is_done_first(first):
    for words, done in SOME.items():
        text = f"Please {words}, {first.format('check your status bar')}."
        assert [brief(r) for r in parse(text).requests] == ["check_status_bar", done], text


ABOUT = [
    "Please cancel the request to {}.", "Please remember that you must not {}.",
    "Have you already tried to {}?", "Did you {}?", "The manual says to {}.",
    "My colleague suggested to {}, but that is not needed.", "Your screen says to {}.",
    "Next time this happens, {}.", "Whenever this happens again, {}.", "I would {} in your place.",
    "Some customers {} to solve this.", "People often {}.", "What happens if you {}?",
    "There is no reason to {}.", "Please do not {}. Check your status bar.",
    "Please {}. Actually, don't do that.", "Please {}. Never mind, ignore that.",
    "Please remember that to {} takes a minute.", "I was about to ask you to {}.",
    "Either {} or wait for a call.", "It makes no sense to {}.", "Avoid to {}, please.",
]  # fmt: skip


@pytest.mark.parametrize("about", ABOUT)
def test_talk_about_an_action_is_no_request_for_it(about):
    for words in SOME:
        text = about.format(words)
        assert presses(text) == [], text


FOREIGN = ["Assist", "hotspot", "limit", "alerts", "shortcut reminders", "PIN", "protocol",
           "sharing", "boost", "widget", "usage warning", "certificate", "charges"]  # fmt: skip


@pytest.mark.parametrize("word", FOREIGN)
def test_another_things_name_is_another_thing(word):
    for verb, _ in THROWS:
        for thing in SWITCHES:
            text = f"Please {verb} {thing.removesuffix(' on your phone')} {word}."
            assert presses(text) == [], text
    for text in (f"Reset the APN {word}.", f"Reseat the SIM {word}.", f"Restart the {word}."):
        assert presses(text) == [], text


_WORD = st.from_regex(
    r"[bcdfghjklmnpqrstvwxz][aeiou][bcdfgklmnprstvz]{1,2}[aeiou][dklmnrt]", fullmatch=True
)


@given(st.sampled_from(sorted(THROWN)), _WORD)
@settings(max_examples=200, deadline=None)
def test_a_word_that_nobody_knows_makes_a_request_uncertain(words, riddle):
    assume(not parse(f"Please turn on {riddle} mobile data.").requests)
    assert presses(f"Please {words} {riddle}.") == []
    assert presses(f"Please {riddle} {words}.") == []


PLACES = [
    "in the gallery app",
    "on your laptop",
    "of the router",
    "in the car's menu",
    "auto-start",
    "scheduler",
    "only mode",
    "removal tool",
    "(beta)",
]


@pytest.mark.parametrize("place", PLACES)
def test_another_place_or_kind_of_thing_is_another_thing(place):
    for words in THROWN:
        text = f"Please {words} {place}."
        assert presses(text) == [], text


# --- One of two, and what a sentence after takes back ---
@pytest.mark.parametrize(
    "form",
    [
        "Please {} or {}.",
        "Either {} or {}.",
        "You can {} or {}, as you like.",
        "Please either {}, or {}.",
    ],
)
def test_of_two_actions_offered_none_is_done(form):
    for one, two in itertools.product(list(SOME)[::3], list(SOME)[1::4]):
        assert presses(form.format(one, two)) == [], form.format(one, two)


@pytest.mark.parametrize(
    "after",
    ["But only after I have resumed your line.", "That is, once I tell you.", "But not yet.",
     "Only if that doesn't work, though.", "Actually, let's not do that yet.", "Later.",
     "If the problem persists.", "Never mind.", "When I say so."],
)  # fmt: skip
def test_a_sentence_after_may_take_a_request_back(after):
    for words in SOME:
        assert presses(f"Please {words}. {after}") == [], words
        assert presses(f"Please {words}; {after.lower()}") == [], words


def test_a_sentence_after_that_speaks_of_else_takes_nothing_back():
    for words, done in SOME.items():
        for after in ("Please write to me if it doesn't work.", "Let me know when you are done.",
                      "If it fails, tell me.", "I will wait while you do that."):  # fmt: skip
            assert presses(f"Please {words}. {after}") == [done], words


# --- Pairs ---
THERE = ["Turn on airplane mode", "Put your phone in airplane mode", "Enable Airplane Mode",
         "Try putting your phone into flight mode", "Please switch airplane mode on"]  # fmt: skip
WAITS = ["", " for ten seconds", " for a moment"]
BACK = [
    " and turn it off again",
    ", then take it back out",
    ", then disable it",
    ", then switch it off",
    " and then turn it back off",
    ", wait, and turn it off",
    ", then taking it back out",
    ", count to ten, and switch it off",
    " before turning it back off",
    " and undo that",
    ", then return to normal",
    " and revert it afterwards",
    ", then get back online",
]


def test_a_pair_is_done_whole_or_not_at_all():
    whole = 0
    for text in map("".join, itertools.product(THERE, WAITS, BACK, ["."])):
        done = presses(text)
        assert done in ([], ["toggle_airplane_mode=on", "toggle_airplane_mode=off"]), text
        whole += bool(done)
    assert whole >= 0.6 * len(THERE) * len(WAITS) * len(BACK)


# --- Lists ---
HEADS = {
    "Please do the following:": True, "Follow these steps:": True, "Could you please:": True,
    "Please try these steps in order:": True, "Steps:": True, "Here's what to do next:": True,
    "Which of these have you already done?": False, "Have you done any of the following:": False,
    "Please do not do any of these:": False, "Here is what we did so far:": False,
    "If the problem persists, do this:": False, "Later we will do the following:": False,
    "I have done this for you:": False, "The manual says:": False, "Possible causes:": False,
    "You have already completed these steps:": False, "You don't need to:": False,
    "Next time, try this:": False, "What we tried so far:": False,
}  # fmt: skip
MARKS = [
    "\n- {}\n- {}",
    "\n1. {}\n2. {}",
    "\n1) {}\n2) {}",
    " 1. {} 2. {}",
    "\n• {}\n• {}",
    "\n- [ ] {}\n- [ ] {}",
    "\n☐ {}\n☐ {}",
    "\n* **{}**\n* **{}**",
    " (1) {} (2) {}",
]


@pytest.mark.parametrize(("head", "asks"), HEADS.items())
def test_the_items_of_a_list_share_the_mood_of_their_head(head, asks):
    for marks in MARKS:
        for (one, first), (two, second) in zip(SOME.items(), list(SOME.items())[2:], strict=False):
            if first == second:
                continue
            text = head + marks.format(upper(one), upper(two))
            assert presses(text) == ([first, second] if asks else []), text


@pytest.mark.parametrize("marks", MARKS)
def test_items_may_be_objects_of_the_sentence_above(marks):
    both = {"grant_app_permission(messaging, storage)", "grant_app_permission(messaging, sms)"}
    for head in (
        "Please grant the messaging app the following permissions:",
        "Please grant these permissions:",
    ):
        assert set(presses(head + marks.format("SMS", "Storage"))) == both
    text = "Please turn off the following:" + marks.format("Data Saver", "Wi-Fi Calling")
    assert presses(text) == ["toggle_data_saver_mode=off", "toggle_wifi_calling=off"]


@pytest.mark.parametrize("tick", ["- [x] {}", "✅ {}", "☑ {}", "✔ {}"])
def test_what_is_ticked_off_is_done_already(tick):
    for words in SOME:
        assert presses(f"So far:\n{tick.format(upper(words))}\nPlease check your SIM card.") == []


# --- Typography ---
DRESSES = {
    "non-breaking spaces": lambda text: text.replace(" ", "\u00a0"),
    "narrow spaces": lambda text: text.replace(" ", "\u202f"),
    "non-breaking hyphens": lambda text: text.replace("-", "\u2011"),
    "minus signs": lambda text: text.replace("-", "\u2212"),
    "curly quotes": lambda text: text.replace("'", "\u2019"),
    "zero width": lambda text: text.replace(" ", " \u200b"),
    "soft hyphens": lambda text: text.replace("ti", "t\u00adi"),
    "bold": lambda text: f"**{text}**",
    "italic": lambda text: f"_{text}_",
    "stars": lambda text: f"*{text}*",
    "heading": lambda text: f"### {text}",
    "quoted": lambda text: f"> {text}",
    "html": lambda text: f"<b>{text}</b>",
    "check box": lambda text: f"- [ ] {text}",
    "bullet": lambda text: f"\u2022 {text}",
    "numbered": lambda text: f"1. {text}",
    "fullwidth": lambda text: "".join(
        chr(ord(c) + 0xFEE0) if "A" <= c.upper() <= "Z" else c for c in text
    ),
    "windows lines": lambda text: text.replace("\n", "\r\n"),
    "entities": lambda text: text.replace("'", "&#39;"),
}  # fmt: skip


@pytest.mark.parametrize("dress", DRESSES)
def test_typography_changes_nothing(dress):
    for text in [*(said for said, _ in SAID), *NOTHING, *(f"Please {words}." for words in DONE)]:
        if "\n" in text or "{" in text or "_" in text or "<" in text:
            continue
        assert presses(DRESSES[dress](text)) == presses(text), text


def test_struck_text_is_not_there():
    assert presses("~~Restart your phone.~~ Please check your SIM card.") == []


# --- Plain, and not understood once ---
@pytest.mark.parametrize(
    ("text", "tools", "questions"),
    [
        ("Am I speaking with John Smith?", [], {"name"}),
        ("Am I talking to Mr. Smith?", [], {"name"}),
        ("List all of the apps.", ["check_installed_apps"], set()),
        ("Please list all the apps on your phone.", ["check_installed_apps"], set()),
        (
            "Check your payment requests and, if you agree, pay.",
            ["check_payment_request", "make_payment ?agrees=True"],
            set(),
        ),
        (
            "You have two options: refuel 2 GB or change your plan. Which one do you want?",
            [],
            {"refuel", "plan"},
        ),
        (
            "Your options are:\n1. Refuel 2 GB of data\n2. Switch to a bigger plan",
            [],
            {"refuel", "plan"},
        ),
    ],
)
def test_plain_sentences(text, tools, questions):
    heard = parse(text)
    assert [brief(request) for request in heard.requests] == tools
    assert set(heard.questions) >= questions


def test_a_denied_thing_is_not_what_it_means():
    for one, other in itertools.permutations(
        ["data roaming", "mobile data", "Data Saver", "Wi-Fi"], 2
    ):
        tool = SWITCHES.get(one) or SWITCHES.get(f"your {one}")
        for text in (f"I meant {one}, not {other}.", f"I meant {one} instead of {other}."):
            assert presses(f"{text} Please turn that one on.") == [f"{tool}=on"], text


def test_every_toggle_is_varied_here():
    assert set(SWITCHES.values()) == set(TOGGLES.values())


# --- Taken back, put off, or somebody else's ---
CORRECTIONS = ["{}, or rather, {}", "{}... sorry, I mean {}", "{}. Correction: {}",
               "{}. Actually, {}",
               "{}. No wait, {}", "{}. Oops, I meant {}", "{}. On second thought, just {}",
               "{}... hmm, no, leave that as it is and {}"]  # fmt: skip


@pytest.mark.parametrize("form", CORRECTIONS)
def test_what_is_corrected_is_not_pressed(form):
    for words, (other, done) in itertools.product(SOME, list(DONE.items())[::9]):
        if DONE[words] == done:
            continue
        assert presses(f"Please {form.format(words, 'check your SIM card')}.") == [], words
        assert presses(f"Please {form.format(words, other)}.") in ([], [done]), (words, other)


@pytest.mark.parametrize(
    "after",
    ["That's what the bot told you, correct?", "That's the advice most people get.",
     "Is that what the other agent asked you to do?", "This is what our help page says, anyway.",
     "That was how my colleague put it, she said."],
)  # fmt: skip
def test_what_a_sentence_after_ascribes_to_another_is_not_asked_for(after):
    for words, shape in itertools.product(SOME, ("{}. {}", "> {}\n\n{}", '"{}." {}')):
        assert presses(shape.format(upper(words), after)) == [], words


@pytest.mark.parametrize(
    "form",
    ["The previous agent wrote: {}.", "Our service bot suggested: {}.",
     "The billing team said: {}.", "The customer care representative told you to {}.",
     "Another agent said: {}."],
)  # fmt: skip
def test_what_anybody_else_said_is_not_asked_for(form):
    for words in SOME:
        assert presses(form.format(words)) == [], words


GERUNDS = ["restarting your phone", "resetting your APN settings", "turning off Data Saver",
           "toggling mobile data", "disconnecting the VPN", "reseating the SIM card"]  # fmt: skip


@pytest.mark.parametrize(
    "off", ["wait with", "wait before", "delay", "postpone", "put off", "hold off on", "defer"]
)
def test_what_is_put_off_is_not_done(off):
    for doing, until in itertools.product(GERUNDS, ("", " until the refuel has gone through")):
        assert presses(f"Please {off} {doing}{until}.") == [], doing
    assert presses(f"Please {off} the restart until the line is active.") == []


@pytest.mark.parametrize(
    "when",
    [
        "As soon as you see a signal",
        "Once you have service again",
        "When you get an error",
        "If I tell you to",
        "Unless I say no",
    ],
)
def test_a_press_waits_for_what_the_phone_may_never_show(when):
    for words in SOME:
        assert presses(f"{when}, {words}.") == [], words
        assert presses(f"Please {words} {when[0].lower() + when[1:]}.") == [], words


@pytest.mark.parametrize("phone", ["old phone", "other phone", "second device", "work phone"])
def test_another_phone_is_not_operated(phone):
    for words in ("restart", "remove the SIM from", "turn on mobile data on", "reset the APN on"):
        assert presses(f"Please {words} your {phone}.") == [], words


def test_a_bill_that_is_to_be_right_is_looked_at_before_it_is_paid():
    for right in ("everything looks correct", "the amount is right", "all looks good to you"):
        assert presses(f"Please make the payment if {right}.") == [
            "make_payment ?payment_request=True"
        ]
    assert presses("Please make the payment if you agree.") == ["make_payment ?agrees=True"]


@pytest.mark.parametrize(
    "label",
    ["Completed", "Done so far", "Already done", "My task", "To do for me", "On our side",
     "Optional", "Not needed", "Status", "Steps completed"],
)  # fmt: skip
def test_a_label_may_say_that_it_is_done_or_not_his_to_do(label):
    for words in SOME:
        assert presses(f"{label}: {words}.") == [], words
        assert parse(f"{label}: {words}\nYour next step: check your SIM card").requests
    both = presses(f"{label}: restart your phone. Your task: reset the APN settings.")
    assert both in ([], ["reset_apn_settings"])


@pytest.mark.parametrize("verb", ["Restart", "Reboot", "Reset", "APN reset"])
def test_a_verb_may_be_a_noun(verb):
    for text in ("{} required? No.", "Status: {} pending.", "{} is not needed.", "{} done."):
        assert presses(text.format(verb)) == [], verb


@pytest.mark.parametrize("such_as", ["For example, you could {}.", "E.g. {}.", "In theory, {}."])
def test_an_example_is_no_request(such_as):
    for words in SOME:
        assert presses(such_as.format(words)) == [], words


@pytest.mark.parametrize(
    "time",
    ["once it comes back on", "when that is done", "after ten seconds", "as soon as it is ready"],
)
def test_a_time_after_and_belongs_to_what_follows_it(time):
    for words, done in REPAIRS.items():
        found = asks(f"Please {words}, and {time}, check your status bar.")
        assert found == [done, "check_status_bar"], words
