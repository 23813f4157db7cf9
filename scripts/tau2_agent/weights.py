"""Weights in safetensors files: can they be opened, and is every number finite?

A file that is only a Git LFS pointer, or was cut, must fail where the model is fetched, not hours
later; a model with a NaN in it is no result of a training.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError, safe_open

from tau2_agent.errors import PipelineError
from tau2_agent.memory import OutOfMemory, is_out_of_memory

LFS_POINTER = b"version https://git-lfs.github.com/spec"


class WeightsError(PipelineError):
    """Weights that cannot be used: names the file and what to do."""


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files at the top of a model's folder."""
    return sorted(folder.glob("*.safetensors"))


def require_readable(folder: Path) -> None:
    """Open every weight file as far as its header says how long it is. Raises WeightsError."""
    files = weight_files(folder)
    if not files:
        raise WeightsError(f"{folder} has no *.safetensors: not the weights of a model")
    for file in files:
        with open(file, "rb") as stream:
            if stream.read(len(LFS_POINTER)) == LFS_POINTER:
                raise WeightsError(
                    f"{file} is a Git LFS pointer, not weights; run `git lfs pull` there, or "
                    "download the model again"
                )
        try:
            with safe_open(file, framework="pt") as weights:
                weights.keys()
        except SafetensorError as error:
            if is_out_of_memory(error):
                raise OutOfMemory(error, f"opening {file}") from None
            raise WeightsError(
                f"{file} is damaged or cut ({error}); download or copy the model again"
            ) from None


def first_not_finite(folder: Path) -> str | None:
    """Name a tensor that holds a NaN or an infinity, with its file; None if all are finite.

    Reads every weight once, one tensor at a time.
    """
    return next(_not_finite(folder), None)


def _not_finite(folder: Path) -> Iterator[str]:
    import torch

    for file in weight_files(folder):
        with safe_open(file, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 - no mapping
                tensor = weights.get_tensor(name)
                if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                    yield f"{name} in {file.name}"
