"""One writer at a time: the kernel's lock on an open file, which not even kill -9 leaves behind.

Used by trainings (training/resumable.py) and by files that grow episode by episode
(records/episode_log.py).
"""

from __future__ import annotations

import errno
import fcntl
import sys
import time
from pathlib import Path

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


def hold(handle: int, name: Path | str, doing: str) -> None:
    """Lock an open file until it is closed, waiting for whoever holds it.

    What is said meanwhile: "`name`: another program `doing`; waiting for it to end …". A file
    system without locks gets a warning.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _say(
            f"{name}: another program {doing}; waiting for it to end. "
            "Stop that one if it is not wanted."
        )
        began = time.monotonic()
        fcntl.flock(handle, fcntl.LOCK_EX)
        _say(f"{name}: it ended; waited {time.monotonic() - began:.0f} s")
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        _say(
            f"warning: {name} is on a file system without locks ({error.strerror}): "
            "make sure that only one program writes there"
        )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
