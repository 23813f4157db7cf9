"""Jobs of one user on one machine take GPUs of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tau2_agent import gpus

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
TAKE = """
import os, sys, time
from pathlib import Path
from tau2_agent import gpus
gpus.visible_gpus.__defaults__ = (Path(sys.argv[1]),)
print(gpus.take_gpus(int(sys.argv[2]), Path(sys.argv[1])), os.environ.get("CUDA_VISIBLE_DEVICES"))
sys.stdout.flush()
time.sleep(600)
"""


@pytest.fixture
def job(tmp_path):
    """A function that starts a job which takes GPUs of a machine with four, and says which."""
    for number in range(4):
        (tmp_path / f"nvidia{number}").touch()
    started = []

    def start(count: int, visible: str | None = None) -> tuple[subprocess.Popen, list[str]]:
        environment = {k: v for k, v in os.environ.items() if k != gpus.VISIBLE}
        environment |= {} if visible is None else {gpus.VISIBLE: visible}
        words = [sys.executable, "-c", TAKE, tmp_path, str(count)]
        process = subprocess.Popen(
            words, env=environment, cwd=SCRIPTS, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        lines = [process.stdout.readline()]
        while not lines[-1].startswith("["):
            lines.append(process.stdout.readline())
        return process, lines

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_two_jobs_share_no_gpu_and_a_killed_one_gives_its_back(job) -> None:
    first, said = job(2)
    assert said == ["['0', '1'] 0,1\n"]
    assert job(2)[1] == ["['2', '3'] 2,3\n"]
    first.kill()
    first.wait()
    assert job(1)[1] == ["['0'] 0\n"]


def test_two_jobs_each_with_a_user_that_is_served_beside(job) -> None:
    """with_user_model.py takes the server's GPUs and hands the others on; the training takes its
    own of those."""
    first_user, first = job(1)[1], job(1, "1,2,3")[1]
    second_user, second = job(1)[1], job(1, "0,1,3")[1]
    taken = [said for (said,) in (first_user, first, second_user, second)]
    assert taken == [f"['{number}'] {number}\n" for number in range(4)]


def test_what_hides_gpus_is_kept(job) -> None:
    assert job(1, "3,1")[1] == ["['3'] 3\n"]
    assert job(1, "3,1")[1] == ["['1'] 1\n"]
    assert job(1, "GPU-ab,GPU-cd")[1] == ["['GPU-ab'] GPU-ab\n"]


def test_too_few_are_shared_and_it_is_said(job) -> None:
    job(3)
    warning, said = job(2)[1]
    assert "warning: GPU 0: another job of yours uses it" in warning
    assert said == "['0', '3'] 0,3\n"


def test_all_of_them_hides_none(job) -> None:
    assert job(4)[1] == ["['0', '1', '2', '3'] None\n"]
