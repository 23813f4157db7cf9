"""How this process keeps memory. Elsewhere: how much of it a stage needs (docs and benchmarks)."""

from __future__ import annotations

import ctypes

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> None:
    """Ask the C library to keep what PyTorch frees instead of giving it back to the kernel.

    Tensors of some megabytes otherwise come from fresh pages each time, and a training on the CPU
    spends a third of its time in the kernel. Call it before tensors are made. Does nothing where
    the C library is not glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_M_ARENA_MAX, 1)  # one arena: what one thread freed, another takes
