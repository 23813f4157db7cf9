"""What this machine has that a long job may miss: GPUs, versions, disk, loopback, proxies.

Everything is asked from outside: no CUDA context is made and torch is not imported, so that all of
it takes a second. Whether it is enough is the question of checks.py.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import os
import re
import resource
import shutil
import socket
import subprocess
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from tau2_agent.processes import own_address

GPU_QUERY = "index,uuid,name,memory.total,memory.free,driver_version"
MIB_PER_GIB = 1024


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU that this process may use; memory in GiB."""

    name: str
    total_gib: float
    free_gib: float


@dataclass(frozen=True)
class Machine:
    """Facts about this machine; None where it does not say.

    driver_cuda: newest CUDA that the driver runs. torch_cuda: the one torch was built with.
    shared_memory: free bytes of /dev/shm. open_files: the limit of this process. proxied: own
    addresses that an HTTP client would reach through a proxy. loopback: why a connection to
    127.0.0.1 fails, "" if it works.
    """

    gpus: tuple[Gpu, ...] = ()
    driver: str | None = None
    driver_cuda: tuple[int, int] | None = None
    torch_cuda: tuple[int, int] | None = None
    shared_memory: int | None = None
    open_files: int = 1 << 20
    proxied: tuple[str, ...] = ()
    loopback: str = ""
    address: str = field(default="127.0.0.1")


def look() -> Machine:
    """Collect the facts of this machine, as far as this process may use it."""
    gpus, driver = _gpus()
    address = own_address()
    return Machine(
        gpus=gpus,
        driver=driver,
        driver_cuda=_version(r"CUDA Version: *(\d+)\.(\d+)", _run("nvidia-smi"))
        if driver
        else None,
        torch_cuda=_torch_cuda(),
        shared_memory=free_bytes(Path("/dev/shm")),
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        proxied=_proxied(["127.0.0.1", "localhost", address]),
        loopback=_loopback_fault(),
        address=address,
    )


def free_bytes(folder: Path) -> int | None:
    """Free bytes for this user where `folder` is or will be, None if nothing of it exists."""
    for place in [folder.absolute(), *folder.absolute().parents]:
        with contextlib.suppress(OSError):
            return shutil.disk_usage(place).free
    return None


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; 0 if it is not there."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # a trainer may just have deleted it
                total += os.lstat(os.path.join(root, name)).st_size
    return total


def _gpus() -> tuple[tuple[Gpu, ...], str | None]:
    listed = _run("nvidia-smi", f"--query-gpu={GPU_QUERY}", "--format=csv,noheader,nounits")
    rows = [[cell.strip() for cell in row] for row in csv.reader(listed.splitlines())]
    rows = [row for row in rows if len(row) == 6 and row[3].isdigit() and row[4].isdigit()]
    if not rows:
        return (), None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        wanted = [name.strip() for name in visible.split(",")]
        rows = [
            row
            for row in rows
            if row[0] in wanted or any(w and row[1].startswith(w) for w in wanted)
        ]
    gpus = (Gpu(row[2], int(row[3]) / MIB_PER_GIB, int(row[4]) / MIB_PER_GIB) for row in rows)
    return tuple(gpus), rows[0][5] if rows else None


def _torch_cuda() -> tuple[int, int] | None:
    """The CUDA of torch, read from its version file: importing it takes seconds."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    with contextlib.suppress(OSError):
        text = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")
        return _version(r"^cuda[^=\n]*= *['\"](\d+)\.(\d+)", text)
    return None


def _version(pattern: str, text: str) -> tuple[int, int] | None:
    match = re.search(pattern, text, re.MULTILINE)
    return (int(match[1]), int(match[2])) if match else None


def _proxied(hosts: list[str]) -> tuple[str, ...]:
    proxies = urllib.request.getproxies_environment()
    if not any(proxies.get(kind) for kind in ("http", "all")):
        return ()
    return tuple(
        dict.fromkeys(h for h in hosts if not urllib.request.proxy_bypass_environment(h, proxies))
    )


def _loopback_fault() -> str:
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=3).close()
    except OSError as error:
        return str(error)
    return ""


def _run(*command: str) -> str:
    try:
        result = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout if result.returncode == 0 else ""
