"""The programs beside the pipeline start as their docs say: by their path, from anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = [
    path
    for folder in ("experiments", "benchmarks")
    for path in sorted((ROOT / folder).glob("*.py"))
    if "__main__" in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_it_starts_without_help_from_the_environment(program, tmp_path) -> None:
    alone = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    words = [sys.executable, str(program), "--help"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=alone)
    assert done.returncode == 0 and "usage:" in done.stdout, done.stderr
