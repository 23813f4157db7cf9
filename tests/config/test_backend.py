"""Backends: what auto takes where, and what asking for slime without it says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tau2_agent.config import backend
from tau2_agent.training.slime.install import InstallError


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """Pretend a machine with so many GPUs, with or without slime."""

    def pretend(gpus: int, slime: bool) -> None:
        def find_install():
            if not slime:
                raise InstallError("the slime backend misses the source folder of slime.")

        monkeypatch.setattr(backend, "visible_gpus", lambda: gpus)
        monkeypatch.setattr(backend, "find_install", find_install)

    return pretend


def make_devices(folder: Path, count: int) -> Path:
    for name in ["nvidiactl", "nvidia-uvm", "null", *(f"nvidia{n}" for n in range(count))]:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("visible", "expected"),
    [(None, 4), ("", 0), ("-1", 0), ("2", 1), ("0,3", 2), ("0,-1,1", 1), ("0,1,2,3,4,5", 4)],
)
def test_visible_gpus(tmp_path: Path, monkeypatch, visible: str | None, expected: int) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert backend.visible_gpus(make_devices(tmp_path, 4)) == expected


def test_no_device_files_mean_no_gpu(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert backend.visible_gpus(make_devices(tmp_path, 0)) == 0


@pytest.mark.parametrize(
    ("gpus", "slime", "remote", "container", "expected"),
    [
        (0, False, False, False, "cpu"),
        (0, True, False, False, "cpu"),
        (2, False, False, False, "cpu"),
        (2, True, False, False, "slime"),
        (2, False, False, True, "slime"),  # the container brings slime
        (0, False, False, True, "cpu"),
        (0, False, True, False, "slime"),  # a login node says nothing about the cluster
    ],
)
def test_auto(machine, gpus: int, slime: bool, remote: bool, container: bool, expected: str):
    machine(gpus, slime)
    chosen = backend.choose("auto", remote=remote, container=container)
    assert chosen.name == expected
    assert chosen.reason


@pytest.mark.parametrize("wanted", ["cpu", "slime"])
def test_a_wish_is_kept_and_its_origin_named(machine, wanted: str) -> None:
    machine(2, True)
    assert backend.choose(wanted, "preset x") == (wanted, "set by preset x")
    assert backend.choose(wanted, "preset x", remote=True).name == wanted


def test_slime_without_gpu_and_source_names_both(machine) -> None:
    machine(0, False)
    with pytest.raises(backend.BackendUnavailable) as caught:
        backend.require("slime", 2)
    for part in ("no NVIDIA GPU", "source folder of slime", "--config backend=cpu preset=demo"):
        assert part in str(caught.value)


def test_more_gpus_than_here_names_both_numbers(machine) -> None:
    machine(1, True)
    with pytest.raises(backend.BackendUnavailable, match=r"resources.gpus is 2, but 1 GPU"):
        backend.require("slime", 2)
    backend.require("slime", 1)


def test_container_needs_the_gpu_only(machine) -> None:
    machine(2, False)
    backend.require("slime", 2, container=True)
    with pytest.raises(backend.BackendUnavailable):
        backend.require("slime", 2)


def test_cpu_needs_nothing(machine) -> None:
    machine(0, False)
    backend.require("cpu", 0)
