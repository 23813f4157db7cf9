"""Snakemake in a copy of the repository, as a user would run it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from project_copy import TINY, Project, copy_repository


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh copy in which nothing was made yet."""
    return copy_repository(tmp_path)


@pytest.fixture(scope="session")
def tiny_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy in which the whole CPU pipeline ran once, at the smallest size."""
    project = copy_repository(tmp_path_factory.mktemp("tiny"))
    shutil.copy2(TINY, project.folder / "tiny.yaml")
    outcome = project.run("--cores", "2", "--configfile", "tiny.yaml")
    assert outcome.status == 0, outcome.text
    return project


@pytest.fixture
def tiny_copy(tiny_project: Project, tmp_path: Path) -> Project:
    """The finished tiny pipeline, copied, for tests that change it."""
    folder = tmp_path / "copy"
    shutil.copytree(tiny_project.folder, folder, symlinks=True)
    return Project(folder)


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Poll a condition; fail if it does not come true in time."""

    def wait(condition: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen in {seconds:.0f} s"
            time.sleep(0.05)

    return wait
