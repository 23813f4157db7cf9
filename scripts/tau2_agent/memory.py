"""A lack of memory, of the machine or of a GPU: known by what libraries raise and print.

PyTorch has a type of its own for GPUs only; for the machine's memory it raises a RuntimeError, and
safetensors and the system have their own words. What the system ends by SIGKILL says nothing.
"""

from __future__ import annotations

import errno
import re
import textwrap

from tau2_agent.errors import PipelineError, causes

_SAYS_SO = re.compile(
    r"out of memory|can(?:'t|not) allocate memory(?! in static TLS)|not enough memory|bad_alloc"
    r"|CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_ALLOC_FAILED",
    re.IGNORECASE,
)
REMEDY = (
    "end what else holds memory (`free -h`, `nvidia-smi` name it), take a machine with more (on a "
    "cluster, raise resources.memory_gb), or lower what a batch holds: docs/gpus.md, When memory "
    "is short. The same command resumes"
)


class OutOfMemory(PipelineError):
    """The memory of this machine or of a GPU is not enough: says for what, and what to do."""

    def __init__(self, error: BaseException, doing: str = "") -> None:
        reason = next((str(cause) for cause in causes(error) if _is_lack(cause)), "")
        shown = textwrap.shorten(reason, 300, placeholder=" …")
        super().__init__(
            f"{f'{doing}: ' if doing else ''}not enough memory{f' ({shown})' if shown else ''}; "
            f"{REMEDY}"
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether `error`, or one that it came from, says that memory is not enough."""
    return any(map(_is_lack, causes(error)))


def advice(log: str) -> str:
    """What to do, as a sentence, if a program's log says that memory was not enough; else ""."""
    return f"Memory was not enough: {REMEDY}. " if _SAYS_SO.search(log) else ""


def _is_lack(error: BaseException) -> bool:
    name = type(error).__name__  # the libraries' own types would take their import to compare with
    if isinstance(error, MemoryError) or name == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    from_below = isinstance(error, RuntimeError | OSError) or name == "SafetensorError"
    return from_below and bool(_SAYS_SO.search(str(error)))
