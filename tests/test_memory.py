"""A lack of memory is told from everything else, whatever library says it."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from tau2_agent.errors import InputError
from tau2_agent.memory import OutOfMemory, advice, is_out_of_memory

TOO_MUCH = 2**55  # elements: no machine has so many


def raised(call) -> Exception:
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("there was memory enough")


LACKS = [
    raised(lambda: torch.empty(TOO_MUCH)),
    raised(lambda: np.empty(TOO_MUCH)),
    raised(lambda: bytearray(TOO_MUCH)),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
    RuntimeError("unable to mmap 4096 bytes from file <x>: Cannot allocate memory (12)"),
    SafetensorError("Cannot allocate memory (os error 12)"),
    OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
]


@pytest.mark.parametrize("error", LACKS, ids=lambda error: f"{type(error).__name__}: {error}"[:40])
def test_what_libraries_say_without_memory(error) -> None:
    assert is_out_of_memory(error)
    assert is_out_of_memory(ExceptionGroup("together", [ValueError("x"), error]))
    outer = RuntimeError("a batch failed")
    outer.__cause__ = error
    said = str(OutOfMemory(outer, "loading models/x"))
    assert said.startswith("loading models/x: not enough memory") and "\n" not in said
    assert "a batch failed" not in said and "resources.memory_gb" in said


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"),
        OSError(errno.EACCES, "denied"),
        InputError("--context-length: out of memory of the model"),  # a sentence of ours
        KeyError("out of memory"),
        OSError("libgomp.so.1: cannot allocate memory in static TLS block"),  # the order of imports
        OSError(errno.ENOSPC, "No space left on device"),
    ],
)
def test_anything_else_is_none(error) -> None:
    assert not is_out_of_memory(error)


def test_a_log_that_says_so_is_followed_by_advice() -> None:
    assert "docs/gpus.md" in advice("x\nRayTaskError: torch.OutOfMemoryError: CUDA out of memory.")
    assert advice("RuntimeError: NCCL error") == ""
