"""What the scripted user understands: a table of phrasings, a row each."""

from __future__ import annotations

import pytest

from tau2_agent.benchmark.environment import user_tools
from tau2_agent.users.scripted.lexicon import TOOL_TOPICS
from tau2_agent.users.scripted.request import Request
from tau2_agent.users.scripted.understanding import parse


def brief(request: Request) -> str:
    """ "tool(arguments)=on ?fact=value", as short as it goes."""
    text = request.tool
    if request.arguments:
        text += "(" + ", ".join(str(value) for _, value in request.arguments) + ")"
    if request.want is not None:
        text += "=on" if request.want else "=off"
    if request.guard:
        text += f" ?{request.guard[0]}={request.guard[1]}"
    return text


def asks(text: str, topic: str = "") -> list[str]:
    return [brief(request) for request in parse(text, topic).requests]


AIR_OFF, AIR_ON = "toggle_airplane_mode=off", "toggle_airplane_mode=on"
DATA_ON, ROAM_ON = "toggle_data=on", "toggle_roaming=on"
SAVER_OFF, CALLING_OFF = "toggle_data_saver_mode=off", "toggle_wifi_calling=off"
MODE = "set_network_mode_preference(4g_5g_preferred)"
STORAGE = "grant_app_permission(messaging, storage)"
SMS = "grant_app_permission(messaging, sms)"
PERMISSIONS = "check_app_permissions(messaging)"

# Text, what it asks for. One row a way to say it.
SAID: list[tuple[str, list[str]]] = [
    # --- exact tool names ---
    ("check_status_bar", ["check_status_bar"]),
    ("Please use the `run_speed_test()` tool to check your internet speed.", ["run_speed_test"]),
    ("Run `toggle_airplane_mode()`.", ["toggle_airplane_mode"]),
    ("Could you call can_send_mms for me?", ["can_send_mms"]),
    ("Use toggle_data to turn mobile data ON.", [DATA_ON]),
    ("Please use the `toggle_roaming()` function to turn on data roaming.", [ROAM_ON]),
    ("Please use toggle_data() on your phone.", ["toggle_data"]),
    ('Use set_network_mode_preference(mode="4g_5g_preferred").', [MODE]),
    ("Call set_network_mode_preference with mode 4g_5g_preferred.", [MODE]),
    ('Run set_network_mode_preference("3g_only")', ["set_network_mode_preference(3g_only)"]),
    ('grant_app_permission(app_name="messaging", permission="storage")', [STORAGE]),
    ("Use grant_app_permission to give the messaging app the sms permission.", [SMS]),
    ('check_app_permissions(app_name="browser")', ["check_app_permissions(browser)"]),
    ("You can use check_vpn_status to look.", ["check_vpn_status"]),
    ("Please check your APN settings by using check_apn_settings().", ["check_apn_settings"]),
    ("Please run reset_apn_settings, then reboot_device.", ["reset_apn_settings", "reboot_device"]),
    # --- looks ---
    ("Please check your status bar.", ["check_status_bar"]),
    ("Can you look at the top of your screen and tell me what you see?", ["check_status_bar"]),
    ("What does your status bar show?", ["check_status_bar"]),
    ("Do you have signal?", ["check_status_bar"]),
    ("How many bars do you see?", ["check_status_bar"]),
    ("Is your service back?", ["check_status_bar"]),
    ("Can you see any signal bars at the moment?", ["check_status_bar"]),
    ("Could you check whether your SIM is detected?", ["check_sim_status"]),
    ("Is your SIM card inserted properly?", ["check_sim_status"]),
    ("Let's check the status of your SIM card.", ["check_sim_status"]),
    ("I'd like you to verify that your SIM card is active.", ["check_sim_status"]),
    ("We need to check your SIM card.", ["check_sim_status"]),
    ("Please check your network status.", ["check_network_status"]),
    ("Please check your phone's network connection status.", ["check_network_status"]),
    ("Is airplane mode on?", ["check_network_status"]),
    ("Can you confirm whether mobile data is enabled?", ["check_network_status"]),
    ("Could you tell me if data roaming is turned on?", ["check_network_status"]),
    ("I need to know whether airplane mode is on.", ["check_network_status"]),
    ("What network type are you connected to?", ["check_network_status"]),
    ("What is your preferred network mode?", ["check_network_mode_preference"]),
    ("Please check your network mode preference.", ["check_network_mode_preference"]),
    ("Check the preferred network type in your settings.", ["check_network_mode_preference"]),
    ("Please check if Data Saver is on.", ["check_data_restriction_status"]),
    ("Are there any data restrictions on your phone?", ["check_data_restriction_status"]),
    ("Please check your APN settings.", ["check_apn_settings"]),
    ("Is the MMSC URL set?", ["check_apn_settings"]),
    ("Are you using a VPN?", ["check_vpn_status"]),
    ("Please check your VPN status.", ["check_vpn_status"]),
    ("Is Wi-Fi calling enabled?", ["check_wifi_calling_status"]),
    ("Is your Wi-Fi on?", ["check_wifi_status"]),
    ("Please check the permissions of your messaging app.", [PERMISSIONS]),
    ("Does your messaging app have the storage permission?", [PERMISSIONS]),
    ("Can you check whether the messages app has access to storage?", [PERMISSIONS]),
    ("Which apps are installed?", ["check_installed_apps"]),
    ("Could you run a speed test?", ["run_speed_test"]),
    ("Try a speed test now, please.", ["run_speed_test"]),
    ("How fast is your internet?", ["run_speed_test"]),
    ("Is your mobile data working?", ["run_speed_test"]),
    ("Can you browse the internet now?", ["run_speed_test"]),
    ("Can you send an MMS now?", ["can_send_mms"]),
    ("Please check if you can send an MMS.", ["can_send_mms"]),
    ("Could you try sending a picture message?", ["can_send_mms"]),
    ("Please try to send a photo via MMS.", ["can_send_mms"]),
    ("Are you able to send MMS messages?", ["can_send_mms"]),
    ("Please check your payment request.", ["check_payment_request"]),
    ("Have you received the payment request?", ["check_payment_request"]),
    # --- switches ---
    ("Please turn off airplane mode.", [AIR_OFF]),
    ("Please turn airplane mode off.", [AIR_OFF]),
    ("Can you disable Airplane Mode, please?", [AIR_OFF]),
    ("Would you mind switching off flight mode?", [AIR_OFF]),
    ("Please make sure that airplane mode is off.", [AIR_OFF]),
    ("Please make sure airplane mode is not on.", [AIR_OFF]),
    ("Toggle airplane mode off.", [AIR_OFF]),
    ("Please take your phone out of airplane mode.", [AIR_OFF]),
    ("Set airplane mode to off.", [AIR_OFF]),
    ("Airplane mode needs to be turned off.", [AIR_OFF]),
    ("I'd recommend turning off airplane mode.", [AIR_OFF]),
    ("Put your phone in airplane mode.", [AIR_ON]),
    ("Turn airplane mode on and then off again.", [AIR_ON, AIR_OFF]),
    ("Toggle airplane mode.", ["toggle_airplane_mode"]),
    ("Please turn on mobile data.", [DATA_ON]),
    ("Please enable cellular data on your device.", [DATA_ON]),
    ("Switch your mobile data on.", [DATA_ON]),
    ("Please ensure mobile data is enabled.", [DATA_ON]),
    ("Turn on data.", [DATA_ON]),
    ("Mobile data needs to be turned on.", [DATA_ON]),
    ("Please turn your mobile data off and on again.", ["toggle_data=off", DATA_ON]),
    ("Please disable and re-enable mobile data.", ["toggle_data=off", DATA_ON]),
    ("Go to settings > network > mobile network and toggle mobile data.", ["toggle_data"]),
    ("Go to Settings > Cellular > Mobile Data and turn it on.", [DATA_ON]),
    ("Open your settings, tap Mobile Network, and switch on mobile data.", [DATA_ON]),
    ("Please turn on data roaming.", [ROAM_ON]),
    ("Since you are abroad, please enable data roaming on your device.", [ROAM_ON]),
    ("Your data roaming is off, so please turn it on.", [ROAM_ON]),
    ("Make sure you have data roaming turned on.", [ROAM_ON]),
    ("Please turn off data saver.", [SAVER_OFF]),
    ("Kindly deactivate Data Saver mode in your settings.", [SAVER_OFF]),
    ("Turn off Wi-Fi calling because it can interfere with MMS.", [CALLING_OFF]),
    ("Please turn off Wi-Fi Calling so that MMS goes over mobile data.", [CALLING_OFF]),
    ("Please turn off your Wi-Fi.", ["toggle_wifi=off"]),
    ("Please disconnect from the VPN.", ["disconnect_vpn"]),
    ("Please turn off your VPN.", ["disconnect_vpn"]),
    ("To disable the VPN, open Settings, tap VPN and tap disconnect.", ["disconnect_vpn"]),
    ("Please connect to your VPN.", ["connect_vpn"]),
    # --- repairs ---
    ("Restart your phone.", ["reboot_device"]),
    ("Please reboot the device to apply the changes.", ["reboot_device"]),
    ("Why don't you try restarting your phone?", ["reboot_device"]),
    ("Don't forget to restart your phone.", ["reboot_device"]),
    ("Please turn off your phone, wait ten seconds, and turn it back on.", ["reboot_device"]),
    ("Could you power cycle your phone?", ["reboot_device"]),
    ("Please perform a restart of your phone.", ["reboot_device"]),
    ("Reset your APN settings, then reboot.", ["reset_apn_settings", "reboot_device"]),
    ("Please reset your APN settings to default.", ["reset_apn_settings"]),
    ("Please restore the default access point name settings.", ["reset_apn_settings"]),
    ("Please remove and reinsert your SIM card.", ["reseat_sim_card"]),
    ("Take out the SIM card and put it back in.", ["reseat_sim_card"]),
    ("Please re-seat the SIM.", ["reseat_sim_card"]),
    ("Grant the messaging app the storage and SMS permissions.", [STORAGE, SMS]),
    ("Please grant the storage permission to your messaging app.", [STORAGE]),
    ("Please enable the SMS permission for your messaging app.", [SMS]),
    ("Allow the messaging app to access storage.", [STORAGE]),
    ("Please give your messaging app permission to access SMS and storage.", [STORAGE, SMS]),
    ("Please set preferred network to 4G/5G.", [MODE]),
    ("Change your network mode preference to 4g_5g_preferred.", [MODE]),
    ("Please switch the network mode from 2G to 5G.", [MODE]),
    ("Please switch your phone to 5G.", [MODE]),
    ("Select LTE/5G as your preferred network type.", [MODE]),
    ("Please set the network mode to 4G only.", ["set_network_mode_preference(4g_only)"]),
    ("Please pay the bill.", ["make_payment"]),
    ("Please accept the payment request.", ["make_payment"]),
    ("Could you make the payment now?", ["make_payment"]),
    ("I have sent you a payment request. Please check it and pay.", ["make_payment"]),
    # --- what "it" is, conditions ---
    ("I see that airplane mode is on. Could you turn it off?", [AIR_OFF]),
    ("Airplane mode disables mobile data. Please turn it off.", []),  # which one? he asks
    ("Check whether data saver is on. If it is, please turn it off.", [SAVER_OFF]),
    ("Please check airplane mode and, if it is on, turn it off.", [AIR_OFF]),
    ("If mobile data is off, turn it on.", [DATA_ON]),
    ("Please turn on mobile data if it is off.", [DATA_ON]),
    ("If it's off turn on mobile data.", [DATA_ON]),
    ("If your SIM is missing, please reseat it.", ["reseat_sim_card ?sim=missing"]),
    ("If the SIM card is not detected, remove and reinsert it.", ["reseat_sim_card ?sim=missing"]),
    ("If the MMSC URL is not set, reset your APN settings.", ["reset_apn_settings ?apn_ok=False"]),
    ("If the VPN is connected, please disconnect it.", ["disconnect_vpn ?vpn=True"]),
    ("If your network mode is 2G, set it to 4G/5G.", [f"{MODE} ?old_mode=True"]),
    ("If you have no signal, restart your phone.", ["reboot_device ?signal=False"]),
    ("If you are abroad, turn on data roaming.", [f"{ROAM_ON} ?abroad=True"]),
    ("Please check your SIM card but don't remove it.", ["check_sim_status"]),
    ("Before we restart your phone, let's check your APN settings.", ["check_apn_settings"]),
    ("Once you restart your phone, check the status bar.", ["check_status_bar"]),
    ("Did you turn off airplane mode?", ["check_network_status"]),
    ("Do you see an airplane icon at the top of your screen?", ["check_status_bar"]),
    ("Would it be possible to restart your phone?", ["reboot_device"]),
    ("Can I ask you to restart your phone?", ["reboot_device"]),
    ("Perhaps you could restart your phone?", ["reboot_device"]),
    ("The fix is to turn off data saver.", [SAVER_OFF]),
    ("Please cycle airplane mode.", [AIR_ON, AIR_OFF]),
    ("Please enable airplane mode, wait 30 seconds, and disable it again.", [AIR_ON, AIR_OFF]),
    ("Please ensure that your phone isn't in airplane mode.", [AIR_OFF]),
    ("Please make sure that you're not connected to a VPN.", ["disconnect_vpn"]),
    ("Please make sure your preferred network mode is set to 4G/5G.", [MODE]),
    ("Go to Settings > Apps > Messages > Permissions and enable Storage.", [STORAGE]),
    ("Please ensure the messaging app has the SMS permission.", [SMS]),
    ("If mobile data is off, turn it on. Otherwise, restart your phone.", [DATA_ON]),
    ("In case airplane mode is enabled, disable it.", [AIR_OFF]),
    ("How about a speed test?", ["run_speed_test"]),
    ("And your VPN?", ["check_vpn_status"]),
    ("TURN OFF AIRPLANE MODE!", [AIR_OFF]),
    ("If possible, please restart your phone.", ["reboot_device"]),
    ("If you haven't already, please restart your phone.", ["reboot_device"]),
    ("Please check your SIM card, if you don't mind.", ["check_sim_status"]),
    # --- several things, wide and narrow looks ---
    ("Please turn on mobile data and data roaming.", [DATA_ON, ROAM_ON]),
    ("Restart your phone and then try sending an MMS.", ["reboot_device", "can_send_mms"]),
    (
        "Could you please check your phone's status bar and let me know what you see? "
        "Specifically, look for signal strength and whether mobile data is enabled.",
        ["check_status_bar"],
    ),
    (
        "Please follow these steps:\n1. Open Settings.\n2. Go to **Network** > **SIM cards**.\n"
        "3. Turn on **Mobile data**.\nLet me know once you've done this.",
        [DATA_ON],
    ),
    ("No, you will not lose your photos. Please restart your phone.", ["reboot_device"]),
    ("Before restarting your phone, check the SIM card.", ["check_sim_status"]),
    ("Turn off mobile data, not Wi-Fi.", ["toggle_data=off"]),
    (
        "Ensure that airplane mode is disabled and mobile data is enabled.",
        [AIR_OFF, DATA_ON],
    ),
    ("Make sure mobile data and data roaming are turned on.", [DATA_ON, ROAM_ON]),
    ("Turn Wi-Fi off and test MMS over mobile data.", ["toggle_wifi=off", "can_send_mms"]),
    (
        "If you're connected to a VPN, please disconnect it, and then run another speed test.",
        ["disconnect_vpn ?vpn=True", "run_speed_test"],
    ),
    (
        "Go to Settings > Apps > Messages > Permissions and make sure Storage and SMS are allowed.",
        [STORAGE, SMS],
    ),
    (
        "Since your mobile data is turned off, could you please enable it in your settings?",
        [DATA_ON],
    ),
    ("Please verify that the issue is resolved by running a speed test.", ["run_speed_test"]),
    ("Press and hold the power button until your phone restarts.", ["reboot_device"]),
    (
        "Your network is 2G. Please change the network mode to 4G/5G for better speeds.",
        [MODE],
    ),
]


@pytest.mark.parametrize(("text", "expected"), SAID, ids=[text[:60] for text, _ in SAID])
def test_requests(text, expected):
    assert asks(text) == expected


@pytest.mark.parametrize(
    ("text", "topic", "expected"),
    [
        ("Please turn it off.", "airplane", [AIR_OFF]),
        ("Great, please turn it back on.", "mobile_data", [DATA_ON]),
        ("If it is on, turn it off.", "data_saver", [SAVER_OFF]),
        ("If not, please turn it on.", "roaming", [ROAM_ON]),
        ("If it is missing, please reseat it.", "sim", ["reseat_sim_card ?sim=missing"]),
        ("Please reset it.", "apn", ["reset_apn_settings"]),
        ("Please disconnect it.", "vpn", ["disconnect_vpn"]),
        ("Please check it again.", "vpn", ["check_vpn_status"]),
        ("Please set it to 4G/5G.", "network_mode", [MODE]),
        ("Please turn it off.", "sim", []),
    ],
)
def test_it_means_what_was_last_spoken_of(text, topic, expected):
    assert asks(text, topic) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What is your phone number?", {"phone_number"}),
        ("May I have your full name and phone number, please?", {"name", "phone_number"}),
        (
            "To assist you, could you please provide your phone number so I can look it up?",
            {"phone_number"},
        ),
        ("I'll need the phone number associated with your account.", {"phone_number"}),
        ("Could you please confirm your date of birth?", {"unavailable"}),
        ("Are you currently abroad?", {"location"}),
        ("Can you tell me whether you are traveling?", {"location"}),
        ("Are you outside of your home network?", {"location"}),
        ("Would you like to refuel 2 GB of data for $4?", {"refuel"}),
        ("How much data do you want to refuel?", {"refuel"}),
        ("You can change your plan or refuel data. Which would you prefer?", {"refuel", "plan"}),
        ("Would you like to switch to a bigger plan?", {"plan"}),
        ("2.0 GB cost 4.0 USD. Do you agree?", {"proceed"}),
        ("Would you like to pay the overdue bill?", {"pay"}),
        ("Is your issue resolved now?", {"resolved"}),
        ("Please let me know if it works.", {"resolved"}),
        ("Is there anything else I can help you with?", {"anything_else"}),
        ("Could you describe the problem?", {"issue"}),
        ("When did the problem start?", {"duration"}),
        ("Have you restarted your phone?", {"rebooted"}),
        ("Would you like me to enable roaming on your line?", {"offer"}),
        (
            "Please provide the following information: 1. Your full name 2. Your phone number",
            {"name", "phone_number"},
        ),
        ("Can you please try again?", {"again"}),
        ("Please confirm.", {"proceed"}),
        # the same words, not asked
        ("I have found your account by your phone number.", set()),
        ("Since you are abroad, please turn on data roaming.", set()),
        ("I have refueled 2 GB of data.", set()),
    ],
)
def test_questions(text, expected):
    assert set(parse(text).questions) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("YOU ARE BEING TRANSFERRED TO A HUMAN AGENT. PLEASE HOLD ON.", True),
        ("I am transferring you to a human agent now.", True),
        ("I have transferred you to technical support.", True),
        ("Would you like me to transfer you to a human agent?", False),
        ("If this does not help, you are being transferred.", False),
        ("I can transfer you to a human agent.", False),
        ("You are not being transferred.", False),
    ],
)
def test_transfers(text, expected):
    assert parse(text).transferred is expected


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        ("Please check your status bar.", True),
        ("Please hold on a moment.", True),
        ("I have enabled roaming on your line.", True),
        ("Please fix your phone settings.", False),
        ("Please do whatever is necessary.", False),
        ("flurble the gromit", False),
    ],
)
def test_understood(text, understood):
    assert parse(text).understood is understood


def test_unclear_parts_are_kept_beside_what_was_understood():
    heard = parse("Please check your status bar and calibrate the antenna.")
    assert [r.tool for r in heard.requests] == ["check_status_bar"]


def test_every_tool_of_the_customer_has_a_topic_and_no_other():
    assert set(TOOL_TOPICS) == {tool["function"]["name"] for tool in user_tools()}


@pytest.mark.parametrize("tool", sorted(set(TOOL_TOPICS) - {"set_apn_settings"}))
def test_every_tool_can_be_asked_for_by_name(tool):
    arguments = {
        "set_network_mode_preference": "(mode='4g_only')",
        "grant_app_permission": "(app_name='messaging', permission='sms')",
    }.get(tool, "()")
    requests = parse(f"Please use {tool}{arguments}.").requests
    assert [request.tool for request in requests] == [tool]


@pytest.mark.parametrize(
    "inside",
    ["-" * 3000 + "1", "{[]: 1}"],  # longer ones are cut
    ids=["minus", "no key"],
)
def test_brackets_that_no_parser_can_read_press_nothing(inside):
    """As a policy writes them that repeats one token to the end of its turn."""
    assert not parse(f"Please call set_network_mode_preference({inside})").requests
