"""Facts are read off values, whatever the layout and the words around them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tau2_agent.benchmark.environment import make_environment
from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.benchmark.tool_outputs import read

LOOKS = [
    "check_network_status", "check_status_bar", "check_sim_status", "check_apn_settings",
    "check_network_mode_preference", "check_data_restriction_status", "check_wifi_status",
    "check_wifi_calling_status", "check_vpn_status", "run_speed_test", "can_send_mms",
    "check_payment_request", "reboot_device", "toggle_airplane_mode", "make_payment",
]  # fmt: skip


def _results() -> list[str]:
    found = set()
    for task in load_tasks("full")[::40]:
        phone = make_environment(task).user_tools
        found |= {str(phone.use_tool(name)) for name in LOOKS}
        found.add(str(phone.use_tool("check_app_permissions", app_name="messaging")))
    return sorted(found)


RESULTS = _results()


def _rows(text: str) -> list[str]:
    return [row for row in text.split("\n") if row.strip()]


LAYOUTS = {
    "one line": lambda text: " ".join(_rows(text)),
    "full stops": lambda text: ". ".join(row.rstrip(".") for row in _rows(text)) + ".",
    "commas": lambda text: ", ".join(row.rstrip(".") for row in _rows(text)),
    "semicolons": lambda text: "; ".join(_rows(text)),
    "blank lines": lambda text: "\n\n".join(_rows(text)),
    "windows": lambda text: text.replace("\n", "\r\n"),
    "bold labels": lambda text: re.sub(r"(?m)^([^:\n]+):", r"**\1:**", text),
    "bold labels, colon outside": lambda text: re.sub(r"(?m)^([^:\n]+):", r"**\1**:", text),
    "bold values": lambda text: re.sub(r"(?m): ([^\n]+)$", r": **\1**", text),
    "bullets": lambda text: "\n".join(f"- {row}" for row in _rows(text)),
    "numbers": lambda text: "\n".join(f"{n}. {row}" for n, row in enumerate(_rows(text), 1)),
    "equals": lambda text: re.sub(r"(?m)^([A-Z][\w -]+): (?=[\w ]+$)", r"\1 = ", text),
    "is": lambda text: re.sub(r"(?m)^([A-Z][\w -]+): (?=[\w ]+$)", r"\1 is ", text),
    "quoted values": lambda text: re.sub(r"(?m)^([A-Z][\w -]+): ([\w ]+)$", r"\1: '\2'", text),
    "code": lambda text: re.sub(r"(?m)^([A-Z][\w -]+): ([\w ]+)$", r"`\1`: `\2`", text),
    "lower case": str.lower,
    "upper case": str.upper,
    "with talk": lambda text: f"Okay, I looked. This is what it says: {text} Does that help?",
    "quoted": lambda text: f'It says: "{text}"',
    "non-breaking spaces": lambda text: text.replace(" ", "\u00a0"),
}
VERBATIM = {"permissions"}  # a frozenset, whose names are lower case anyway


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_changes_no_fact(layout):
    for result in RESULTS:
        assert dict(read(LAYOUTS[layout](result))) == dict(read(result)), LAYOUTS[layout](result)


@given(
    st.sampled_from([r for r in RESULTS if r.count("\n") > 1]),
    st.randoms(),
    st.sampled_from(sorted(LAYOUTS)),
)
@settings(max_examples=150, deadline=None)
def test_the_order_of_values_changes_no_fact(result, random, layout):
    rows = _rows(result)
    random.shuffle(rows)
    assert dict(read(LAYOUTS[layout]("\n".join(rows)))) == dict(read(result))


def test_results_say_what_they_did_when_each_was_on_its_own_line():
    seen = read("Airplane Mode: OFF\nSIM Card Status: active\nCellular Connection: no_service\n"
                "Cellular Signal: none\nCellular Network Type: none\nMobile Data Enabled: No\n"
                "Data Roaming Enabled: Yes\nWi-Fi Radio: OFF\nWi-Fi Connected: No")  # fmt: skip
    assert dict(seen) == {
        "airplane": False, "sim": "active", "connected": False, "network_type": "NONE",
        "mobile_data": False, "roaming": True, "wifi": False,
    }  # fmt: skip


# As a language model says it: label words × position words.
SWITCHES = {
    "airplane": ["Airplane mode", "flight mode", "The Airplane Mode setting"],
    "mobile_data": ["Mobile data", "my mobile data", "cellular data"],
    "roaming": ["Data roaming", "Roaming"],
    "data_saver": ["Data Saver", "Data Saver mode", "the data saver"],
    "wifi_calling": ["Wi-Fi Calling", "WiFi calling"],
    "vpn": ["My VPN", "The VPN"],
}
ON = [
    "is on",
    "is turned on",
    "is currently ON",
    "is enabled",
    "shows as on",
    ": on",
    "is now active",
]
OFF = [
    "is off",
    "is turned off",
    "is currently OFF",
    "is disabled",
    "says off",
    ": OFF",
    "is not on",
]


@pytest.mark.parametrize("fact", SWITCHES)
def test_switches_in_other_words(fact):
    for label in SWITCHES[fact]:
        for words, seen in [(word, True) for word in ON] + [(word, False) for word in OFF]:
            for text in (f"{label} {words}.", f"I checked: {label.lower()} {words}, that's all."):
                assert read(text).get(fact) is seen, text


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        (
            "The APN name is set to 'internet' and the MMSC URL is not set.",
            {"apn": "internet", "mmsc": False},
        ),
        ("It shows the APN as internet. MMSC URL: Not Set", {"apn": "internet", "mmsc": False}),
        (
            "**Current APN Name:** internet **MMSC URL (for picture messages):** Not Set",
            {"apn": "internet", "mmsc": False},
        ),
        (
            "MMSC URL (for picture messages): http://mms.carrier.com/mms/wapenc. APN Name: broken.",
            {"apn": "broken", "mmsc": True},
        ),
        (
            "My APN is called internet, but there is no MMSC URL.",
            {"apn": "internet", "mmsc": False},
        ),
        ("The MMSC field is empty.", {"mmsc": False}),
        ("MMSC is missing, apn name: internet", {"apn": "internet", "mmsc": False}),
        ("My SIM card is locked with a PIN.", {"sim": "locked"}),
        ("It says no SIM card.", {"sim": "missing"}),
        ("The SIM isn't there: SIM card not detected.", {"sim": "missing"}),
        ("The messaging app has SMS permission but not storage.", {"permissions": {"sms"}}),
        ("Permissions: SMS and storage.", {"permissions": {"sms", "storage"}}),
        ("It has access to sms, storage and phone.", {"permissions": {"sms", "storage", "phone"}}),
        ("The storage permission is off, the SMS permission is on.", {"permissions": {"sms"}}),
        ("It has no permissions.", {"permissions": set()}),
        ("The speed test shows 275 Mbps, which is excellent.", {"speed": "excellent"}),
        ("Speed: 12.5 Mbps - Poor", {"speed": "poor"}),
        ("I still can't send MMS.", {"mms": False}),
        ("Yes! I can now send MMS messages.", {"mms": True}),
        ("I am not using a VPN.", {"vpn": False}),
        (
            "The VPN is connected, and its server performance is poor.",
            {"vpn": True, "vpn_slow": True},
        ),
        ("My preferred network mode is set to 2G only.", {"network_mode": "2g_only"}),
        ("The network mode preference is 4G/5G preferred.", {"network_mode": "4g_5g_preferred"}),
        (
            "My status bar shows excellent signal, 5G and data enabled.",
            {"signal": True, "airplane": False},
        ),
        ("The status bar says no signal.", {"signal": False}),
        ("I see a payment request of 65 USD for bill B1234321.", {"payment_request": "B1234321"}),
        ("I don't see any payment request.", {"payment_request": None}),
        ("The payment of 65 USD went through.", {"paid": "went through"}),
        ("Payment of 65.0 USD has been made for bill B1234321.", {"paid": "made"}),
        ("- APN name \u2192 internet\n- MMSC \u2192 (empty)", {"apn": "internet", "mmsc": False}),
        ("APN is 'internet'; there's no MMSC URL configured.", {"apn": "internet", "mmsc": False}),
        ("My phone isn't in airplane mode.", {"airplane": False}),
        ("The phone is in flight mode.", {"airplane": True}),
        ("I took it out of airplane mode.", {"airplane": False}),
        ("I'm connected to a VPN.", {"vpn": True}),
        ("I'm not connected to a VPN.", {"vpn": False}),
        ("Permissions: SMS \u2705, Storage \u274c", {"permissions": {"sms"}}),
        ("Permissions:\n\u2705 SMS\n\u274c Storage", {"permissions": {"sms"}}),
        ("Permissions: \u274c SMS \u2705 Storage", {"permissions": {"storage"}}),
        ("No payment request has been made.", {"paid": None, "payment_request": None}),
    ],
)
def test_a_language_models_words(text, facts):
    seen = read(text)
    assert {name: seen.get(name) for name in facts} == facts


@pytest.mark.parametrize(
    "text",
    [
        "Okay, I will do that. What should I do next?",
        "I am unable to reach anybody.",
        "APN settings will reset at reboot.",
        "Should I turn on airplane mode?",
        "What is an APN?",
        "I don't know what a MMSC is.",
    ],
)
def test_what_says_nothing_yields_nothing(text):
    assert not {"airplane", "apn", "sim", "connected"} & set(read(text))
