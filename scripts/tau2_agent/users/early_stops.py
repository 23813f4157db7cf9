"""A user who agrees to what the agent proposes, and hangs up in the same breath.

The agent then never acts and the task fails for the user's sake (upstream issue 297). The episode
ends as in tau2; here it is only recognised, so that results can count it.
"""

from __future__ import annotations

import re

from tau2.data_model.message import AssistantMessage, Message, UserMessage

from tau2_agent.rollout.episode import OUT_OF_SCOPE, STOP, TRANSFER

_STOPS = re.compile("|".join(map(re.escape, (STOP, TRANSFER, OUT_OF_SCOPE))))
# What the agent offers to do. A question after what is done ("Does it work?") is no offer.
_OFFER = re.compile(
    r"""\b(?:
        (?:would|do)\ you\ (?:like|want|prefer)(?:\ for)?\ me\ to
      | (?:if\ you(?:['’]d|\ would)\ like|want)\ me\ to
      | would\ you\ like\ to\ (?:proceed|continue|add|buy|refuel|have)
      | do\ you\ (?:agree|accept|approve|consent)
      | are\ you\ (?:ok|okay|fine|happy)\ with
      | is\ (?:that|this|it)\ (?:ok|okay|all\ right|alright|fine|acceptable)
      | (?:please|can\ you|could\ you)\ confirm
      | (?:shall|should|may|could|can)\ i\ (?!help|assist)
      | (?:i|we)(?:['’]ll|\ will|\ can|\ could|(?:['’]m|\ am|['’]re|\ are)\ going\ to)
        \ (?!help|assist|be\ (?:here|happy|glad))
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_AGREEMENT = re.compile(
    r"""\W*(?:(?:oh|ah|well|hmm|thanks|thank\ you|great|perfect)\W+)*(?:
        yes|yeah|yep|yup|sure|ok|okay|certainly|absolutely|definitely|of\ course|go\ ahead
      | please\ (?:do|go|proceed|refuel|add|enable|resume|transfer|send|change|turn|activate)
      | sounds\ (?:good|great|fine)
      | that\ (?:works|sounds|would\ be|is\ fine)|that['’]s\ fine
      | i\ (?:agree|accept|confirm|consent|would\ like|do)|i['’]d\ like
      | do\ it|proceed|alright|all\ right|fine|confirmed|let['’]s\ do
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)


def stops_early(new: list[Message], said: UserMessage) -> bool:
    """Whether the user ends the conversation while agreeing to what the agent has yet to do.

    new: what the user heard last; said: the answer.
    """
    if said.is_tool_call() or not new or not isinstance(new[-1], AssistantMessage):
        return False
    words, stops = _STOPS.subn(" ", said.content or "")
    return bool(stops and _OFFER.search(new[-1].content or "") and _AGREEMENT.match(words))
