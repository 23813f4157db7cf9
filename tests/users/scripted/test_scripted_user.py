"""The scripted user: what he does, says, refuses, and when he is content."""

from __future__ import annotations

import pytest
from official import Talk, scripted_episode
from tau2.data_model.message import AssistantMessage, UserMessage

from tau2_agent.benchmark.tasks import get_task, load_tasks
from tau2_agent.rollout.episode import run_episode
from tau2_agent.rollout.trajectory import UserFailure
from tau2_agent.teachers.baselines import make_agent
from tau2_agent.users.registry import make_user
from tau2_agent.users.scripted.lexicon import CHECKS
from tau2_agent.users.scripted.understanding import parse
from tau2_agent.users.scripted.user import PATIENCE, ScriptedUser

GREETING = "Hi! How can I help you today?"


def find_task(issue, *faults, persona=None):
    """A task of the full set with these faults, the one with the fewest others."""
    wanted = [
        task
        for task in load_tasks("full")
        if task.id.startswith(f"[{issue}_issue]")
        and all(fault in task.id for fault in faults)
        and (persona is None or f"PERSONA:{persona}]" in task.id)
    ]
    return min(wanted, key=lambda task: (task.id.count("|"), task.id))


async def talk_to(issue, *faults, persona="None"):
    talk = Talk(find_task(issue, *faults, persona=persona))
    talk.opening = await talk.say(GREETING)
    return talk


# --- What he says ---
@pytest.mark.parametrize(
    ("issue", "words"),
    [("mms", "unable to send MMS"), ("mobile_data", "mobile data"), ("service", "No Service")],
)
async def test_opens_with_the_reason_for_the_call_in_the_first_person(issue, words):
    talk = await talk_to(issue)
    assert words in talk.opening
    assert "You" not in talk.opening and "your" not in talk.opening
    assert "John" not in talk.opening and "555" not in talk.opening


async def test_tells_name_phone_and_place_only_when_asked():
    talk = await talk_to("mms", "user_abroad")
    assert await talk.say("What is your name?") == "My name is John Smith."
    assert await talk.say("What is your phone number?") == "My phone number is 555-123-2002."
    assert await talk.say("Are you currently abroad?") == "I am currently abroad in France."
    both = await talk.say("May I have your full name and phone number?")
    assert "John Smith" in both and "555-123-2002" in both and "France" not in both


async def test_does_not_make_up_what_the_scenario_does_not_say():
    talk = await talk_to("service")
    assert await talk.say("Are you currently abroad?") == "I am not sure about that."
    assert await talk.say("What is your date of birth?") == "I do not know that."
    assert "not" in await talk.say("Would you like to refuel 2 GB of data?")


async def test_refuels_two_gb_and_keeps_his_plan():
    talk = await talk_to("mobile_data", "data_usage_exceeded")
    assert "refuel 2.0 GB" in await talk.say("How much data would you like to refuel?")
    assert "not want to change" in await talk.say("Would you like to switch to a bigger plan?")
    assert await talk.say("2 GB of data cost 4 USD. Do you agree?") == "Yes, please."


async def test_pays_on_a_service_task_when_asked_and_only_then():
    talk = await talk_to("service", "overdue_bill_suspension")
    await talk.say("Your line is suspended because of an overdue bill.")
    assert talk.pressed == []
    assert await talk.say("Would you like to pay it now?") == "Yes, I will pay the bill."
    assert talk.pressed == []
    assert "do not have a payment request" in await talk.say("Please pay the bill.")
    talk.environment.use_tool("send_payment_request", customer_id="C1001", bill_id="B1234321")
    talk.environment.sync_tools()
    assert await talk.say("I have sent you a payment request.") == "Should I pay it now?"
    assert "has been made" in await talk.say("Yes, please.")
    assert talk.pressed == ["make_payment"]


async def test_does_not_pay_where_the_scenario_does_not_say_so():
    talk = await talk_to("mms")
    await talk.say("Please pay the bill.")
    assert talk.pressed == []


# --- What he does ---
@pytest.mark.parametrize(
    ("issue", "fault", "text", "pressed"),
    [
        (
            "service",
            "airplane_mode_on",
            "Please turn off airplane mode.",
            ["check_network_status", "toggle_airplane_mode"],
        ),
        (
            "mobile_data",
            "data_mode_off",
            "Please turn on mobile data.",
            ["check_network_status", "toggle_data"],
        ),
        (
            "mobile_data",
            "data_saver_mode_on",
            "Please make sure data saver is off.",
            ["check_data_restriction_status", "toggle_data_saver_mode"],
        ),
        (
            "mms",
            "bad_wifi_calling",
            "Please disable Wi-Fi calling.",
            ["check_wifi_calling_status", "toggle_wifi_calling"],
        ),
    ],
)
async def test_looks_before_he_throws_a_switch(issue, fault, text, pressed):
    talk = await talk_to(issue, fault)
    assert "is now" in await talk.say(text)
    assert talk.pressed == pressed
    assert "already" in await talk.say(text)
    assert talk.pressed == []


async def test_a_switch_that_is_right_stays():
    talk = await talk_to("mms", "bad_wifi_calling")
    assert await talk.say("Please turn off airplane mode.") == "Airplane Mode is already OFF."
    assert talk.pressed == ["check_network_status"]


async def test_it_is_what_was_spoken_of_in_the_message_before():
    talk = await talk_to("service", "airplane_mode_on")
    assert "Airplane Mode: ON" in await talk.say("Is airplane mode on?")
    assert "Airplane Mode is now OFF" in await talk.say("If it is on, please turn it off.")
    assert talk.pressed == ["toggle_airplane_mode"]


async def test_a_condition_is_looked_up():
    talk = await talk_to("service", "unseat_sim_card")
    await talk.say("If your SIM card is missing, please reseat it.")
    assert talk.pressed == ["check_sim_status", "reseat_sim_card"]
    talk = await talk_to("service", "break_apn_settings")
    assert "active" in await talk.say("If your SIM card is missing, please reseat it.")
    assert talk.pressed == ["check_sim_status"]


async def test_a_condition_that_he_knows_himself():
    text = "If you are abroad, please turn on data roaming."
    talk = await talk_to("mobile_data", "user_abroad_roaming_enabled_off")
    await talk.say(text)
    assert talk.pressed[-1] == "toggle_roaming"
    talk = Talk(next(t for t in load_tasks("full") if "mms" in t.id and "abroad" not in t.id))
    await talk.say(GREETING)
    await talk.say(text)
    assert "toggle_roaming" not in talk.pressed


async def test_a_permission_that_may_be_missing_is_looked_up():
    text = "If the storage permission is missing, please grant it to the messaging app."
    talk = await talk_to("mms", "break_app_storage_permission", persona="Easy")
    await talk.say(text)
    assert talk.pressed == ["check_app_permissions", "grant_app_permission"]
    talk = await talk_to("mms", "bad_wifi_calling", persona="Easy")
    assert "storage" in await talk.say(text)
    assert talk.pressed == ["check_app_permissions"]


async def test_pays_if_there_is_a_request_and_the_user_agrees():
    text = "Check your payment requests and, if you agree, pay."
    talk = await talk_to("service", "overdue_bill_suspension")
    assert "do not have a payment request" in await talk.say(text)
    talk.environment.use_tool("send_payment_request", customer_id="C1001", bill_id="B1234321")
    talk.environment.sync_tools()
    answer = await talk.say(text)
    assert talk.pressed == ["check_payment_request", "make_payment"]
    assert answer.startswith("Yes, I agree.") and "has been made" in answer
    talk = await talk_to("mms", "bad_wifi_calling")
    await talk.say(text)
    assert "make_payment" not in talk.pressed


@pytest.mark.parametrize("condition", ["if needed", "if it is there", "if necessary"])
async def test_a_condition_on_a_payment_request_comes_to_an_end(condition):
    talk = await talk_to("service", "overdue_bill_suspension")
    await talk.say(f"Please check your payment request. Please make the payment {condition}.")
    assert len(talk.pressed) < 4


async def test_results_come_back_in_full():
    talk = await talk_to("mms", "break_apn_mms_setting")
    answer = await talk.say("Please check your APN settings.")
    assert "Current APN Name: internet\nMMSC URL (for picture messages): Not Set\n" in answer


async def test_does_it_work_now_is_answered_by_a_look():
    talk = await talk_to("mms", "bad_wifi_calling", persona="Easy")
    assert "cannot send MMS" in await talk.say("Does it work now?")
    assert talk.pressed == ["can_send_mms"]
    answer = await talk.say("Please turn off Wi-Fi calling. Does it work now?")
    assert talk.pressed[-2:] == ["toggle_wifi_calling", "can_send_mms"]
    assert answer.endswith("###STOP###")


async def test_try_again_repeats_the_last_look():
    talk = await talk_to("mobile_data", "bad_vpn")
    await talk.say("Please check your VPN status.")
    await talk.say("Please try again.")
    assert talk.pressed == ["check_vpn_status"]


# --- Personas ---
@pytest.mark.parametrize(("persona", "most"), [("None", 2), ("Easy", 2), ("Hard", 1)])
async def test_takes_no_more_actions_at_once_than_the_persona_can(persona, most):
    steps = ["check your SIM card", "check your APN settings", "check your VPN status"]
    for count in (1, 2, 3):
        talk = await talk_to("mobile_data", persona=persona)
        answer = await talk.say("Please " + ", then ".join(steps[:count]) + ".")
        assert len(talk.pressed) == (count if count <= most else 0)
        assert ("one thing at a time" in answer) is (count > most)
        assert talk.user.report()["refused"] == (count > most)


async def test_two_permissions_are_one_action_even_for_the_uneasy():
    talk = await talk_to("mms", "break_app_both_permissions", persona="Hard")
    await talk.say("Grant the messaging app the storage and SMS permissions.")
    assert talk.pressed == ["grant_app_permission", "grant_app_permission"]


async def test_the_uneasy_fears_for_her_photos_once():
    talk = await talk_to("mms", "break_apn_mms_setting", persona="Hard")
    assert "lose my photos" in await talk.say("Please restart your phone.")
    assert talk.pressed == []
    await talk.say("Don't worry, your photos are safe.")
    assert talk.pressed == ["reboot_device"]
    await talk.say("Please restart your phone.")
    assert talk.pressed == ["reboot_device"]


@pytest.mark.parametrize(
    "answer",
    [
        "Yes, they will be deleted.", "You may lose some of them.", "Some photos get lost.",
        "Back up your photos first.", "Your photos are safe, but don't restart yet.",
        "They are safe unless the phone is old.", "Please wait, I check whether that is safe.",
    ],
)  # fmt: skip
async def test_what_does_not_calm_presses_nothing(answer):
    talk = await talk_to("mms", "break_apn_mms_setting", persona="Hard")
    await talk.say("Please restart your phone.")
    await talk.say(answer)
    assert talk.pressed == []


@pytest.mark.parametrize(
    "answer",
    [
        "No, you won\u2019t lose anything.", "Nothing will be deleted.", "They are all safe.",
        "A restart does not affect your pictures.", "No worries!", "Not at all, do not worry.",
    ],
)  # fmt: skip
async def test_what_calms_presses_it(answer):
    talk = await talk_to("mms", "break_apn_mms_setting", persona="Hard")
    await talk.say("Please restart your phone.")
    await talk.say(answer)
    assert talk.pressed == ["reboot_device"]


async def test_a_fear_that_nobody_calms_is_dropped():
    talk = await talk_to("mms", "break_apn_mms_setting", persona="Hard")
    await talk.say("Please restart your phone.")
    await talk.say("Please check your SIM card.")
    await talk.say("Yes.")
    assert talk.pressed == []


async def test_personas_sound_different():
    openings = {(await talk_to("mms", persona=p)).opening for p in ("None", "Easy", "Hard")}
    assert len(openings) == 3


# --- The end ---
async def test_stops_only_when_a_result_proves_it():
    talk = await talk_to("mms", "bad_wifi_calling", persona="Easy")  # the only fault
    for text in ("Your issue is solved.", "Is it working now?", "Please check your status bar."):
        assert "###" not in await talk.say(text)
    assert "###" not in await talk.say("Please turn off Wi-Fi calling.")
    assert "###" not in await talk.say("Your issue is solved now.")
    assert (await talk.say("Please check if you can send an MMS.")).endswith("###STOP###")
    assert talk.pressed == ["can_send_mms"]


async def test_a_good_speed_is_not_excellent():
    talk = await talk_to("mobile_data", "data_saver_mode_on", persona="Easy")  # the only fault
    answer = await talk.say("Please run a speed test.")
    assert "Mbps (Good)" in answer and "###" not in answer
    assert "###" not in await talk.say("Please turn off data saver.")
    assert (await talk.say("Please run a speed test.")).endswith("###STOP###")


async def test_the_proof_of_another_issue_is_none():
    talk = await talk_to("mms", "bad_wifi_calling", persona="Easy")
    assert "(Excellent)" in (answer := await talk.say("Please run a speed test."))
    assert "###" not in answer


async def test_signal_in_the_status_bar_is_enough_for_a_service_issue():
    talk = Talk(get_task("[service_issue]airplane_mode_on|unseat_sim_card[PERSONA:None]"))
    await talk.say(GREETING)
    assert "###" not in await talk.say("Please turn off airplane mode.")
    assert "###STOP###" in await talk.say("Please reseat your SIM card.")


async def test_is_annoyed_once_when_a_repair_does_not_help():
    talk = await talk_to("service", "break_apn_settings")
    answers = [await talk.say("Please restart your phone.") for _ in range(3)]
    assert ["annoying" in answer for answer in answers] == [True, False, False]


async def test_a_transfer_ends_the_call_and_an_offer_does_not():
    talk = await talk_to("service", "lock_sim_card_pin")
    assert "###" not in await talk.say("Would you like me to transfer you to a human agent?")
    text = "YOU ARE BEING TRANSFERRED TO A HUMAN AGENT. PLEASE HOLD ON."
    assert await talk.say(text) == "###TRANSFER###"


async def test_gives_up_after_four_riddles_in_a_row_and_reports_them():
    talk = await talk_to("mms")
    for number in range(PATIENCE - 1):
        answer = await talk.say(f"flurble the gromit {number}")
        assert answer.endswith("?") and "###" not in answer
    assert "check" not in answer.lower() and "turn" not in answer.lower()
    await talk.say("Please check your status bar.")  # patience is back
    for _ in range(PATIENCE - 1):
        assert "###" not in await talk.say("flurble")
    assert await talk.say("flurble") == "###OUT-OF-SCOPE###"
    report = talk.user.report()
    assert report["simulator"] == "scripted"
    assert report["unknown"] == 2 * PATIENCE - 1
    assert report["unknown_texts"][0] == "flurble the gromit 0"


async def test_gives_up_on_an_agent_who_only_talks():
    talk = await talk_to("mms")
    answers = [await talk.say("I am looking into it.") for _ in range(PATIENCE)]
    assert answers == ["Okay. What should I do next?"] * (PATIENCE - 1) + ["###OUT-OF-SCOPE###"]
    assert talk.user.report()["unknown"] == 0


async def test_patience_is_a_setting():
    talk = Talk(find_task("mms"), make_user("scripted", find_task("mms"), patience=1))
    await talk.say(GREETING)
    assert await talk.say("flurble") == "###OUT-OF-SCOPE###"


# --- What he must not know, and what must not change ---
class PoisonedTask:
    """A task of which only the user scenario may be read."""

    def __init__(self, task):
        self.user_scenario = task.user_scenario

    def __getattr__(self, name):
        raise AssertionError(f"the user looked at task.{name}")


@pytest.mark.parametrize("split", ["train", "test"])
async def test_reads_nothing_of_the_task_but_the_scenario(split):
    for task in load_tasks(split)[::5]:
        user = ScriptedUser(PoisonedTask(task))
        with_scenario_only = await run_episode(task, make_agent("scripted"), user)
        whole = await scripted_episode(task)
        assert with_scenario_only.messages == whole.messages


async def test_the_same_task_gives_the_same_conversation():
    for task in load_tasks("test")[::7]:
        first, second = [await scripted_episode(task) for _ in range(2)]
        assert first.messages == second.messages
        assert first.user_report == second.user_report


async def test_another_episode_leaves_no_trace():
    task, other = find_task("mms", "bad_wifi_calling"), find_task("mobile_data", "bad_vpn")
    before = await scripted_episode(task)
    await scripted_episode(other)
    assert (await scripted_episode(task)).messages == before.messages


async def test_never_presses_what_was_not_asked_for():
    """Every write of the user's follows a message of the teacher's that names it."""
    pressed = 0
    for task in load_tasks("test")[::4]:
        asked: set[str] = set()
        topic = ""
        for message in (await scripted_episode(task)).messages:
            if isinstance(message, AssistantMessage) and message.content:
                heard = parse(message.content, topic)
                topic = heard.topic
                asked = {request.tool for request in heard.requests}
            elif isinstance(message, UserMessage) and message.tool_calls:
                writes = {call.name for call in message.tool_calls} - set(CHECKS.values())
                assert writes <= asked
                pressed += len(writes)
    assert pressed > 9


def test_unknown_names_and_settings_are_errors_that_help():
    task = find_task("mms")
    with pytest.raises(ValueError, match="choose one of: scripted"):
        make_user("human", task)
    with pytest.raises(ValueError, match="patients"):
        make_user("scripted", task, patients=3)


def test_other_domains_are_refused():
    task = find_task("mms").model_copy(deep=True)
    task.user_scenario.instructions.reason_for_call = "You want to cancel your flight."
    with pytest.raises(ValueError, match="only telecom"):
        make_user("scripted", task)


async def test_what_is_no_agents_text_is_a_failure_of_the_simulation():
    user = make_user("scripted", find_task("mms"))
    with pytest.raises(UserFailure):
        await user.reply([AssistantMessage(role="assistant", content=None)])
