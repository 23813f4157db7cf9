"""What a text says about the phone: facts read off the results of the user's tools.

Tool results reach the agent verbatim in the user's words, so the user (memory of the own
phone) and the teacher (diagnosis) read them with the same patterns. Texts in other words yield no
facts; nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

_ON = frozenset({"on", "yes"})


def _switch(text: str) -> bool:
    return text.lower() in _ON


def _sim(text: str) -> str:
    text = text.lower()
    if text.startswith("locked"):
        return "locked"
    return "missing" if text.startswith("no sim") else text.split()[0]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


# Fact, pattern with one group, and how the group becomes a value. Later patterns win.
_PATTERNS: tuple[tuple[str, re.Pattern[str], Any], ...] = tuple(
    (fact, re.compile(pattern, re.IGNORECASE), value)
    for fact, pattern, value in (
        ("airplane", r"Airplane Mode(?::| is now) (ON|OFF)", _switch),
        ("sim", r"SIM Card Status: (active|missing|locked)", _sim),
        ("sim", r"SIM card is (active|locked)", _sim),
        ("sim", r"(No SIM card) detected", _sim),
        ("connected", r"Cellular Connection: (\w+)", lambda text: text.lower() == "connected"),
        ("network_type", r"Cellular Network Type: (\w+)", str.upper),
        ("mobile_data", r"Mobile Data(?: Enabled:| is now) (ON|OFF|Yes|No)\b", _switch),
        ("roaming", r"Data Roaming(?: Enabled:| is now) (ON|OFF|Yes|No)\b", _switch),
        ("data_saver", r"Data Saver mode is (?:now )?(ON|OFF)", _switch),
        ("wifi", r"Wi-Fi(?: Radio:| is(?: now| turned)?) (ON|OFF)", _switch),
        ("wifi_calling", r"Wi-Fi Calling is (?:now|currently turned) (ON|OFF)", _switch),
        ("vpn", r"VPN is (?:turned )?(ON and|OFF)", lambda text: text.lower() != "off"),
        ("vpn", r"(VPN (?:already )?connected|VPN disconnected|No active VPN)", str.lower),
        ("vpn_slow", r"'server_performance': .*?'(\w+)'", lambda text: text == "poor"),
        ("apn", r"Current APN Name: ([^\n]+)", lambda text: text.strip().lower()),
        ("mmsc", r"MMSC URL[^:\n]*: ([^\n]+)", lambda text: text.strip().lower() != "not set"),
        ("network_mode", r"Network Mode(?: Preference:| set to:) (\w+)", str.lower),
        ("permissions", r"permission for: ([^.]+)\.", lambda text: frozenset(text.split(", "))),
        ("permissions", r"(no permissions granted|Permissions: None)", lambda _: frozenset()),
        (
            "permissions",
            r"Permissions Granted:((?:\n\s+- \w+)+)",
            lambda text: frozenset(_words(text)),
        ),
        ("speed", r"Speed Test Result: [\d.]+ Mbps \(([^)]+)\)", str.lower),
        ("speed", r"Speed test failed: ([^.\n]+)", str.lower),
        ("mms", r"messaging app (can|cannot) send MMS", lambda text: text.lower() == "can"),
        ("payment_request", r"payment request for bill (\w+)", str),
        ("payment_request", r"(No payment request|do not have a payment request)", lambda _: None),
        ("paid", r"Payment of [\d.]+ USD has been made for bill (\w+)", str),
    )
)
_STATUS_BAR = re.compile(r"Status Bar: ([^\n]+)")


@lru_cache(maxsize=4096)
def read(text: str) -> Mapping[str, Any]:
    """Facts by name; only what the text says. Shared: read-only.

    Switches (`airplane`, `mobile_data`, `roaming`, `data_saver`, `wifi`, `wifi_calling`, `vpn`)
    are booleans, True for on. `signal` is what the status bar shows. Others: `sim` (active,
    missing, locked), `connected`, `network_type`, `vpn_slow`, `apn`, `mmsc` (is set),
    `network_mode`, `permissions`, `speed`, `mms` (can send), `payment_request`, `paid`.
    """
    facts: dict[str, Any] = {}
    for bar in _STATUS_BAR.findall(text):
        facts["airplane"] = "Airplane Mode" in bar
        facts["vpn"] = "VPN Connected" in bar
        facts["signal"] = not facts["airplane"] and "No Signal" not in bar and "📶" in bar
        if "Data Enabled" in bar:
            facts["mobile_data"] = True
            facts["data_saver"] = "Data Saver" in bar
    for fact, pattern, value in _PATTERNS:
        for found in pattern.findall(text):
            facts[fact] = value(found)
    if isinstance(facts.get("vpn"), str):
        facts["vpn"] = facts["vpn"].endswith("vpn connected") or "already" in facts["vpn"]
    return MappingProxyType(facts)
