"""The workflow starts, and makes the same files, in a locale that is not UTF-8."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from test_text_encoding import foreign

pytestmark = pytest.mark.workflow

TASKS = "data/telecom_train_tasks.jsonl"


def test_start_and_first_stage(project, tmp_path) -> None:
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--forceall", TASKS]
    made = []
    for env in (None, foreign(tmp_path, "ISO-8859-1" if shutil.which("localedef") else "C")):
        outcome = subprocess.run(command, cwd=project.folder, env=env, capture_output=True)
        assert outcome.returncode == 0, outcome.stderr.decode(errors="replace")
        made.append((project.folder / TASKS).read_bytes())
    assert made[0] == made[1]
