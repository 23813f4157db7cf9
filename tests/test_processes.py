"""Freed memory stays with the process: counted in page faults, which do not depend on time."""

import resource
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "scripts"
MEGABYTES = 36  # above what malloc keeps by itself, 32
PROGRAM = f"""
import resource, sys
sys.path.insert(0, sys.argv[1])
from tau2_agent.processes import keep_freed_memory
if sys.argv[2] == "keep":
    keep_freed_memory()
def work():
    bytearray({MEGABYTES} * 2**20)
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(word: str) -> int:
    words = [sys.executable, "-c", PROGRAM, str(SCRIPTS), word]
    return int(subprocess.check_output(words, text=True))


def test_the_pages_of_freed_memory_are_used_again() -> None:
    pages = 10 * MEGABYTES * 2**20 // resource.getpagesize()
    assert faults("keep") < pages / 100
