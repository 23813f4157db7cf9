"""What a stop signal meets on its way to a program: the shell and tee around it."""

from __future__ import annotations

import signal

import psutil
import pytest

pytestmark = pytest.mark.workflow

SLOW_TO_STOP = """
import signal, sys, time
stop = []
for number in (signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda number, frame: stop.append(number))
print("working")
while not stop:
    time.sleep(0.05)
time.sleep(1)
print("saved its state")
sys.exit(128 + stop[0])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_stop_signal_to_the_whole_job_lets_the_program_save(project, wait_until, number) -> None:
    """A cluster signals every process of a job: the program's last words must not be lost."""
    (project.folder / "scripts/tau2_mock.py").write_text(SLOW_TO_STOP)
    log = project.folder / "logs/tasks_test.log"
    snakemake = project.start("data/telecom_test_tasks.jsonl", "--cores", "1")
    wait_until(lambda: log.exists() and "working" in log.read_text(), "the job's start")
    job = psutil.Process(snakemake.pid).children(recursive=True)
    assert {"bash", "tee"} <= {process.name() for process in job}
    for process in job:
        process.send_signal(number)
    text, _ = snakemake.communicate(timeout=60)
    assert snakemake.returncode != 0
    assert log.read_text().splitlines() == ["working", "saved its state"]
    assert "saved its state" in text
