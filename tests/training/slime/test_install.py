"""Where slime is looked for, and which copies of it are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tau2_agent.training.slime import install as slime_install
from tau2_agent.training.slime.install import InstallError, find_install


def source(folder: Path) -> Path:
    """A folder that looks like slime's source."""
    (folder / "slime").mkdir(parents=True)
    (folder / "train.py").touch()
    return folder


@pytest.fixture
def project(tmp_path: Path, monkeypatch) -> Path:
    """A project folder, and a Megatron-LM beside it; nothing of the machine's own counts."""
    megatron = tmp_path / "Megatron-LM"
    (megatron / "megatron" / "training").mkdir(parents=True)
    monkeypatch.setenv("MEGATRON_HOME", str(megatron))
    monkeypatch.delenv("SLIME_HOME", raising=False)
    monkeypatch.setattr(slime_install, "NEEDED_MODULES", ())
    monkeypatch.setattr(slime_install, "SCRIPTS", tmp_path / "project" / "scripts")
    return tmp_path / "project"


def test_the_source_of_setup_gpu_goes_before_what_python_imports(
    project: Path, tmp_path: Path, monkeypatch
) -> None:
    of_the_image = source(tmp_path / "of the image")
    monkeypatch.syspath_prepend(str(of_the_image))
    assert find_install().slime == of_the_image.resolve()
    source(project / ".slime")
    assert find_install().slime == (project / ".slime").resolve()


def test_a_named_source_goes_before_all_others(project: Path, tmp_path: Path, monkeypatch) -> None:
    source(project / ".slime")
    mine = source(tmp_path / "mine")
    monkeypatch.setenv("SLIME_HOME", str(mine))
    assert find_install().slime == mine.resolve()


def test_what_is_missing_is_named(project: Path, tmp_path: Path, monkeypatch) -> None:
    source(project / ".slime")
    monkeypatch.setattr(slime_install, "NEEDED_MODULES", ("torch", "no_such_engine"))
    with pytest.raises(InstallError, match=r"the package no_such_engine.*setup-gpu"):
        find_install()


def test_a_named_folder_that_is_no_source_is_an_error(project: Path, monkeypatch) -> None:
    monkeypatch.setenv("SLIME_HOME", str(project.parent))
    with pytest.raises(InstallError, match=r"is no slime source folder: it has no train\.py"):
        find_install()
