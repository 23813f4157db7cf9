"""What calls cost, summed and kept, without a language model."""

from __future__ import annotations

import asyncio
import json

import pytest

from tau2_agent.llm.ledger import Cost, Ledger

SPENT = {"prompt_tokens": 3, "completion_tokens": 2, "cached_tokens": 1, "seconds": 0.12345}


def spend(ledger: Ledger, *dollars: float | None, attempt: int = 1, failed: str = "") -> Ledger:
    """Calls of these costs, one after the other."""

    async def calls() -> None:
        for amount in dollars:
            async with ledger.call("m", attempt, Cost()) as call:
                if failed:
                    call.free(failed)
                else:
                    call.settle(**SPENT, dollars=amount)

    asyncio.run(calls())
    return ledger


def test_sums_for_a_results_file(tmp_path):
    path = tmp_path / "usage.jsonl"
    ledger = spend(Ledger(path), 0.1234565, 1.0)
    spend(ledger, None, None, attempt=2, failed="server_error")
    spend(ledger, None, attempt=3, failed="refused")
    expected = {
        "calls": 2,
        "retries": 3,
        "failed_calls": {"refused": 1, "server_error": 2},
        "prompt_tokens": 6,
        "completion_tokens": 4,
        "cached_tokens": 2,
        "dollars": 1.123457,
    }
    assert spend(ledger).total() == Ledger(path).total() == expected
    assert list(ledger.total()["failed_calls"]) == ["refused", "server_error"]


@pytest.mark.parametrize("dollars", [(None, 1.0), (1.0, None), (None, None, 0.0)])
def test_one_call_without_a_price_leaves_the_sum_unknown(tmp_path, dollars):
    path = tmp_path / "usage.jsonl"
    assert spend(Ledger(path), *dollars).dollars is Ledger(path).dollars is None


def test_a_call_waits_for_the_room_that_others_may_leave():
    """As long as any is in flight; the room is there once one has cost less than it could."""
    order = []

    async def one(ledger: Ledger, name: str, leave: asyncio.Event) -> None:
        async with ledger.call(name, 1, Cost(40, None), Cost(tokens=100)) as call:
            order.append(name)
            await leave.wait()
            call.settle(**SPENT, dollars=None)

    async def main() -> None:
        for _ in range(2):  # the second time round, the first has been waited for
            ledger = Ledger()
            leave = {name: asyncio.Event() for name in "abcd"}
            tasks = [asyncio.create_task(one(ledger, name, leave[name])) for name in "abcd"]
            for _ in range(5):
                await asyncio.sleep(0)
            assert order == ["a", "b"]  # 80 tokens of 100
            leave["b"].set()
            await tasks[1]
            for _ in range(5):
                await asyncio.sleep(0)
            assert order == ["a", "b", "c"]  # 5 spent, 80 of a and c; d waits on
            for event in leave.values():
                event.set()
            await asyncio.wait_for(asyncio.gather(*tasks), 5)
            assert order == ["a", "b", "c", "d"] and ledger.tokens == 20
            order.clear()

    asyncio.run(main())


@pytest.mark.parametrize("cut", [b"{", b'{"call": "a", "mod', b""])
def test_a_line_that_a_kill_cut_takes_no_other_with_it(tmp_path, cut):
    path = tmp_path / "usage.jsonl"
    path.write_bytes(cut)
    spend(Ledger(path), 0.5)
    assert Ledger(path).total()["calls"] == 1
    assert path.read_bytes().count(b"\n") == (2 if cut else 1)


def test_the_file_is_no_program_and_times_are_in_milliseconds(tmp_path):
    path = tmp_path / "usage.jsonl"
    spend(Ledger(path), 0.5)
    assert json.loads(path.read_text())["seconds"] == 0.123
    assert path.stat().st_mode & 0o111 == 0
