"""What a request asks for, in the user's own words: "restart my phone and turn off Wi-Fi".

The user asks with them whether that is meant, where the request is plain and something beside it
is not (`user.py`).
"""

from __future__ import annotations

from tau2_agent.users.scripted.request import Request

SWITCHES = {
    "airplane": "Airplane Mode", "mobile_data": "Mobile Data", "roaming": "Data Roaming",
    "data_saver": "Data Saver Mode", "wifi": "Wi-Fi", "wifi_calling": "Wi-Fi Calling",
}  # fmt: skip
_DEEDS = {
    "reboot_device": "restart my phone",
    "reseat_sim_card": "take my SIM card out and put it back in",
    "reset_apn_settings": "reset my APN settings",
    "connect_vpn": "connect to my VPN",
    "disconnect_vpn": "disconnect my VPN",
    "make_payment": "pay the bill",
    "set_network_mode_preference": "set my network mode to {mode}",
    "grant_app_permission": "give the {app_name} app the {permission} permission",
}
_THROWN = {True: "turn on", False: "turn off", None: "toggle"}


def in_own_words(requests: list[Request]) -> str:
    """What the requests that press something ask for; those that only look are left out."""
    deeds = dict.fromkeys(_deed(request) for request in requests if not request.reads)
    return " and then ".join(deeds)


def _deed(request: Request) -> str:
    if request.tool in _DEEDS:
        deed = _DEEDS[request.tool].format(**dict(request.arguments))
    else:
        deed = f"{_THROWN[request.want]} {SWITCHES[request.fact]}"
    return f"{deed} if that is needed" if request.guard else deed
