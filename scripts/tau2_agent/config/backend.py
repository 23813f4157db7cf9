"""Which engine trains and serves: slime on NVIDIA GPUs, or TRL on the CPU.

Looks at device files and module paths only, since this runs at each start of the workflow: nothing
heavy is imported and no GPU is touched. Versions are the preflight's business.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from tau2_agent.errors import PipelineError
from tau2_agent.gpus import visible_gpus
from tau2_agent.training.slime.install import InstallError, find_install


class BackendUnavailable(PipelineError):
    """The wanted backend cannot run here; the message names what is missing and what to do."""


class Backend(NamedTuple):
    """A backend's name and, in a few words, why it was taken."""

    name: str
    reason: str


def choose(
    wanted: str, wanted_by: str = "config", remote: bool = False, container: bool = False
) -> Backend:
    """Return the backend to use.

    wanted: "auto", "slime" or "cpu"; wanted_by: who says so, for the reason.
    remote: jobs run elsewhere, on a cluster. This machine then says nothing about them: auto means
        slime, so that a login node without a GPU never turns a cluster run into the CPU demo.
    container: jobs run in slime's container, so that only the GPU must be here.
    """
    if wanted != "auto":
        return Backend(wanted, f"set by {wanted_by}")
    if remote:
        return Backend("slime", "jobs run on a cluster")
    gpus = visible_gpus()
    if gpus == 0:
        return Backend("cpu", "no NVIDIA GPU here")
    if not container and _slime_fault() is not None:
        return Backend("cpu", "an NVIDIA GPU is here, but not the whole of slime")
    return Backend("slime", f"{gpus} NVIDIA GPU(s) and slime are here")


def require(backend: str, gpus: int, container: bool = False) -> None:
    """Check that `backend` can run on this machine with `gpus` GPUs at a time.

    container: as in `choose`. Raises BackendUnavailable with everything that is missing.
    """
    if backend != "slime":
        return
    here = visible_gpus()
    faults = []
    if here == 0:
        hidden = "CUDA_VISIBLE_DEVICES" in os.environ
        faults.append("no NVIDIA GPU" + (", CUDA_VISIBLE_DEVICES may hide it" if hidden else ""))
    elif gpus > here:
        faults.append(
            f"resources.gpus is {gpus}, but {here} GPU(s) are here: take a preset for {here}, or "
            "set resources.gpus and slime.tensor_parallel"
        )
    slime_fault = None if container else _slime_fault()
    if slime_fault is not None:
        faults.append(slime_fault)
    if faults:
        raise BackendUnavailable(
            "backend slime cannot run here.\n"
            + "".join(f"- {fault}\n" for fault in faults)
            + "Run it on a GPU machine in slime's container or on a cluster (--profile slurm), "
            "or the demo on this machine: --config backend=cpu preset=demo"
        )


def _slime_fault() -> str | None:
    try:
        find_install()
    except InstallError as error:
        return str(error)
    return None
