"""The scripted teacher: solves telecom tasks by the book, in few and constant sentences.

It sees the user's text and the results of its own tools, never the task or the database. The
script below follows main_policy.md and tech_support_manual.md: identify the customer, look at the
line, look at the phone, repair one thing at a time, look again; transfer only a locked SIM, an
ended contract, or what is left when everything was tried.

Its conversations are what small models are trained on, so each decision can be made from the last
few messages, and after every repair of the network comes the same look. Left out on purpose:
variety, small talk, plan changes.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

from tau2.data_model.message import AssistantMessage, Message, ToolCall

from tau2_agent.benchmark import tool_outputs as handset
from tau2_agent.rollout.trajectory import TokenRecord
from tau2_agent.teachers import answers

TODAY = "2025-02-25"  # main_policy.md: "The current time is 2025-02-25 12:08:00 EST."
MOST_GB = 2.0  # main_policy.md: the most that can be refuelled
TRANSFER_TEXT = "YOU ARE BEING TRANSFERRED TO A HUMAN AGENT. PLEASE HOLD ON."
LOOKS_AT_NETWORK = 9  # five repairs are possible; twice that means going round in circles
TRIES = 3

# A step of the script yields a sentence or a tool call, and is sent the answer to it.
Step = Generator[AssistantMessage, str, Any]


class ScriptedTeacher:
    """One episode's agent. Make a new one for each episode."""

    tokens: TokenRecord | None = None

    def __init__(self) -> None:
        self._calls = 0
        self._script: Step | None = None

    async def act(self, new: list[Message]) -> AssistantMessage:
        """See `episode.Agent.act`."""
        answer = new[-1].content or ""
        if self._script is None:
            self._script = self._support(answer)
            return next(self._script)
        return self._script.send(answer)

    # --- The script ---
    def _support(self, reason: str) -> Step:
        helpless = yield from self._solve(answers.issue_of(reason))
        yield from self._call("transfer_to_human_agents", summary=helpless)
        while True:
            yield _say(TRANSFER_TEXT)

    def _solve(self, issue: str) -> Step:
        """Everything short of a transfer; comes back only with the reason for one."""
        customer = yield from self._identify()
        line = yield from self._line_of(customer)
        if line is None:
            return "The customer could not be identified."
        abroad = False
        if issue == "service":
            if helpless := (yield from self._lift_suspension(customer, line)):
                return helpless
        else:
            abroad = yield from self._allow_data(customer, line)
        if helpless := (yield from self._repair_network(issue, abroad)):
            return helpless
        if issue == "service":
            yield from self._ask("Please check your status bar.", "signal")
        elif issue == "data":
            yield from self._repair_speed()
        else:
            yield from self._repair_mms()
        return "I cannot fix the issue."

    def _identify(self) -> Step:
        for _ in range(TRIES):
            answer = yield _say("What is your phone number?")
            if number := answers.phone_number(answer):
                customer = yield from self._call("get_customer_by_phone", phone_number=number)
                if isinstance(customer, dict):
                    return customer | {"given_number": number}
        return {}

    def _line_of(self, customer: dict[str, Any]) -> Step:
        """The line of the number that the customer gave."""
        for line_id in customer.get("line_ids", []):
            line = yield from self._call("get_details_by_id", id=line_id)
            if isinstance(line, dict) and line["phone_number"] == customer["given_number"]:
                return line
        return None

    def _lift_suspension(self, customer: dict[str, Any], line: dict[str, Any]) -> Step:
        """Let the overdue bills be paid and resume the line; why that is not allowed, else None."""
        if line["status"] != "Suspended":
            return None
        if line["contract_end_date"] < TODAY:
            return "The contract of the line has ended."
        customer_id = customer["customer_id"]
        bills = yield from self._call("get_bills_for_customer", customer_id=customer_id)
        for bill in bills:
            if bill["status"] == "Overdue":
                bill_id = bill["bill_id"]
                yield from self._call(
                    "send_payment_request", customer_id=customer_id, bill_id=bill_id
                )
                yield from self._ask("Please check your payment request.", "payment_request")
                yield from self._ask("Please pay the bill.", "paid")
                bill = yield from self._call("get_details_by_id", id=bill_id)
                if bill["status"] != "Paid":
                    return "The overdue bill is not paid."
        yield from self._call("resume_line", customer_id=customer_id, line_id=line["line_id"])
        yield from self._ask("Please restart your phone.", "signal")
        return None

    def _allow_data(self, customer: dict[str, Any], line: dict[str, Any]) -> Step:
        """Roaming and data volume of the line. Returns whether the customer is abroad."""
        ids = {"customer_id": customer["customer_id"], "line_id": line["line_id"]}
        answer = yield _say("Are you currently abroad?")
        abroad = answers.is_abroad(answer)
        if abroad and not line["roaming_enabled"]:
            yield from self._call("enable_roaming", **ids)
        usage = yield from self._call("get_data_usage", **ids)
        used, limit, added = (
            float(usage[key]) for key in ("data_used_gb", "data_limit_gb", "data_refueling_gb")
        )
        if used >= limit + added:
            answer = yield _say("You have used all your data. How much data do you want to refuel?")
            if wanted := answers.gigabytes(answer):
                amount = min(wanted, MOST_GB)
                plan = yield from self._call("get_details_by_id", id=line["plan_id"])
                price = amount * plan["data_refueling_price_per_gb"]
                answer = yield _say(f"{amount} GB of data cost {price} USD. Do you agree?")
                if answers.agrees(answer):
                    yield from self._call("refuel_data", **ids, gb_amount=amount)
        return abroad

    def _repair_network(self, issue: str, abroad: bool) -> Step:
        """Look and repair until the network is fine; why it cannot be, else None."""
        for _ in range(LOOKS_AT_NETWORK):
            seen = yield from self._ask("Please check your network status.", "connected")
            if seen.get("airplane"):
                yield from self._ask("Please turn off airplane mode.", "airplane")
            elif seen.get("sim") == "missing":
                yield from self._ask("Please remove and reinsert your SIM card.", "signal")
            elif seen.get("sim") == "locked":
                return "The SIM card is locked."
            elif not seen.get("connected", True):
                apn = yield from self._ask("Please check your APN settings.", "apn")
                if apn.get("apn") == "internet":
                    return None
                yield from self._reset_apn()
            elif issue == "service":
                return None
            elif not seen.get("mobile_data", True):
                yield from self._ask("Please turn on mobile data.", "mobile_data")
            elif abroad and not seen.get("roaming", True):
                yield from self._ask("Please turn on data roaming.", "roaming")
            elif seen.get("network_type") in ("2G", "3G"):
                yield from self._ask(
                    "Please set your preferred network mode to 4G/5G.", "network_mode"
                )
            else:
                return None
        return None

    def _repair_speed(self) -> Step:
        seen = yield from self._ask("Please check if data saver is on.", "data_saver")
        if seen.get("data_saver"):
            yield from self._ask("Please turn off data saver.", "data_saver")
        seen = yield from self._ask("Please check your VPN status.", "vpn")
        if seen.get("vpn_slow"):
            yield from self._ask("Please disconnect your VPN.", "vpn")
        yield from self._ask("Please run a speed test.", "speed")

    def _repair_mms(self) -> Step:
        seen = yield from self._ask("Please check your APN settings.", "apn")
        if not seen.get("mmsc", True):
            yield from self._reset_apn()
        seen = yield from self._ask("Please check your Wi-Fi calling status.", "wifi_calling")
        if seen.get("wifi_calling"):
            yield from self._ask("Please turn off Wi-Fi calling.", "wifi_calling")
        seen = yield from self._ask(
            "Please check the permissions of your messaging app.", "permissions"
        )
        for permission, shown in (("storage", "storage"), ("sms", "SMS")):
            if permission not in seen.get("permissions", (permission,)):
                yield from self._ask(
                    f"Please grant the {shown} permission to your messaging app.", "signal"
                )
        yield from self._ask("Please check if you can send an MMS.", "mms")

    def _reset_apn(self) -> Step:
        yield from self._ask("Please reset your APN settings.", "signal")
        yield from self._ask("Please restart your phone.", "signal")

    # --- Its means ---
    def _ask(self, sentence: str, fact: str) -> Step:
        """Say it until the answer shows the fact; returns the facts of the answer."""
        text = sentence
        for _ in range(TRIES):
            answer = yield _say(text)
            seen = handset.read(answer)
            if fact in seen:
                break
            worried = answers.worries_about_photos(answer)
            text = f"No, you will not lose your photos. {sentence}" if worried else sentence
        return seen

    def _call(self, name: str, **arguments: Any) -> Step:
        """Call a tool of the agent's; returns its result, parsed where it is JSON."""
        self._calls += 1
        call = ToolCall(
            id=f"call_{self._calls}", name=name, arguments=arguments, requestor="assistant"
        )
        result = yield AssistantMessage(role="assistant", content=None, tool_calls=[call])
        try:
            return json.loads(result)
        except ValueError:
            return result


def _say(text: str) -> AssistantMessage:
    return AssistantMessage(role="assistant", content=text)
