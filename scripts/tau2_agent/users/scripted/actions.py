"""From the words of a request to the user's tools: a verb, the things it governs, a position.

A clause comes in that is known to be a request; requests come out, or None when its words name no
action that the phone has. See `understanding.py` for what makes a clause a request.
"""

from __future__ import annotations

import ast
import re
from itertools import islice
from typing import Any

from tau2_agent.syntax import NO_VALUE, expression_tree
from tau2_agent.users.scripted import grammar
from tau2_agent.users.scripted.certainty import about_nothing_else, certain, certain_call
from tau2_agent.users.scripted.harmless import without_asides
from tau2_agent.users.scripted.lexicon import CHECKS, PERMISSIONS, TOGGLES, TOOL_TOPICS, VERB_WORDS
from tau2_agent.users.scripted.request import Request
from tau2_agent.users.scripted.things import (
    Thing,
    app,
    before,
    governed,
    mode,
    state,
    things_in,
)
from tau2_agent.users.scripted.word_classes import letters

MOST_TOOLS = 16  # of one clause; more than any user does at once
_APP_LOOKS = ("check_app_status", "check_app_permissions")


def asked_for(text: str, context: str) -> list[Request] | None:
    """Requests of a request clause; [] for ways through menus; None when nothing fits.

    `context` is the topic that "it" means.
    """
    text = without_asides(text)
    if tools := tool_requests(text):
        presses = any(not request.reads for request in tools)
        topics = {request.topic for request in tools}
        sure = certain_call(text) and about_nothing_else(text, topics)
        return tools if not presses or sure else None
    verbs = list(VERB_WORDS.finditer(text))
    for verb in verbs:
        if verb.lastgroup != "nav":
            if len(named := {thing.topic for thing in things_in(text[: verb.start()])}) == 1:
                context = named.pop()  # "tap the airplane icon to turn it off"
            found = _ACTIONS[verb.lastgroup](text, verb, context)
            topics = {request.topic for request in found or () if not request.reads}
            sure = not topics or (
                certain(text, verb) and about_nothing_else(text[verb.end() :], topics)
            )
            return found if sure else None
    things = things_in(text)
    if looks := [thing for thing in things if thing.topic in ("speed", "mms")]:
        return _looks(looks, text)
    if re.match(r"(?:leave|keep)\b", text):
        return []
    if verbs and (things or re.search(r"\bsettings?\b|\bmenu\b", text)):
        return []
    return [] if grammar.COURTESY.search(text) else None


# --- Tools by name ---
def tool_requests(text: str) -> list[Request]:
    """Requests for tools that a text calls by name."""
    found: list[Request] = []
    for match in islice(grammar.TOOL.finditer(text), MOST_TOOLS):
        tool, after = match.group(), text[match.end() :]
        given = _arguments(after)
        topic = TOOL_TOPICS[tool]
        if tool in TOGGLES.values():
            found.append(Request(tool, topic=topic))  # its position: `certainty.goal`
        elif tool == "grant_app_permission":
            found += _grants(after, given)
        elif tool == "set_network_mode_preference":
            if wanted := given.get("mode") or given.get("0") or mode(after):
                found.append(Request(tool, (("mode", wanted),), topic))
        elif tool in _APP_LOOKS:
            named = given.get("app_name") or given.get("0") or app(text)
            found.append(Request(tool, (("app_name", named),), topic))
        elif tool != "set_apn_settings":  # nobody can know what to set
            found.append(Request(tool, topic=topic))
    return found


def _arguments(text: str) -> dict[str, str]:
    """Arguments of a call that a text spells out: `(mode="4g_only")`. Positions are digits."""
    call = re.match(r"\s*(\([^()]*\))", text)
    if not call:
        return {}
    try:
        tree = expression_tree(f"f{call.group(1)}")
        assert isinstance(tree, ast.Call)
        given: dict[str, Any] = {str(n): ast.literal_eval(arg) for n, arg in enumerate(tree.args)}
        given |= {str(word.arg): ast.literal_eval(word.value) for word in tree.keywords}
    except NO_VALUE:
        return {}  # prose in brackets
    return {name: value for name, value in given.items() if isinstance(value, str)}


# --- Looks ---
def check_requests(text: str, context: str, detail: bool) -> list[Request]:
    """Looks that answer a question about things; "it" is the context."""
    things = [thing for thing in things_in(text) if thing.topic in CHECKS]
    if not things and context in CHECKS and grammar.PRONOUN.search(text):
        return [_look(context, text, detail=True)]
    return _looks([thing for thing in things if thing.topic != "data"] or things, text, detail)


def _looks(things: list[Thing], text: str, detail: bool = False) -> list[Request]:
    return [
        _look(thing.topic, text, (detail or place > 0) and not thing.explicit)
        for place, thing in enumerate(things)
    ]


def _look(topic: str, text: str, detail: bool) -> Request:
    tool = CHECKS[topic]
    if topic in ("mobile_data", "data") and re.search(r"\bwork(?:s|ing)?\b", text):
        tool = "run_speed_test"
    arguments = (("app_name", app(text)),) if tool in _APP_LOOKS else ()
    return Request(tool, arguments, topic, detail=detail)


def _check(text: str, verb: re.Match[str], context: str) -> list[Request] | None:
    glance = bool(grammar.GLANCE.match(verb.group()))
    for words in (before(text, grammar.LOOK_TAIL, verb.end()), text):
        if looks := check_requests(words, context, glance):
            return looks
    return [] if grammar.COURTESY.search(text) else None


def _ensure(text: str, verb: re.Match[str], context: str) -> list[Request] | None:
    allowed = re.search(r"\ballow|\bgrant|\bpermi", text)
    about_permissions = context == "permissions" or re.search(r"permission|messag|\bapp\b", text)
    if allowed and about_permissions and (grants := _grants(text, {})):
        return grants
    if wanted := _mode_request(text, verb, context):
        return wanted
    thrown = switches(text[verb.end() :], context)
    return thrown or check_requests(text, context, detail=False) or None


# --- Switches ---
def _throw(topics: list[str], want: bool | None) -> list[Request]:
    requests = [Request(TOGGLES[t], topic=t, want=want) for t in topics if t in TOGGLES]
    if "vpn" in topics and want is not None:
        requests.append(Request("connect_vpn" if want else "disconnect_vpn", topic="vpn"))
    return requests


def switches(text: str, context: str) -> list[Request]:
    """Switches that a text describes in a position: "Wi-Fi is off and mobile data is enabled"."""
    requests: list[Request] = []
    waiting: list[str] = []
    for part in re.split(r",|\band\b|\bbut\b", text):
        waiting += governed(part, "" if waiting or requests else context)
        want = state(part)
        if want is not None:
            requests += _throw(waiting, want)
            waiting = []
    return requests


def needed(subject: str, wanted: str, context: str) -> list[Request]:
    """ "Mobile data needs to be turned on": a subject, and what must be done to it."""
    topics = governed(subject, context)
    if wanted.startswith("re"):
        repairs = {"sim": "reseat_sim_card", "apn": "reset_apn_settings", "phone": "reboot_device"}
        return [Request(repairs[t], topic=t) for t in topics[:1] if t in repairs]
    return _throw(topics, not grammar.OFF_STATE.search(wanted))


def _turn(text: str, verb: re.Match[str], context: str) -> list[Request] | None:
    """Turn, switch, toggle, enable, disable."""
    if verb.lastgroup != "off" and (wanted := _mode_request(text, verb, context)):
        return wanted
    if verb.lastgroup == "on" and (grants := _grant(text, verb, context)):
        return grants
    phrase = before(text[verb.start() :], grammar.TAIL)
    if grammar.ON_OR_OFF.search(phrase):
        return None
    topics = governed(phrase[len(verb.group()) :], context)
    if _two_positions(phrase[len(verb.group()) :], verb.lastgroup or ""):
        parts = switches(phrase[len(verb.group()) :], "") if verb.lastgroup == "switch" else []
        named = [topic for topic in topics if topic in TOGGLES or topic == "vpn"]
        whole = len(parts) == len(named) > 1 and not grammar.CYCLE.search(phrase)
        if whole or not grammar.CYCLE.search(phrase):
            return parts if whole else None
    cycle = grammar.CYCLE.search(phrase)
    if cycle and cycle[1] != cycle[2]:
        return (_throw(topics, cycle[1] == "on") + _throw(topics, cycle[2] == "on")) or None
    if verb.lastgroup != "switch":
        return _throw(topics, verb.lastgroup == "on") or None
    particle = grammar.PARTICLE.search(phrase)
    if particle:
        return _throw(topics, particle.lastgroup == "on") or None
    return (_throw(topics, None) or None) if verb.group().startswith(("toggl", "flip")) else None


def _two_positions(text: str, verb: str) -> bool:
    """Whether a switch is named on and off: "turn Wi-Fi on and Data Saver off"."""
    named = {found.lastgroup for found in grammar.PARTICLE.finditer(text)}
    return len(named | ({verb} & {"on", "off"})) > 1


def _connect(text: str, verb: re.Match[str], context: str) -> list[Request] | None:
    topics = governed(text[verb.end() :], context)
    return _throw([t for t in topics if t in ("vpn", "wifi")][:1], True) or None


def _disconnect(text: str, verb: re.Match[str], context: str) -> list[Request] | None:
    topics = governed(text[verb.end() :], context)
    return _throw([t for t in topics if t in ("vpn", "wifi", "airplane")][:1], False) or None


# --- Settings ---
def _set(text: str, verb: re.Match[str], context: str) -> list[Request] | None:
    if wanted := _mode_request(text, verb, context):
        return wanted
    if found := switches(before(text, grammar.TAIL, verb.end()), context):
        return found
    menu = grammar.CHOOSES.match(verb.group()) and not set("XINW") & set(
        letters(text[verb.end() :])
    )
    return [] if menu and grammar.A_SCREEN.fullmatch(text, verb.end()) else None


def _mode_request(text: str, verb: re.Match[str], context: str) -> list[Request]:
    rest = grammar.MODE_ENDS.split(text[verb.end() :])[0]
    topics = {thing.topic for thing in things_in(rest)} - {"phone", "internet"}
    wanted = mode(rest)
    if (
        not wanted
        or grammar.NOT_THE_MODE.search(rest)
        or not topics <= {"network_mode", "network_type", "network_status"}
    ):
        return []
    if (
        topics
        or context in ("network_mode", "network_type")
        or grammar.TO_MODE.search(text[verb.start() :])
    ):
        return [Request("set_network_mode_preference", (("mode", wanted),), "network_mode")]
    return []


def _grants(text: str, given: dict[str, str]) -> list[Request]:
    if (other := grammar.SOME_APP.search(text)) and not given and app(other.group(), "") == "":
        return []
    named = given.get("permission") or given.get("1")
    permissions = [named] if named else [n for n, p in PERMISSIONS.items() if re.search(p, text)]
    to = given.get("app_name") or given.get("0") or app(text)
    return [
        Request("grant_app_permission", (("app_name", to), ("permission", name)), "permissions")
        for name in permissions
    ]


def _grant(text: str, verb: re.Match[str], context: str) -> list[Request] | None:
    """Allow an app something: named as a permission, or after permissions were spoken of."""
    named = re.search(r"\bpermissions?\b|\baccess\b", text) or (
        verb.lastgroup == "grant" and re.search(r"\bmessag\w+|\bapp\b", text)
    )
    if named or (context == "permissions" and not set(governed(text, "")) - {"phone"}):
        return _grants(text, {}) or None
    return None


# --- Repairs ---
def _reboot(text: str, verb: re.Match[str], context: str) -> list[Request] | None:
    rest = before(text[verb.end() :], grammar.TAIL)
    if not grammar.THE_PHONE.match(rest) or grammar.NOT_THE_PHONE.search(rest):
        return None
    return [Request("reboot_device", topic="phone")]


def _reseat(text: str, verb: re.Match[str], context: str) -> list[Request] | None:
    topics = governed(before(text[verb.start() :], grammar.TAIL), context)
    back = re.search(r"\bre-?(?:seat|insert)|\bback\b|\bin again\b", text)
    if not back:
        return None  # out, and not in again
    certain = not (topics or "card" in text) and re.match(r"re-?(?:seat|insert)", verb.group())
    return [Request("reseat_sim_card", topic="sim")] if "sim" in topics or certain else None


def _reset(text: str, verb: re.Match[str], context: str) -> list[Request] | None:
    topics = governed(before(text[verb.end() :], grammar.TAIL), context)
    return [Request("reset_apn_settings", topic="apn")] if topics[:1] == ["apn"] else None


def _pay(text: str, verb: re.Match[str], context: str) -> list[Request] | None:
    rest = text[verb.end() :]
    paying = verb.group().startswith(("pay", "settl", "mak"))
    topics = governed(rest, context)
    if "plan" in topics:
        return None
    if "payment" in topics or (paying and grammar.PAY_IT.match(rest)):
        return [Request("make_payment", topic="payment")]
    return [] if grammar.COURTESY.search(text) else None


_ACTIONS = {
    "reboot": _reboot, "reseat": _reseat, "reset": _reset, "grant": _grant,
    "disconnect": _disconnect, "connect": _connect, "on": _turn, "off": _turn, "switch": _turn,
    "set": _set, "pay": _pay, "ensure": _ensure, "check": _check,
}  # fmt: skip
