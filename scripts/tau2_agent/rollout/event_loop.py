"""Hundreds of episodes in one event loop, none of which may hold up the others for long."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

_PASSES: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


async def own_pass() -> None:
    """Wait for a pass of the event loop that belongs to no other caller.

    For a piece of work of a millisecond or so that many have at the same time, such as the start of
    an episode, or what follows an answer of the server. In one pass they would hold up everything
    else in the loop for as long as all of them take: time-outs, signs of life, requests.
    """
    async with _PASSES.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
        await asyncio.sleep(0)
