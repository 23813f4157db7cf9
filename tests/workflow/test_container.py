"""Jobs in a container: --sdm apptainer with a stand-in for apptainer, which this machine may lack.

The stand-in does what matters to a job's command: it starts a shell in the project's folder with an
environment that has the container's PATH, not Snakemake's.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow

APPTAINER = """#!/bin/bash
# exec --home FOLDER [options] IMAGE bash -c COMMAND | pull --name FILE URL | --version
case "$1" in
--version) echo "apptainer version 1.3.0"; exit ;;
esac
for word; do
    [ "$word" = pull ] && pull=1
    [ -n "$name" ] && { touch "$word"; name=; }
    [ "$word" = --name ] && name=1
done
[ -n "$pull" ] && exit
echo "$*" >>"$APPTAINER_LOG"
exec env -i PATH=/usr/bin:/bin HOME="$PWD" "${@: -3:1}" "${@: -2:1}" "${@: -1}"
"""


@pytest.fixture
def shim(tmp_path: Path, monkeypatch) -> Path:
    """A folder on PATH with the stand-in; returns its log, a line for each container started."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("apptainer", "singularity"):
        (folder / name).write_text(APPTAINER)
        (folder / name).chmod(0o755)
    log = tmp_path / "apptainer.log"
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("APPTAINER_LOG", str(log))
    return log


def test_jobs_find_what_was_added_to_the_container(project, shim: Path) -> None:
    python = project.folder / ".venv-gpu" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/bash\ntouch "{project.folder}/used"\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    outcome = project.run(
        *("data/telecom_small_tasks.jsonl", "--cores", "1", "--config", "backend=cpu"),
        *("--sdm", "apptainer", "--apptainer-args=--nv"),
    )
    assert outcome.status == 0, outcome.text
    assert (project.folder / "used").exists()
    (started,) = shim.read_text().splitlines()
    assert started.startswith(f"exec --home {project.folder} --nv")


def test_without_additions_the_container_itself_is_used(project, shim: Path) -> None:
    outcome = project.run(
        *("data/telecom_small_tasks.jsonl", "--cores", "1", "--config", "backend=cpu"),
        *("--sdm", "apptainer"),
    )
    # The stand-in's PATH has no Python with tau2, as an image without the additions.
    assert outcome.status != 0
    assert "No module named" in outcome.text or "python: command not found" in outcome.text
