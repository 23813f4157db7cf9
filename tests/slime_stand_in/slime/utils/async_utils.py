"""Running a coroutine; slime has a loop for them in a thread of its own."""

import asyncio


def run(coroutine):
    return asyncio.run(coroutine)
