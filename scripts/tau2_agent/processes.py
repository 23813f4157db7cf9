"""This process, its children, and where they meet: signals, ports, memory, arithmetic."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

LOCAL = "127.0.0.1"
PR_SET_PDEATHSIG = 1  # prctl(2)
# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8
# Looked up here: in a child, between fork and exec, a lock that another thread held is never free.
try:
    _prctl = ctypes.CDLL(None).prctl
except (OSError, AttributeError):
    _prctl = None


def end_with_parent() -> None:
    """In the child: have the kernel send SIGTERM when this program dies, however it dies.

    Start it in a thread that lives as long as the program: the kernel means the thread.
    """
    if _prctl is not None:
        _prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def end(process: subprocess.Popen[bytes], grace_s: float = 20.0) -> None:
    """Ask a child to end, and make it."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(grace_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now, all different."""
    sockets = []
    try:
        for _ in range(count):
            sockets.append(socket.create_server((LOCAL, 0)))
        return [opened.getsockname()[1] for opened in sockets]
    finally:
        for opened in sockets:
            opened.close()


def listens(host: str, port: int, timeout_s: float = 1.0) -> bool:
    """Tell whether something listens on that address."""
    with contextlib.closing(socket.socket()) as probe:
        probe.settimeout(timeout_s)
        return probe.connect_ex((host, port)) == 0


def own_address() -> str:
    """The address by which other nodes, and Ray's workers, reach this machine."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing; the route decides the address
        return probe.getsockname()[0]
    return LOCAL


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


@contextlib.contextmanager
def seldom_full_collections() -> Iterator[None]:
    """Spare an event loop the pauses in which Python's garbage collector looks at everything.

    What the libraries loaded, 400,000 objects with transformers, takes 0.3 s each time; here it is
    left out. A full collection otherwise comes whenever a quarter more objects have stayed; here it
    comes with each 7 million. Nothing piles up until then: an episode leaves two or three objects
    that only a full collection frees.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(before[0], before[1], 1000)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def compute_with_avx2(cpuinfo: Path = Path("/proc/cpuinfo")) -> None:
    """Let PyTorch and MKL compute with AVX2 where there is more, as on most other machines.

    AVX-512 adds in another order, so the last digits of weights would depend on the machine. Call
    it before the first tensor is made. What the environment says already stays; a processor
    without AVX2 keeps what it has.
    """
    with contextlib.suppress(OSError):
        if " avx2 " in cpuinfo.read_text(encoding="utf-8", errors="replace"):
            os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx2")
            os.environ.setdefault("MKL_CBWR", "AVX2")
