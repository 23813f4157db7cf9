"""Jobs in a container: --sdm apptainer with a stand-in for apptainer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fake_apptainer import add_to_container, install

pytestmark = pytest.mark.workflow


@pytest.fixture
def started(tmp_path: Path, monkeypatch) -> Path:
    """The log of the stand-in, which is first on PATH."""
    for name in ("PATH", "APPTAINER_LOG"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # put back at the end
    return install(tmp_path / "bin", os.environ)


def test_jobs_find_what_was_added_to_the_container(project, started: Path) -> None:
    used = add_to_container(project.folder)
    outcome = project.run(
        *("data/telecom_small_tasks.jsonl", "--cores", "1", "--config", "backend=cpu"),
        *("--sdm", "apptainer", "--apptainer-args=--nv"),
    )
    assert outcome.status == 0, outcome.text
    assert used.exists()
    (words,) = started.read_text().splitlines()
    assert words.startswith(f"exec --home {project.folder} --nv")


def test_without_additions_the_container_itself_is_used(project, started: Path) -> None:
    outcome = project.run(
        *("data/telecom_small_tasks.jsonl", "--cores", "1", "--config", "backend=cpu"),
        *("--sdm", "apptainer"),
    )
    # The stand-in's PATH has no Python with tau2, as an image without the additions.
    assert outcome.status != 0
    assert "No module named" in outcome.text or "python: command not found" in outcome.text
