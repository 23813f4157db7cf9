"""Which of the user simulator's words ended an episode: its problem solved, a transfer, or no way.

All three are tau2's `user_stop`. Out of scope is the simulator's own choice, often its failure.
"""

from __future__ import annotations

from tau2_agent.rollout.episode import OUT_OF_SCOPE, STOP, TRANSFER
from tau2_agent.rollout.trajectory import EndReason, Trajectory

# in the order in which a message that has several is told
USER_ENDS = {"transfer": TRANSFER, "out_of_scope": OUT_OF_SCOPE, "stop": STOP}


def user_end(trajectory: Trajectory) -> str:
    """A name of `USER_ENDS`; "" for an episode that the user did not end."""
    if trajectory.end is not EndReason.USER_STOP or not trajectory.messages:
        return ""
    said = trajectory.messages[-1].content or ""
    return next((name for name, word in USER_ENDS.items() if word in said), "")
