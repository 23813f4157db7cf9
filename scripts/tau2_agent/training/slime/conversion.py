"""Weights between Hugging Face and Megatron, through slime's own tools, whole or absent.

A conversion writes `X.partial` and renames it to X when it is complete. Which model arguments
Megatron gets is derived from the model's own `config.json` (megatron/model_args.py).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import deque
from pathlib import Path

from tau2_agent.errors import PipelineError
from tau2_agent.files import DISK_FULL_TEXTS, DiskFull
from tau2_agent.memory import advice
from tau2_agent.processes import end_with_parent, free_ports
from tau2_agent.training.megatron import checkpoints as store
from tau2_agent.training.megatron.model_args import model_arguments, read_config
from tau2_agent.training.slime.install import Install
from tau2_agent.training.slime.model_scripts import check_against_slime


class ConversionError(PipelineError):
    """A conversion that failed or left something incomplete; the message holds the tool's words."""


def to_megatron(
    install: Install,
    model: Path,
    output: Path,
    *,
    gpus: int = 1,
    name: str | None = None,
    extra: list[str] | None = None,
    python: str = sys.executable,
) -> None:
    """Convert a Hugging Face folder to torch_dist. Needs a GPU; several share the layers.

    name: the model's hub id, to find slime's script for it. Raises ConversionError, or
    ModelConfigError if slime's script says otherwise.
    """
    config = read_config(model)
    script = check_against_slime(config, install.model_scripts, name)
    agrees = f"agrees with slime's {script}.sh" if script else "slime has no script for this model"
    print(f"model arguments from {model}/config.json; {agrees}", flush=True)
    partial = _fresh(output)
    launcher = [python]
    if gpus > 1:
        launcher += ["-m", "torch.distributed.run", f"--nproc-per-node={gpus}"]
        launcher += [f"--master-port={free_ports(1)[0]}"]
    _run(
        [
            *launcher,
            str(install.slime / "tools" / "convert_hf_to_torch_dist.py"),
            *model_arguments(config),
            *("--hf-checkpoint", str(model)),
            *("--save", str(partial)),
            *(extra or []),
        ],
        install,
        partial,
    )
    try:
        store.require_weights(partial)
    except store.CheckpointError as error:
        raise ConversionError(f"the conversion ended without a whole checkpoint: {error}") from None
    os.replace(partial, output)


def to_huggingface(
    install: Install,
    checkpoint: Path,
    output: Path,
    model: Path,
    *,
    python: str = sys.executable,
) -> None:
    """Convert the last checkpoint of a Megatron folder to a Hugging Face folder, on the CPU.

    model: the Hugging Face folder that configuration and tokenizer are copied from.
    """
    store.require_weights(checkpoint)
    partial = _fresh(output)
    _run(
        [
            python,
            str(install.slime / "tools" / "convert_torch_dist_to_hf.py"),
            *("--input-dir", str(store.weights_folder(checkpoint))),
            *("--output-dir", str(partial)),
            *("--origin-hf-dir", str(model)),
            *("--vocab-size", str(read_config(model)["vocab_size"])),  # cuts Megatron's padding
        ],
        install,
        partial,
    )
    (partial / ".snakemake_timestamp").unlink(missing_ok=True)
    if not store.is_huggingface_folder(partial):
        raise ConversionError(f"the conversion left no whole Hugging Face model in {partial}")
    os.replace(partial, output)


def _fresh(output: Path) -> Path:
    """Return X.partial, without what a killed conversion left there."""
    if output.exists():
        raise ConversionError(f"{output} is there already; move it away to convert again")
    partial = output.with_name(f"{output.name}.partial")
    if partial.exists():
        shutil.rmtree(partial)
    output.parent.mkdir(parents=True, exist_ok=True)
    return partial


def _run(command: list[str], install: Install, partial: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": install.python_path(),
        "PYTHONUNBUFFERED": "1",
        "CUDA_DEVICE_MAX_CONNECTIONS": "1",
        # slime's own default port is the same for everybody on the machine
        "MASTER_PORT": str(free_ports(1)[0]),
    }
    tail: deque[str] = deque(maxlen=30)
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        preexec_fn=end_with_parent,  # an orphan would write into the next conversion's folder
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            tail.append(line)
    if process.returncode == 0:
        return
    words = "".join(tail)
    if any(text in words for text in DISK_FULL_TEXTS):
        raise DiskFull(partial.parent)
    raise ConversionError(
        f"slime's tool ended with status {process.returncode}. {advice(words)}It says:\n{words}"
    )
