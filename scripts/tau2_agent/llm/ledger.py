"""What the calls of one job to a language model cost, kept beside the job's output.

A line of JSON is written as each call ends, so that a job that was killed and resumes still counts
what it paid before. With a budget a line is also written before each call, with the most that it
can cost: a call whose end was never written counts in full. That keeps the budget whatever happens.

Left out: prices and the calls themselves (client.py).
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tau2_agent.errors import PipelineError

NO_PRICE = "unknown price"


class BudgetSpent(PipelineError):
    """The next call could pass the budget; the message says what was spent and what to do."""


@dataclass(frozen=True)
class Cost:
    """Tokens (prompt and completion together) and dollars; None: not known, or not limited."""

    tokens: int | None = None
    dollars: float | None = None


@dataclass
class Call:
    """One attempt. `settle` says what it cost; `free` that nothing was charged.

    An attempt of which neither is known (time-out, broken connection, cancelled) may have been
    charged: it counts against the budget with the most that it can cost.
    """

    model: str
    attempt: int
    most: Cost
    number: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    record: dict[str, Any] | None = None

    def settle(
        self,
        *,
        prompt_tokens: int,
        completion_tokens: int,
        cached_tokens: int,
        dollars: float | None,
        seconds: float,
    ) -> None:
        """Say what the call cost. dollars: None when the model has no known price."""
        self.record = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "cached_tokens": cached_tokens,
            "dollars": dollars,
            "seconds": round(seconds, 3),
        }

    def free(self, why: str) -> None:
        """Say that the call failed and was not charged."""
        self.record = {"failed": why}


class Ledger:
    """The spending of one job. `path`: a JSONL file that may exist already; None keeps no file.

    fingerprint: of the job, where a file serves one after another; lines of others do not count.
    Use it from one process at a time. It may be used from one event loop after another.
    """

    def __init__(self, path: Path | str | None = None, fingerprint: str = "") -> None:
        self.path = None if path is None else Path(path)
        self.fingerprint = fingerprint
        self.calls = 0
        self.failed: dict[str, int] = {}
        self.retries = 0
        self.prompt_tokens = self.completion_tokens = self.cached_tokens = 0
        self._dollars = 0.0
        self._unpriced = 0
        self._uncertain = Cost(0, 0.0)  # of calls that may have been charged
        self._open: dict[str, Cost] = {}
        self._settled: asyncio.Event | None = None
        if self.path is not None and self.path.exists():
            self._read(self.path)

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens of all calls that were answered."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def dollars(self) -> float | None:
        """Dollars of all calls that were answered; None when one had no known price."""
        return None if self._unpriced else self._dollars

    def total(self) -> dict[str, Any]:
        """The sums, for a results file."""
        return {
            "calls": self.calls,
            "retries": self.retries,
            "failed_calls": dict(sorted(self.failed.items())),
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cached_tokens": self.cached_tokens,
            "dollars": None if self.dollars is None else round(self.dollars, 6),
        }

    @asynccontextmanager
    async def call(
        self, model: str, attempt: int, most: Cost, budget: Cost = Cost()
    ) -> AsyncIterator[Call]:
        """Reserve the most that a call can cost, and write down what it did cost.

        Waits while other calls are in flight whose end may leave room. Raises BudgetSpent when
        there is none.
        """
        call = Call(model, attempt, most)
        await self._reserve(call, budget)
        try:
            yield call
        finally:
            self._close(call, limited=budget != Cost())

    async def _reserve(self, call: Call, budget: Cost) -> None:
        while not self._fits(call.most, budget):
            if not self._open:
                raise BudgetSpent(self._explain(call.most, budget))
            self._settled = self._settled or asyncio.Event()
            await self._settled.wait()
        self._open[call.number] = call.most
        if budget != Cost():
            most = {"tokens": call.most.tokens, "dollars": call.most.dollars}
            self._write({"call": call.number, "model": call.model, "most": most})

    def _fits(self, most: Cost, budget: Cost) -> bool:
        reserved = [*self._open.values(), self._uncertain, most]
        tokens = self.tokens + sum(cost.tokens or 0 for cost in reserved)
        dollars = self._dollars + sum(cost.dollars or 0.0 for cost in reserved)
        return (budget.tokens is None or tokens <= budget.tokens) and (
            budget.dollars is None or dollars <= budget.dollars
        )

    def _explain(self, most: Cost, budget: Cost) -> str:
        spent = f"{self.tokens} tokens"
        limits = []
        if budget.tokens is not None:
            limits.append(f"{budget.tokens} tokens")
        if budget.dollars is not None:
            spent += f" and {self._dollars:.4f} dollars"
            limits.append(f"{budget.dollars:g} dollars")
        uncertain = ""
        if self._uncertain.tokens:
            uncertain = f", and up to {self._uncertain.tokens} tokens for calls without an answer"
        return (
            f"{spent} are spent{uncertain}; the next call of up to {most.tokens} tokens could pass "
            f"the budget of {' and '.join(limits)}. What is done is kept: raise the budget and run "
            "the same command again to resume"
        )

    def _close(self, call: Call, limited: bool) -> None:
        self._open.pop(call.number, None)
        if call.record is None:
            most = {"tokens": call.most.tokens, "dollars": call.most.dollars}
            call.record = {"failed": "no_answer", "most": most}
        row = {"call": call.number, "model": call.model, "attempt": call.attempt, **call.record}
        if not limited:
            row.pop("most", None)
        self._count(row)
        if self._settled is not None:
            self._settled.set()
            self._settled = None
        self._write(row)

    def _count(self, row: dict[str, Any]) -> None:
        self.retries += row["attempt"] > 1
        if "failed" in row:
            self.failed[row["failed"]] = self.failed.get(row["failed"], 0) + 1
            self._doubt(row.get("most"))
            return
        self.calls += 1
        self.prompt_tokens += row["prompt_tokens"]
        self.completion_tokens += row["completion_tokens"]
        self.cached_tokens += row["cached_tokens"]
        self._dollars += row["dollars"] or 0.0
        self._unpriced += row["dollars"] is None

    def _doubt(self, most: dict[str, Any] | None) -> None:
        if most:
            self._uncertain = Cost(
                self._uncertain.tokens + (most["tokens"] or 0),
                self._uncertain.dollars + (most["dollars"] or 0.0),
            )

    def _read(self, path: Path) -> None:
        begun: dict[str, dict[str, Any]] = {}
        for line in path.read_bytes().splitlines():
            try:
                row = json.loads(line)
                # "run": its name in earlier versions
                if row.get("fingerprint", row.get("run", "")) != self.fingerprint:
                    continue
                if "attempt" not in row:
                    begun[row["call"]] = row["most"]
                    continue
                begun.pop(row["call"], None)
                self._count(row)
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # cut by a kill or a full disk; its beginning, if any, counts in full
        for most in begun.values():
            self._doubt(most)

    def _write(self, row: dict[str, Any]) -> None:
        if self.path is None:
            return
        if self.fingerprint:
            row = {**row, "fingerprint": self.fingerprint}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            size = os.fstat(handle).st_size
            cut = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            line = (b"\n" if cut else b"") + json.dumps(row).encode() + b"\n"
            if os.write(handle, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        finally:
            os.close(handle)


def dollars(amount: float | None) -> str:
    """An amount, with as many digits as it needs; None is an unknown price, which is not zero."""
    if amount is None:
        return NO_PRICE
    if amount and amount < 0.01:
        return f"${amount:.2g}"
    return f"${amount:,.2f}"


def tokens(count: float) -> str:
    """A number of tokens, to three digits."""
    for size, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= size:
            return f"{count / size:.3g}{name}"
    return f"{count:.0f}"


def spending(who: str, total: Mapping[str, Any]) -> str:
    """One line on what a ledger's `total()` says."""
    line = (
        f"{who}: {total['calls']} calls, {tokens(total['prompt_tokens'])} prompt tokens "
        f"({tokens(total['cached_tokens'])} cached), "
        f"{tokens(total['completion_tokens'])} completion tokens, {dollars(total['dollars'])}"
    )
    failed = ", ".join(f"{kind} {count}" for kind, count in total["failed_calls"].items())
    return line + (f"; failed calls: {failed}" if failed else "")
