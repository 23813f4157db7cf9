"""The arithmetic of benchmarks/demo.py, on a workflow whose times are given."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import demo
import pytest


def job(rule: str, began: float, ended: float):
    return demo.Job(rule, began, ended, f"python scripts/{rule}.py --x 1")


# Two cores. a and b run beside one another, then c, then d.
JOBS = [job("a", 1, 3), job("b", 1, 2), job("c", 3.5, 13.5), job("d", 14, 16)]
PROCESSES = [
    demo.Process("a.py", 1.1, 2.9, 1.5, 100),
    demo.Process("b.py", 1.1, 1.9, 0.8, 50),
    demo.Process("c.py", 3.6, 13.4, 18.0, 900),
    demo.Process("d.py", 14.1, 15.9, 1.0, 70),
    demo.Process("snakemake", 0.1, 17, 1.2, 200),
]


def test_the_path_is_what_the_end_waited_for() -> None:
    assert [one.rule for one in demo.critical_path(JOBS, 17)] == ["a", "c", "d"]
    # b is late: then c waited for it and not for a
    late = [job("a", 1, 2), job("b", 1, 3), *JOBS[2:]]
    assert [one.rule for one in demo.critical_path(late, 17)] == ["b", "c", "d"]


def test_each_stage_has_its_seconds_and_all_of_them_make_the_demo() -> None:
    stages = {stage.rule: stage for stage in demo.by_stage(JOBS, PROCESSES, 0, 17)}
    assert list(stages) == ["a", "b", "c", "d", demo.BETWEEN]
    assert stages["c"] == ("c", 10, 18.0, 10, 900)
    assert stages["b"].path == 0
    # before 1, between 0.5 and 0.5, after 1
    assert stages[demo.BETWEEN] == (demo.BETWEEN, 3, 1.2, 3, 200)
    assert sum(stage.path for stage in stages.values()) == 17


def test_waiting_is_the_share_of_idle_cores() -> None:
    assert demo.waiting(10, 18, 2) == "10%"
    assert demo.waiting(10, 20.5, 2) == "0%"  # the clocks differ by a little
    lines = demo.rows(demo.by_stage(JOBS, PROCESSES, 0, 17), 2, 17)
    assert lines[2][:6] == ["c", "10.0", "18.0", "10%", "10.0", "29%"]
    assert lines[-1][:5] == ["all", "17.0", "22.5", "34%", "17.0"]


def test_seconds_of_jobs_that_overlap_count_once() -> None:
    assert demo.covered([job("a", 0, 4), job("a", 1, 2), job("a", 3, 6), job("a", 8, 9)]) == 7


def test_jobs_are_read_from_what_snakemake_keeps(tmp_path) -> None:
    metadata = tmp_path / ".snakemake" / "metadata"
    metadata.mkdir(parents=True)
    for name, rule, began in [("x", "a", 1.001), ("y", "a", 1.004), ("z", "b", 0.5)]:
        row = {"rule": rule, "starttime": began, "endtime": 2.0, "shellcmd": f"make {rule}"}
        (metadata / base64.b64encode(name.encode()).decode()).write_text(json.dumps(row))
    read = demo.read_jobs(tmp_path)
    assert [(one.rule, one.command) for one in read] == [("b", "make b"), ("a", "make a")]


@pytest.mark.parametrize("code", ["x = sum(i * i for i in range(10**6))", "raise SystemExit(3)"])
def test_a_process_says_at_its_end_what_it_used(tmp_path, monkeypatch, code) -> None:
    program = tmp_path / "program.py"
    program.write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(Path(demo.__file__).parent / "at_exit"))
    monkeypatch.setenv("PROCESSES", str(tmp_path / "said"))
    subprocess.run([sys.executable, program])
    (line,) = (tmp_path / "said").read_text().splitlines()
    used = demo.Process(**json.loads(line))
    assert used.program == "program.py"
    assert 0 < used.ended - used.began < 60
    assert 0 < used.cpu < 60 and used.memory_mib > 1
