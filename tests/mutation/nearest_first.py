"""mutmut, where each mutant meets those tests first that are likeliest to kill it.

mutmut's fork server runs a mutant's tests in no order: one that the next test would kill waits for
that of a whole training. Here those of the mutant's own package come first, then the others, the
quickest of them first; what would take longer than TEST_SECONDS is left out, of either. A mutant
that survives this way may be one for a slow test: run it again by its name, with more of them.
"""

import gc
import itertools
import os
import tempfile
import time

import pytest
from mutmut.__main__ import cli
from mutmut.runners.harness import PytestRunner
from mutmut.state import state
from mutmut.workers.isolation import ForkServerRunner

BUDGET_S = float(os.environ["TEST_SECONDS"])
HOMES = {"tau2_reward_shaping": "reward"}  # where the tests of a program are, if not in programs
submit = ForkServerRunner.submit
warm_up, execute = PytestRunner.warm_up, PytestRunner.execute_pytest


def nearest_first(
    self: ForkServerRunner, name: str, tests: list[str], cpu_limit: int, lasts: float
) -> None:
    seconds = state().duration_by_test
    first, second, *_ = name.split(".")
    home = f"tests/{second if first == 'tau2_agent' else HOMES.get(first, 'programs')}/"
    chosen = []
    for near in (True, False):
        group = sorted((seconds[t], t) for t in tests if t.startswith(home) is near)
        ends = itertools.accumulate(own for own, _ in group)
        chosen += [t for (_, t), end in zip(group, ends, strict=True) if end < BUDGET_S]
    if chosen:  # else there are slow ones only
        tests, cpu_limit = chosen, min(cpu_limit, int(20 * (5 + sum(seconds[t] for t in chosen))))
    submit(self, name, tests, cpu_limit, lasts)


class Fixtures:
    """Adds the seconds of a test's fixtures to those that mutmut measures of the test itself.

    Tests that share one share its seconds.
    """

    def __init__(self) -> None:
        self.seconds: dict[object, float] = {}
        self.users: dict[object, set[str]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef):
        start = time.perf_counter()
        result = yield
        self.seconds[fixturedef] = time.perf_counter() - start
        return result

    def pytest_runtest_teardown(self, item):
        for made in item._fixtureinfo.name2fixturedefs.values():
            if made[-1].scope == "function":
                state().duration_by_test[item.nodeid] += self.seconds.get(made[-1], 0)
            else:
                self.users.setdefault(made[-1], set()).add(item.nodeid)

    def pytest_sessionfinish(self):
        for made, users in self.users.items():
            for test in users:
                state().duration_by_test[test] += self.seconds.get(made, 0) / len(users)


def apart(self: PytestRunner, params: list[str], plugins=()) -> int:
    """Run pytest with a folder of its own: among its usual ones it takes seconds to tidy up."""
    with tempfile.TemporaryDirectory(prefix="mutant-", ignore_cleanup_errors=True) as folder:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = folder
        return execute(self, params, plugins=[*plugins, Fixtures()] if plugins else [])


def warm_up_for_good(self: PytestRunner) -> None:
    warm_up(self)
    gc.freeze()  # pytest collects garbage at its end: half a second among all that was imported


ForkServerRunner.submit = nearest_first
PytestRunner.execute_pytest = apart
PytestRunner.warm_up = warm_up_for_good
# Tests of unchanged code have just passed, when mutmut noted which function each of them calls.
ForkServerRunner.run_clean_tests = lambda self, tests: 0
cli()
