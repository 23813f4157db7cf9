"""What the scripted user has seen of the phone, and where it looks for what it has not."""

from __future__ import annotations

from typing import Any

from tau2_agent.benchmark import tool_outputs
from tau2_agent.users.scripted.lexicon import TOGGLES
from tau2_agent.users.scripted.request import AGREES, LACKS, Request
from tau2_agent.users.scripted.scenario import Scenario

# Where the user looks to learn a fact.
_LOOKS: dict[str, str] = {
    "airplane": "check_network_status",
    "mobile_data": "check_network_status",
    "roaming": "check_network_status",
    "old_mode": "check_network_mode_preference",
    "data_saver": "check_data_restriction_status",
    "wifi": "check_wifi_status",
    "wifi_calling": "check_wifi_calling_status",
    "vpn": "check_vpn_status",
    "sim": "check_sim_status",
    "signal": "check_status_bar",
    "apn_ok": "check_apn_settings",
    "payment_request": "check_payment_request",
}


class SeenPhone:
    """Facts of `tool_outputs.read`, as results of the user's own tools showed them."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.facts: dict[str, Any] = {}

    def look_before(self, request: Request) -> tuple[str, dict[str, Any]] | None:
        """The tool and its arguments that show whether the request applies, if nobody knows yet."""
        if request.guard and request.guard[0] == LACKS and "permissions" not in self.facts:
            app = dict(request.arguments).get("app_name", "messaging")
            return "check_app_permissions", {"app_name": app}
        if request.tool == "disconnect_vpn" and "vpn" not in self.facts:
            return _LOOKS["vpn"], {}
        for fact in ([request.guard[0]] if request.guard else []) + (
            [request.fact] if request.want is not None else []
        ):
            if fact in _LOOKS and fact not in self.facts:
                return _LOOKS[fact], {}
        return None

    def holds(self, request: Request) -> bool:
        """Whether the condition of a request is met, as far as the user has seen."""
        if request.tool == "disconnect_vpn" and not self.facts.get("vpn", True):
            return False  # there is none
        if not request.guard:
            return True
        fact, value = request.guard
        if fact == AGREES:
            return request.tool != "make_payment" or self.scenario.pays_bills
        if fact == LACKS:
            return dict(request.arguments).get("permission") not in self.facts["permissions"]
        if fact == "abroad":
            return ("abroad" in (self.scenario.location or "")) == value
        seen = self.facts.get(fact)
        return bool(seen) == value if isinstance(value, bool) else seen == value

    def remember(self, tool: str, text: str) -> None:
        """Take in the result of a tool."""
        seen = tool_outputs.read(text)
        if tool in TOGGLES.values() and "airplane" in tool:
            for fact in ("wifi", "vpn"):  # airplane mode takes them along
                self.facts.pop(fact, None)
        self.facts.update(seen)
        if "apn" in seen:
            self.facts["apn_ok"] = seen["apn"] == "internet" and seen["mmsc"]
        if "network_mode" in seen:
            self.facts["old_mode"] = seen["network_mode"] in ("2g_only", "3g_only")
        if tool in ("reboot_device", "set_apn_settings"):
            self.facts.pop("apn_ok", None)
        if tool == "make_payment":
            self.facts.pop("payment_request", None)
        if tool == "grant_app_permission":
            self.facts.pop("permissions", None)

    def forget_the_agents_side(self) -> None:
        """What may have changed without the user while the agent had its turn."""
        self.facts.pop("payment_request", None)
