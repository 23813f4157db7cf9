"""Trees of Python's syntax, built while other threads build theirs."""

from __future__ import annotations

import ast
import gc
import sys
import threading

import pytest

from tau2_agent.syntax import NO_VALUE, expression_tree, module_tree

SOURCE = "def f(a, b=[1, 2]):\n    return {a: (b, -a, 'x')}\n" * 60


class Rubbish:
    """A cycle; freeing it runs Python code, and so lets another thread run."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        for _ in range(3):
            pass


@pytest.fixture
def another_thread():
    """Builds trees all the time, far down in its stack, with the interpreter switching often."""
    stop, interval, threshold = threading.Event(), sys.getswitchinterval(), gc.get_threshold()

    def build(depth: int) -> None:
        if depth:
            return build(depth - 1)
        while not stop.is_set():
            Rubbish()
            module_tree("f(a, b=1)")

    sys.setswitchinterval(1e-6)
    gc.set_threshold(5, 2, 2)
    thread = threading.Thread(target=build, args=(40,))
    thread.start()
    yield
    stop.set()
    thread.join()
    sys.setswitchinterval(interval)
    gc.set_threshold(*threshold)


def test_trees_are_built_while_another_thread_builds_its_own(another_thread):
    for _ in range(100):
        Rubbish()
        assert len(module_tree(SOURCE).body) == 60


def test_an_expression_is_the_tree_of_its_value():
    assert ast.literal_eval(expression_tree("[1, {'a': None}]")) == [1, {"a": None}]


@pytest.mark.parametrize(
    "text",
    ["1 +", "\0", "{[]: 1}", "-" * 100_000 + "1", "a" + ".b" * 100_000, "[" * 500],
    ids=["cut off", "null byte", "no key", "minus", "attributes", "brackets"],
)
def test_what_is_no_value_is_one_of_the_errors_named(text):
    with pytest.raises(NO_VALUE):
        ast.literal_eval(expression_tree(text))
