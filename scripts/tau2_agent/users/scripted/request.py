"""One thing that an agent asks the user to do, and a message's worth of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tau2_agent.users.scripted.lexicon import CHECKS, COVERS, TOGGLES

READ_TOOLS = frozenset(CHECKS.values())
FACTS = {"data": "mobile_data", "status_bar": "signal"}  # the others have their topic's name
CONTEXT = "context"  # a condition about what was last spoken of: "if it is"

AGREES = "agrees"  # the user decides
CORRECT = "correct"  # what the user was to look over is right
LACKS = "lacks"  # the app lacks the permission that is to be granted

# What makes a repair worth while, when the agent only says "if it is" or "if needed".
_PROBLEMS: dict[str, tuple[str, Any]] = {
    "reseat_sim_card": ("sim", "missing"),
    "reset_apn_settings": ("apn_ok", False),
    "disconnect_vpn": ("vpn", True),
    "connect_vpn": ("vpn", False),
    "make_payment": ("payment_request", True),
    "set_network_mode_preference": ("old_mode", True),
    "grant_app_permission": (LACKS, True),
}


@dataclass(frozen=True)
class Request:
    """One tool of the user's that the agent asks for.

    `want` is the wanted position of a switch, None for "toggle it". `guard` is a fact of
    `handset.read` with its value: do it only when the phone shows that. `detail` marks a question
    that a wider look in the same message answers, `own_case` a switch under a condition about its
    own position.
    """

    tool: str
    arguments: tuple[tuple[str, Any], ...] = ()
    topic: str = ""
    want: bool | None = None
    guard: tuple[str, Any] | None = None
    detail: bool = False
    own_case: bool = False

    @property
    def reads(self) -> bool:
        """Whether it only looks."""
        return self.tool in READ_TOOLS

    @property
    def fact(self) -> str:
        """The fact of `handset.read` that shows its switch."""
        return FACTS.get(self.topic, self.topic)

    def under(self, guard: tuple[str, Any]) -> Request | None:
        """The same under a condition; None if nothing on the phone can tell whether it holds.

        Looks need none, nor does a switch about its own position.
        """
        if self.reads:
            return self
        if self.tool in TOGGLES.values() and guard[0] in (self.fact, CONTEXT):
            want = not guard[1] if self.want is None else self.want
            return replace(self, want=want, own_case=True)
        if guard[0] == CONTEXT:
            problem = _PROBLEMS.get(self.tool)
            return replace(self, guard=problem) if problem else None
        if guard[0] == CORRECT:  # of a bill only a look can tell
            bill = _PROBLEMS["make_payment"]
            return replace(self, guard=bill if self.tool == "make_payment" else (AGREES, True))
        if guard[0] == LACKS and self.tool != "grant_app_permission":
            return None
        return replace(self, guard=guard)


def merge(requests: list[Request]) -> list[Request]:
    """Drop repeats, and looks that a wider look, a switch or a condition includes anyway."""
    included = {r.fact for r in requests if r.want is not None}
    included |= {r.guard[0] for r in requests if r.guard}
    written = {r.topic for r in requests if not r.reads}
    wide = [COVERS[r.tool] for r in requests if r.topic in ("status_bar", "network_status")]
    kept: list[Request] = []
    for request in requests:
        if request.reads and request.fact in included:
            continue
        if request.detail and any(request.topic in topics for topics in (*wide, written)):
            continue
        same = [r for r in kept if (r.tool, r.arguments) == (request.tool, request.arguments)]
        if not any(request.want in (None, r.want) for r in same):
            kept.append(request)
    return kept
