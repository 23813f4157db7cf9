"""What a Python process used, written as it ends: demo.py puts this folder on PYTHONPATH.

Python imports a module of this name first of all. One JSON line a process goes to the file that
PROCESSES names; a killed process writes none.
"""

import atexit
import json
import os
import resource
import sys
import time


def _write(began: float) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    line = {
        "program": os.path.basename(sys.argv[0]) if sys.argv else "",
        "began": began,
        "ended": time.time(),
        "cpu": used.ru_utime + used.ru_stime,
        "memory_mib": used.ru_maxrss / 1024,
    }
    with open(os.environ["PROCESSES"], "a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


if os.environ.get("PROCESSES"):
    atexit.register(_write, time.time())
