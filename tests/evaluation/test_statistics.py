"""Intervals, paired differences, pass^k and pass@k, against published values and tau2's formula."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tau2.metrics.agent_metrics import pass_hat_k as tau2_pass_hat_k

from tau2_agent.evaluation import statistics as intervals


def test_wilson_against_published_values():
    """Newcombe 1998, table I: method 3 without continuity correction."""
    for successes, n, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        interval = intervals.wilson(successes, n)
        assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)
    for n in range(1, 60):
        assert intervals.wilson(0, n).low == 0.0 and intervals.wilson(n, n).high == 1.0
    half = intervals.wilson(1, 2, level=0.5)
    assert (half.method, half.level) == ("wilson", 0.5)
    assert half.low > intervals.wilson(1, 2).low and intervals.wilson(1, 2).level == 0.95
    with pytest.raises(ValueError):
        intervals.wilson(0, 0)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_rate(numbers):
    successes, n = numbers
    interval = intervals.wilson(successes, n)
    assert 0.0 <= interval.low <= successes / n <= interval.high <= 1.0
    mirrored = intervals.wilson(n - successes, n)
    assert mirrored.low == pytest.approx(1 - interval.high, abs=1e-12)


def test_bootstrap_is_repeatable_and_as_wide_as_it_should_be():
    values = [0.0, 1.0] * 100
    interval = intervals.bootstrap_mean(values)
    assert interval == intervals.bootstrap_mean(values)
    half = 1.96 * 0.5 / math.sqrt(len(values))
    assert interval.low == pytest.approx(0.5 - half, abs=0.01)
    assert interval.high == pytest.approx(0.5 + half, abs=0.01)
    assert intervals.bootstrap_mean([0.3] * 5).high == pytest.approx(0.3)
    fine = [number / 100 for number in range(101)]  # of which the mean is nearly normal
    for level, quantile in ((0.95, 1.96), (0.5, 0.674)):
        found, half = intervals.bootstrap_mean(fine, level), quantile * 0.02902
        assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half), abs=0.002)
        assert found.level == level
    with pytest.raises(ValueError):
        intervals.bootstrap_mean([])


def test_paired_difference():
    before = {str(i): float(i % 2) for i in range(200)}
    after = dict(before) | {str(i): 1.0 for i in range(0, 60, 2)} | {"only after": 0.0}
    made = intervals.paired_difference([before], [after])
    assert made.mean == pytest.approx(30 / 200)
    assert (made.tasks, made.seeds, made.unpaired) == (200, 1, 1)
    # A sum of 200 draws of 0 or 1 is a binomial: what lies between 20.5 and 40 is
    # 95 %, and an interval of 90 % ends at 22 and 39.
    assert (made.interval.low, made.interval.high) == pytest.approx((0.1025, 0.2), abs=0.004)
    assert made.interval.level == intervals.LEVEL == 0.95
    same = intervals.paired_difference([before], [before])
    assert (same.mean, same.interval.low, same.interval.high) == (0.0, 0.0, 0.0)
    back = intervals.paired_difference([after], [before])
    assert back.mean == -made.mean and back.interval.high < 0


def test_paired_difference_over_seeds_is_wider_when_seeds_disagree():
    before = {str(i): 0.0 for i in range(100)}
    gains = [{str(i): float(i < n) for i in range(100)} for n in (5, 30, 55)]
    made = intervals.paired_difference([before] * 3, gains)
    assert made.mean == pytest.approx(0.3)
    assert 0.0 < made.interval.low < 0.2 and 0.4 < made.interval.high < 0.6
    assert made.interval.method == "bootstrap over tasks and seeds"
    two = intervals.paired_difference([before] * 2, gains[:2])
    assert two.interval.method == "bootstrap over tasks and seeds" and two.seeds == 2
    steady = intervals.paired_difference([before] * 3, [gains[1]] * 3)
    assert made.interval.high - made.interval.low > 1.5 * (
        steady.interval.high - steady.interval.low
    )


def test_a_figure_in_a_table():
    interval = intervals.Interval(low=0.1, high=0.25, method="wilson")
    assert intervals.figure(None, interval) == "-"
    assert intervals.figure(0.15, interval, "+") == "+0.150 [+0.10, +0.25]"
    assert intervals.figure(12.34, digits=1) == "12.3"


def test_what_does_not_pair_is_refused():
    with pytest.raises(ValueError, match="do not pair"):
        intervals.paired_difference([{"a": 1.0}], [])
    with pytest.raises(ValueError, match="no task in common"):
        intervals.paired_difference([{"a": 1.0}], [{"b": 1.0}])


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(*[st.integers(0, n)] * 2, st.just(n))))
def test_pass_k_formulas(numbers):
    successes, k, trials = numbers[0], max(numbers[1], 1), numbers[2]
    assert intervals.pass_hat_k(trials, successes, k) == tau2_pass_hat_k(trials, successes, k)
    failures = trials - successes
    assert intervals.pass_at_k(trials, successes, k) == pytest.approx(
        1 - tau2_pass_hat_k(trials, failures, k)
    )
    with pytest.raises(ValueError):
        intervals.pass_hat_k(trials, successes, trials + 1)


def test_the_draw_is_always_the_same_and_another_with_another_seed():
    values = [0.0, 0.25, 1.0, 0.5, 0.75, 0.1, 0.9]
    tasks = {str(number): value for number, value in enumerate(values)}
    none = dict.fromkeys(tasks, 0.0)

    def drawn(**seed):
        difference = intervals.paired_difference([none], [tasks], **seed)
        return intervals.bootstrap_mean(values, **seed), difference.interval

    assert drawn() == drawn() == drawn(seed=0)
    for one, other in zip(drawn(), drawn(seed=1), strict=True):
        assert one != other and one.low == pytest.approx(other.low, abs=0.03)
