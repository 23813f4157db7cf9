"""Work in copies of the project, many at a time: order, failures, stops, and what is shared."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import copies
import pytest
from copies import Job, copy_of, copy_project, run_all, snakemake

from tau2_agent.errors import PipelineError

EXPERIMENTS = Path(copies.__file__).parent


def test_jobs_keep_their_order_and_their_number_at_once():
    running, most, order, lock = set(), [], [], threading.Lock()

    def work(name):
        with lock:
            running.add(name)
            most.append(len(running))
            order.append(name)
        time.sleep(0.02)
        running.discard(name)

    jobs = [Job(str(i), lambda i=i: work(i), after=("0",) if i else ()) for i in range(8)]
    assert run_all(jobs, 3) == 0
    assert max(most) <= 3 and order[0] == 0 and sorted(order) == list(range(8))
    order.clear()
    assert run_all(jobs, 1) == 0 and order == list(range(8))


def test_a_failure_takes_only_what_needs_it(capsys):
    done = []

    def fails():
        raise PipelineError("no disk")

    jobs = [
        Job("a", fails),
        Job("b", lambda: done.append("b"), after=("a",)),
        Job("c", lambda: done.append("c")),
        Job("d", lambda: 1 / 0),
    ]
    assert run_all(jobs, 2) == 3 and done == ["c"]
    said = capsys.readouterr().out
    assert "a: failed: no disk" in said and "b: failed: needs a, which failed" in said
    assert "d: failed: ZeroDivisionError" in said


def test_a_copy_shares_nothing_and_is_whole_or_not_there(tmp_path, monkeypatch):
    source = tmp_path / "shared"
    (source / "checkpoints/.store/x-1").mkdir(parents=True)
    (source / "checkpoints/.store/x-1/weights").write_text("1")
    (source / "checkpoints/x").symlink_to(".store/x-1")
    one = copy_of(source, tmp_path / "one")
    (one / "checkpoints/x/weights").write_text("2")
    assert (source / "checkpoints/x/weights").read_text() == "1"
    assert (copy_of(source, one) / "checkpoints/x/weights").read_text() == "2"  # not made again

    def cut(*_, **__):
        raise OSError("full")

    monkeypatch.setattr(copies.shutil, "copytree", cut)
    with pytest.raises(OSError, match="full"):
        copy_of(source, tmp_path / "two")
    assert not (tmp_path / "two").exists()


RULES = """
rule all:
    output: "made"
    shell: "echo $$ > pid; sleep {config[wait]}; echo {config[section][value]} {threads} > {output}"
"""


@pytest.mark.workflow
def test_snakemake_is_told_and_its_failure_names_the_log(tmp_path):
    (tmp_path / "Snakefile").write_text(RULES)
    config = {"wait": 0, "section": {"value": 1.5e-4}}
    snakemake(tmp_path, ["made"], config)
    assert (tmp_path / "made").read_text().split() == ["0.00015", "1"]
    with pytest.raises(PipelineError, match=r"snakemake ended with 1; see .*experiment\.log"):
        snakemake(tmp_path, ["nothing"], config)
    assert "nothing" in (tmp_path / "experiment.log").read_text()


@pytest.mark.workflow
def test_a_stop_ends_all_that_was_started(tmp_path):
    (tmp_path / "Snakefile").write_text(RULES)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from copies import Job, run_all, snakemake\n"
        "config = {'wait': 600, 'section': {'value': 1}}\n"
        "work = lambda: snakemake(Path(sys.argv[2]), ['made'], config)\n"
        "run_all([Job('a', work), Job('b', work, after=('a',))], 1)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(EXPERIMENTS), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    pid = tmp_path / "pid"
    until = time.monotonic() + 60
    while not (pid.exists() and pid.read_text().strip()):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "goes on where it stopped" in said
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_the_project_is_copied_without_what_was_made_in_it(tmp_path):
    folder = copy_project(tmp_path / "project")
    names = {path.name for path in folder.iterdir()}
    assert names == set(copies.PROJECT)
    assert not list(folder.rglob("__pycache__"))
