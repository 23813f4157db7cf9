"""Which of a task's gold actions were carried out, stricter than tau2's `action_match`.

tau2 compares names and arguments only: a call by the wrong side counts, a failed call counts, and
empty arguments match anything. Here an action is carried out if

1. a call was made by the right side, with the right arguments, and did not fail,
2. no other gold action needs that same call, and
3. what the call is for still holds when the episode ends. Switching a fault off and on again, or
   "paying" before there is anything to pay, does no work.

Only tools that appear as gold actions in telecom have a rule of the third kind; any other action
counts by the first two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tau2.data_model.message import Message, MultiToolMessage, ToolCall
from tau2.data_model.tasks import Action
from tau2.domains.telecom.data_model import BillStatus, LineStatus
from tau2.domains.telecom.environment import TelecomEnvironment
from tau2.domains.telecom.user_data_model import APNNames, NetworkStatus


class ExecutedCall(NamedTuple):
    """A tool call, the side that made it (by its message, not its own word), and how it went.

    `message` is the place of the message that made it.
    """

    call: ToolCall
    requestor: str
    error: bool
    message: int = 0


def executed_calls(messages: Sequence[Message]) -> list[ExecutedCall]:
    """Pair calls with their results by position; ids may repeat, since models write them.

    A call without its result (the episode broke off) counts as failed.
    """
    calls: list[ExecutedCall] = []
    waiting: list[ToolCall] = []
    side, made = "", 0
    for place, message in enumerate(messages):
        role = message.role  # isinstance is slow on pydantic models
        if role == "tool":
            multiple = type(message) is MultiToolMessage
            for result in message.tool_messages if multiple else (message,):
                if waiting:
                    call = waiting.pop(0)
                    failed = result.error or result.id != call.id or result.requestor != side
                    calls.append(ExecutedCall(call, side, failed, made))
        elif role != "system":
            calls += [ExecutedCall(call, side, True, made) for call in waiting]
            waiting, side, made = list(message.tool_calls or ()), role, place
    return calls + [ExecutedCall(call, side, True, made) for call in waiting]


def carried_out(
    gold: Sequence[Action], calls: Sequence[ExecutedCall], environment: TelecomEnvironment
) -> list[bool]:
    """Tell for each gold action whether it was carried out. `environment` is the final state."""
    return [
        place is not None and _in_effect(action, gold, environment)
        for action, place in zip(gold, matching_calls(gold, calls), strict=True)
    ]


def matching_calls(gold: Sequence[Action], calls: Sequence[ExecutedCall]) -> list[int | None]:
    """For each gold action the place in `calls` of the call that is its own, None without one."""
    by_name: dict[str, list[int]] = {}
    for place, executed in enumerate(calls):
        if not executed.error:
            by_name.setdefault(executed.call.name, []).append(place)
    candidates = [
        [place for place in by_name.get(action.name, ()) if _same(action, calls[place])]
        for action in gold
    ]
    return _match(candidates)


def _same(action: Action, executed: ExecutedCall) -> bool:
    arguments = executed.call.arguments
    if action.requestor != executed.requestor:
        return False
    if action.compare_args is None:
        return arguments == action.arguments
    absent = object()
    return all(
        arguments.get(name, absent) == action.arguments.get(name, absent)
        for name in action.compare_args
    )


def _match(candidates: list[list[int]]) -> list[int | None]:
    """Give as many actions as possible a call of their own (augmenting paths, Kuhn 1955)."""
    owner: dict[int, int] = {}

    def assign(action: int, seen: set[int]) -> bool:
        for place in candidates[action]:
            if place not in seen:
                seen.add(place)
                if place not in owner or assign(owner[place], seen):
                    owner[place] = action
                    return True
        return False

    for action in range(len(candidates)):
        assign(action, set())
    owned = {action: place for place, action in owner.items()}
    return [owned.get(action) for action in range(len(candidates))]


def _in_effect(action: Action, gold: Sequence[Action], environment: TelecomEnvironment) -> bool:
    rule = _RULES.get((action.requestor, action.name))
    try:
        return rule is None or rule(environment, action.arguments, gold)
    except Exception:  # a malformed call left the phone or a line in no valid state
        return False


def _line(environment: TelecomEnvironment, arguments: dict[str, Any]) -> Any:
    return environment.tools._get_line_by_id(arguments["line_id"])


def _bill_status(environment: TelecomEnvironment, arguments: dict[str, Any]) -> BillStatus:
    return environment.tools._get_bill_by_id(arguments["bill_id"]).status


def _apn_is_sound(environment: TelecomEnvironment) -> bool:
    apn = environment.user_tools.device.active_apn_settings
    return apn.apn_name != APNNames.BROKEN and apn.mmsc_url is not None


def _refuelled(environment: TelecomEnvironment, arguments: dict[str, Any], _: Any) -> bool:
    amount = _line(environment, arguments).data_refueling_gb
    return abs(amount - arguments["gb_amount"]) < 1e-6  # tau2's own tolerance


def _paid(environment: TelecomEnvironment, _: Any, gold: Sequence[Action]) -> bool:
    """The payment went to the bill that the task is about."""
    requests = [action for action in gold if action.name == "send_payment_request"]
    return all(_bill_status(environment, r.arguments) == BillStatus.PAID for r in requests)


def _granted(environment: TelecomEnvironment, arguments: dict[str, Any], _: Any) -> bool:
    app = environment.user_tools.device.app_statuses.get(arguments["app_name"])
    return app is not None and getattr(app.permissions, arguments["permission"]) is True


def _apn_reset(environment: TelecomEnvironment, *_: Any) -> bool:
    apn = environment.user_tools.device.active_apn_settings
    return apn.reset_at_reboot or _apn_is_sound(environment)


def _rebooted(environment: TelecomEnvironment, _: Any, gold: Sequence[Action]) -> bool:
    """A reboot is for a pending APN reset or for a resumed line: it came after what it is for."""
    device = environment.user_tools.device
    names = {action.name for action in gold}
    if "reset_apn_settings" in names and (
        device.active_apn_settings.reset_at_reboot or not _apn_is_sound(environment)
    ):
        return False
    return "resume_line" not in names or device.network_connection_status == NetworkStatus.CONNECTED


# (requestor, tool) -> rule(final environment, gold arguments, all gold actions of the task).
# Every toggle among the gold actions repairs a switch, so its right end is always the same.
_Rule = Callable[[TelecomEnvironment, dict[str, Any], Sequence[Action]], bool]
_RULES: dict[tuple[str, str], _Rule] = {
    ("assistant", "enable_roaming"): lambda env, args, _: _line(env, args).roaming_enabled,
    ("assistant", "resume_line"): lambda env, args, _: _line(env, args).status == LineStatus.ACTIVE,
    ("assistant", "refuel_data"): _refuelled,
    ("assistant", "send_payment_request"): lambda env, args, _: (
        _bill_status(env, args) in (BillStatus.AWAITING_PAYMENT, BillStatus.PAID)
    ),
    ("user", "make_payment"): _paid,
    ("user", "toggle_airplane_mode"): lambda env, *_: not env.user_tools.device.airplane_mode,
    ("user", "toggle_data"): lambda env, *_: env.user_tools.device.data_enabled,
    ("user", "toggle_roaming"): lambda env, *_: env.user_tools.device.roaming_enabled,
    ("user", "toggle_data_saver_mode"): lambda env, *_: not env.user_tools.device.data_saver_mode,
    ("user", "toggle_wifi_calling"): lambda env, *_: not env.user_tools.device.wifi_calling_enabled,
    ("user", "disconnect_vpn"): lambda env, *_: not env.user_tools.device.vpn_connected,
    ("user", "set_network_mode_preference"): lambda env, args, _: (
        env.user_tools.device.network_mode_preference == args["mode"]
    ),
    ("user", "grant_app_permission"): _granted,
    ("user", "reseat_sim_card"): lambda env, *_: not env.user_tools.device.sim_card_missing,
    ("user", "reset_apn_settings"): _apn_reset,
    ("user", "reboot_device"): _rebooted,
}
