"""When too many episodes fail for the user's sake."""

import pytest

from tau2_agent.rollout.trajectory import EndReason, JobStop, Trajectory
from tau2_agent.users.failure_limit import FEWEST, FailureShare

GOOD = Trajectory("t", [], EndReason.USER_STOP)
AGENT = Trajectory("t", [], EndReason.AGENT_ERROR)
POLICY = Trajectory("t", [], EndReason.POLICY_ERROR)


def bad(kind="refused"):
    return Trajectory("t", [], EndReason.USER_ERROR, f"{kind}: why", failure=kind)


def count(share, *trajectories):
    for trajectory in trajectories:
        share.count(trajectory)
    return share


def test_a_share_says_nothing_before_twenty_episodes():
    share = count(FailureShare(0.1), *[bad()] * (FEWEST - 1))
    with pytest.raises(JobStop, match=r"20 of 20 .*refused: 20.* share of 0.1 .*refused: why"):
        share.count(bad())


def test_the_twentieth_need_not_fail_itself():
    share = count(FailureShare(0.1), *[bad()] * 3, *[GOOD] * 16)
    with pytest.raises(JobStop, match="3 of 20"):
        share.count(GOOD)


def test_a_share_up_to_the_limit_is_borne():
    share = count(FailureShare(0.1), bad(), bad("timed_out"), *[GOOD] * 18)
    assert share.kinds == {"refused": 1, "timed_out": 1}
    count(FailureShare(1.0), *[bad()] * 100)


def test_others_mistakes_do_not_count():
    assert not count(FailureShare(0.0), *[AGENT, POLICY, GOOD] * 30).kinds


def test_episodes_of_an_earlier_part_count():
    share = FailureShare(0.1)
    share.counted(40)
    count(share, *[bad()] * 4)
    with pytest.raises(JobStop, match="5 of 45"):
        share.count(bad())


def test_a_training_of_hours_looks_at_its_last_episodes():
    share = FailureShare(0.5)
    share.window = 30
    count(share, *[GOOD] * 1000, *[bad()] * 15)
    with pytest.raises(JobStop, match="16 of 30"):
        share.count(bad())
