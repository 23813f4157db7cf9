"""mutmut, where each mutant meets those tests first that are likeliest to kill it.

mutmut's fork server runs a mutant's tests in no order: one that the next test would kill waits for
that of a whole training. Here those of the mutant's own package come first, the quickest of them
first, and what would take longer than TEST_SECONDS together is left out. A mutant that survives
this way may be one for a slow test: run it again by its name, with more `--test-seconds`.
"""

import gc
import itertools
import os
import time

import pytest
from mutmut.__main__ import cli
from mutmut.runners.harness import PytestRunner
from mutmut.state import state
from mutmut.workers.isolation import ForkServerRunner

BUDGET_S = float(os.environ["TEST_SECONDS"])
submit, warm_up, execute = (
    ForkServerRunner.submit,
    PytestRunner.warm_up,
    PytestRunner.execute_pytest,
)


def nearest_first(self: ForkServerRunner, name: str, tests: list[str], *limits: float) -> None:
    seconds = state().duration_by_test
    package = name.split(".")[1] if name.startswith("tau2_agent.") else "programs"
    home = f"tests/{package}/"
    tests = sorted(tests, key=lambda test: (not test.startswith(home), seconds[test], test))
    ends = itertools.accumulate(seconds[test] for test in tests)
    in_time = [test for test, end in zip(tests, ends, strict=True) if end < BUDGET_S]
    submit(self, name, in_time or tests[:1], *limits)


class Fixtures:
    """Adds the seconds of a test's fixtures to those that mutmut measures of the test itself.

    One that several tests share counts for each of them: alone, any of them would make it.
    """

    def __init__(self) -> None:
        self.seconds: dict[object, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef):
        start = time.perf_counter()
        result = yield
        self.seconds[fixturedef] = time.perf_counter() - start
        return result

    def pytest_runtest_teardown(self, item):
        made = item._fixtureinfo.name2fixturedefs.values()
        state().duration_by_test[item.nodeid] += sum(self.seconds.get(one[-1], 0) for one in made)


def with_fixtures(self: PytestRunner, params: list[str], plugins=()) -> int:
    return execute(self, params, plugins=[*plugins, Fixtures()] if plugins else [])


def warm_up_for_good(self: PytestRunner) -> None:
    warm_up(self)
    gc.freeze()  # pytest collects garbage at its end: half a second among all that was imported


ForkServerRunner.submit = nearest_first
PytestRunner.execute_pytest = with_fixtures
PytestRunner.warm_up = warm_up_for_good
# Tests of unchanged code have just passed, when mutmut noted which function each of them calls.
ForkServerRunner.run_clean_tests = lambda self, tests: 0
cli()
