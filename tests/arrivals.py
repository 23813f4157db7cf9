"""Where the options of a program arrive: it runs up to the point where it would train or play.

`seen` is what it had made by then. A table has for each option where it must be found there and as
what; an option without an entry fails.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from changed_options import changed

from tau2_agent import cli
from tau2_agent.benchmark.tasks import split_ids
from tau2_agent.errors import PipelineError
from tau2_agent.users.registry import Users
from teacher_traces import trace

# (what was made, the option's value) -> (what is there, what should be there).
Arrival = Callable[[SimpleNamespace, Any], tuple[Any, Any]]


def at(path: str) -> Arrival:
    """The value as it is, at the end of a path of attributes or keys."""

    def found(seen: SimpleNamespace, value: Any) -> tuple[Any, Any]:
        there: Any = seen
        for name in path.split("."):
            there = there[name] if isinstance(there, dict) else getattr(there, name)
        return there, value

    return found


def flag(name: str) -> Arrival:
    """The value as a flag of slime's command line."""
    return lambda seen, value: (seen.flags.get(name), str(value))


def switch(name: str, on: bool = True) -> Arrival:
    """A flag without value that is there when the option is `on`."""
    return lambda seen, value: (name in seen.flags, value is on)


def refused(part: str) -> Arrival:
    """The program refuses this value, for it does not fit the inputs; the message says so."""
    return lambda seen, value: (part in seen.error, True)


Prepare = Callable[[Any, Any, SimpleNamespace, Path], None]
Words = Mapping[str, list[str]]

LLM = ("model", "temperature", "max_tokens", "options", "api_base")
LLM += ("concurrency", "timeout_s", "retries", "budget_usd", "budget_tokens")
USER: dict[str, Arrival] = {
    "user": at("users.simulator"),
    **{f"user_{name}": at(f"users.llm.{name}") for name in LLM},
    "user_price": lambda seen, value: (list((seen.users.llm.price or {}).values()), value),
    "user_max_failure_share": at("users.failures.most"),
    "user_phrasing": at("users.phrasing"),
    "user_one_action": at("users.one_action"),
}


class Reached(Exception):
    """The program is where it would train."""


def make_inputs(tmp_path: Path, random_model: Path, monkeypatch) -> dict[str, Path]:
    """What programs read: two tasks, their traces, a model."""
    rows = [asyncio.run(trace(i, "scripted", Users(), "short")) for i in split_ids("small")[:3]]
    tasks = [{"task_id": task_id} for task_id in split_ids("train")[:40]]
    for name, lines in (("traces", rows), ("tasks", tasks)):
        (tmp_path / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "base").mkdir()
    shutil.copytree(random_model, tmp_path / "other_model")
    for name in ("GEMINI_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "no real key")
    for module in ("tau2_agent.rollout.model_folder", "tau2_agent.evaluation.recalled"):
        monkeypatch.setattr(f"{module}.require_positions", lambda *_: None)
    made = {"model": random_model, "checkpoint": random_model, "sft": tmp_path / "base"}
    return made | {n: tmp_path / n for n in ("traces", "tasks", "base")}


class Run:
    """Runs a program up to the point where it would train or play."""

    def __init__(self, monkeypatch, tmp_path: Path, prepare: Prepare, given: list[str]) -> None:
        """prepare: lets `seen` note what would act. given: words that are said each time."""
        self.patch, self.tmp_path, self.prepare, self.given = monkeypatch, tmp_path, prepare, given
        self.parser: argparse.ArgumentParser | None = None
        made = cli.parser

        def parser(doc: str) -> argparse.ArgumentParser:
            self.parser = made(doc)
            return self.parser

        monkeypatch.setattr(cli, "parser", parser)

    def __call__(self, program: str, *words: str) -> SimpleNamespace:
        """What the program had made, and its `status`. error: what it says of what it refused."""
        module = importlib.import_module(program)
        self.patch.setattr(sys, "argv", [program, *self.given, *words])
        seen = SimpleNamespace(error="", words=words)
        self.prepare(self.patch, module, seen, self.tmp_path)
        try:
            seen.status = module.main()
        except Reached:
            pass
        except (PipelineError, OSError) as error:
            seen.error = str(error)
        seen.options = self.parser.parse_args(sys.argv[1:])
        return seen


def check_arrivals(
    run: Run, program: str, arrives: Mapping[str, Arrival], instead: Words, beside: Words
) -> None:
    """Change each option alone, and look where `arrives` says that it must be found.

    instead: the words of an option whose other value `changed` does not find. beside: what else
    must be told with an option.
    """
    plain = run(program)
    assert not plain.error
    actions = [action for action in run.parser._actions if action.dest != "help"]
    options = {action.dest for action in actions}
    assert options == set(arrives), "say for each option, and for no other, where it acts"
    wrong = []
    for action in actions:
        words = instead.get(action.dest) or changed(action, run.tmp_path)
        if action.dest.startswith("user_"):
            words = ["--user", "llm", *words]
        words = [*beside.get(action.dest, []), *words]
        seen = run(program, *words)
        try:
            found, wanted = arrives[action.dest](seen, getattr(seen.options, action.dest))
        except (AttributeError, KeyError) as error:
            wrong.append(f"{words}: nothing made ({error!r}) {seen.error}")
            continue
        if found != wanted:
            wrong.append(f"{words}: {found!r} instead of {wanted!r} {seen.error}")
    assert not wrong, "\n".join(wrong)
