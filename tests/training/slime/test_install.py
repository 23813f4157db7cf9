"""Where slime is looked for, and which copies of it are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tau2_agent.training.slime import install as slime_install
from tau2_agent.training.slime.install import MASK_FIX, InstallError, find_install


def source(folder: Path, fixed: bool = True) -> Path:
    """A folder that looks like slime's source."""
    masks = folder / "slime" / "utils" / "mask_utils.py"
    masks.parent.mkdir(parents=True)
    masks.write_text(f"# {MASK_FIX}\n" if fixed else "")
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
    monkeypatch.syspath_prepend(str(source(tmp_path / "of the image", fixed=False)))
    with pytest.raises(InstallError, match="setup-gpu"):
        find_install()
    source(project / ".slime")
    assert find_install().slime == (project / ".slime").resolve()


def test_a_named_source_goes_before_all_others(project: Path, tmp_path: Path, monkeypatch) -> None:
    source(project / ".slime")
    mine = source(tmp_path / "mine")
    monkeypatch.setenv("SLIME_HOME", str(mine))
    assert find_install().slime == mine.resolve()


def test_an_old_source_is_refused(project: Path) -> None:
    source(project / ".slime", fixed=False)
    with pytest.raises(InstallError, match="consecutive tool messages"):
        find_install()


def test_what_is_missing_is_named(project: Path, tmp_path: Path, monkeypatch) -> None:
    source(project / ".slime")
    monkeypatch.setattr(slime_install, "NEEDED_MODULES", ("torch", "no_such_engine"))
    with pytest.raises(InstallError, match=r"the package no_such_engine.*setup-gpu"):
        find_install()


def test_a_named_folder_that_is_no_source_is_an_error(project: Path, monkeypatch) -> None:
    monkeypatch.setenv("SLIME_HOME", str(project.parent))
    with pytest.raises(InstallError, match=r"is no slime source folder: it has no train\.py"):
        find_install()
