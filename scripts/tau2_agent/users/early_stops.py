"""A user who agrees to what the agent proposes, and hangs up in the same breath.

The agent then never acts and the task fails for the user's sake (upstream issue 297). The episode
ends as in tau2; here it is only recognised, so that results can count it.
"""

from __future__ import annotations

import re

from tau2.data_model.message import AssistantMessage, Message, UserMessage

from tau2_agent.rollout.episode import OUT_OF_SCOPE, STOP, TRANSFER

_STOPS = re.compile("|".join(map(re.escape, (STOP, TRANSFER, OUT_OF_SCOPE))))
_ACTS = r"""(?:refuel|add|top|resum|re-?activat|activat|unsuspend|lift|enabl|disabl|turn|switch
      | chang|upgrad|downgrad|suspend|transfer|escalat|process|apply|set|restor|unlock|buy|purchas
      | renew|extend|credit|refund|send|issu|increas|remov|cancel|book|order|proceed|go\ ahead
      | tak\w*\ care|do\ (?:that|this|it|so)|get\ (?:that|this|it)|start)"""
# What the agent offers to do. A question after what is done ("Does it work?") is no offer.
_OFFER = re.compile(
    rf"""\b(?:
        (?:would|do)\ you\ (?:like|want|prefer)(?:\ for)?\ (?:me|us)\ to
      | (?:if\ you(?:['\u2019]d|\ would)\ like|want)\ (?:me|us)\ to
      | (?:would|do)\ you\ (?:like|want|wish|care)\ to\ (?:continue|have|{_ACTS})
      | (?:do|have|may|can)\ (?:i|we)\ (?:have|got|get)\ (?:\w+\ )?
        (?:permission|consent|approval|go-?ahead|okay?|agreement|confirmation|authori[sz]ation)
      | with\ your\ (?:permission|consent|approval|okay?)
      | (?:would|do)\ you\ mind\ if\ (?:i|we)
      | do\ you\ (?:agree|accept|approve|consent)
      | are\ you\ (?:ok|okay|fine|happy|comfortable|ready|all\ right|alright)\ (?:with|if|for|to)
      | is\ (?:that|this|it)\ (?:ok|okay|all\ right|alright|fine|acceptable)
      | (?:please|can\ you|could\ you)\ confirm
      | (?:(?:shall|should)\ (?:i|we)|(?:may|could|can)\ i)\ (?!help|assist)
      | (?:i|we)
        (?:['\u2019]ll|\ will|\ can|\ could|(?:['\u2019]m|\ am|['\u2019]re|\ are)\ going\ to)
        \ (?!help|assist|be\ (?:here|happy|glad))
    )""",
    re.IGNORECASE | re.VERBOSE,
)
# What the agent says that it is about to do, or does; thanks are an agreement to that.
_ANNOUNCED = re.compile(
    rf"""\b(?:
        (?:i|we)(?:['\u2019]ll|\ will|(?:['\u2019]m|\ am|['\u2019]re|\ are)(?:\ now|\ going\ to)?)
        (?:\ (?:now|just|also|then|go\ ahead\ and|right\ away))*\ {_ACTS}
      | let\ me\ (?:now\ |just\ |quickly\ |go\ ahead\ and\ )*{_ACTS}
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_DONE = re.compile(
    r"""\b(?:(?:i|we)(?:['\u2019]ve|\ have)(?:\ \w+){0,2}\ \w+(?:ed|n|t)\b
      | ha(?:s|ve)(?:\ now)?\ been
      | successfully|all\ set|is\ now\ (?:active|on|done|resolved|restored)|good-?bye|bye
      | have\ a\ (?:\w+\ )?(?:day|evening|one|weekend))\b""",
    re.IGNORECASE | re.VERBOSE,
)
_AGREEMENT = re.compile(
    r"""\W*(?:(?:oh|ah|well|hmm|thanks|thank\ you|great|perfect)\W+)*(?:
        yes|yeah|yep|yup|sure|ok|okay|certainly|absolutely|definitely|of\ course
      | go\ (?:ahead|for\ it)
      | please\ (?:do|go|proceed|refuel|add|enable|resume|transfer|send|change|turn|activate)
      | sounds\ (?:good|great|fine)|by\ all\ means|why\ not|works\ for\ me|agreed|deal
      | you\ (?:do|may|can)
      | that\ (?:works|sounds|would\ be|is\ fine)|that['\u2019]s\ fine
      | i\ (?:agree|accept|confirm|consent|would\ like|do)|i['\u2019]d\ like
      | do\ it|proceed|alright|all\ right|fine|confirmed|let['\u2019]s\ (?:do|go)
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
_THANKS = re.compile(
    r"\W*(?:thanks|thank you|perfect|great|wonderful|excellent|awesome|fantastic|brilliant|lovely"
    r"|cool|good|nice|super|much appreciated|i appreciate|amazing)\b",
    re.IGNORECASE,
)
_SOLVED = re.compile(
    r"\b(?:works?|working|worked|fixed|solved|resolved|back|restored|sorted|again)\b", re.IGNORECASE
)


def stops_early(new: list[Message], said: UserMessage) -> bool:
    """Whether the user ends the conversation while agreeing to what the agent has yet to do.

    new: what the user heard last; said: the answer.
    """
    if said.is_tool_call() or not new or not isinstance(new[-1], AssistantMessage):
        return False
    words, stops = _STOPS.subn(" ", said.content or "")
    if not stops:
        return False
    heard = new[-1].content or ""
    if _OFFER.search(heard) and _AGREEMENT.match(words):
        return True
    announced = _ANNOUNCED.search(heard) and not _DONE.search(heard)
    return bool(announced and _THANKS.match(words) and not _SOLVED.search(words))
