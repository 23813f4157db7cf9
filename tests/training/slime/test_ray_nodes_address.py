"""How the other nodes of a job are started; tests/slurm does it for real where ray is installed."""

import sys
import time

import pytest

from tau2_agent.errors import InputError
from tau2_agent.training.slime import ray_nodes
from tau2_agent.training.slime.ray_nodes import (
    NodesError,
    other_nodes,
    require_allocation,
    workers_command,
)


def test_golden_command_of_the_other_nodes(monkeypatch):
    monkeypatch.setenv("SLURMD_NODENAME", "gpu07")
    words = workers_command(["python", "-m", "ray"], "10.0.0.7:6379", 2, gpus=8, cpus=96)
    assert " ".join(words) == (
        "srun --nodes=1 --ntasks=1 --ntasks-per-node=1 --exclude=gpu07 --gpus-per-node=8 --mem=0 "
        "--cpu-bind=none --overlap --kill-on-bad-exit=1 --export=ALL python -m ray start "
        "--address=10.0.0.7:6379 --block --disable-usage-stats --dashboard-agent-listen-port=0 "
        "--min-worker-port=0 --max-worker-port=0 --num-gpus=8 --num-cpus=96"
    )


def test_more_nodes_need_an_allocation(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    require_allocation(1)
    with pytest.raises(InputError, match="--profile slurm"):
        require_allocation(2)


def start(tmp_path, program, on_lost, nodes=2):
    return other_nodes(
        [sys.executable, "-c", program],
        {"SLURM_GPUS": "16", "SLURM_JOB_ID": "7"},
        address="",
        nodes=nodes,
        gpus=8,
        log=tmp_path / "workers.log",
        on_lost=on_lost,
        preexec=lambda: None,
        timeout_s=60,
    )


def test_workers_that_end_at_the_start_say_why(tmp_path):
    program = (
        "import os, sys; print(sorted(k for k in os.environ if k[:6] == 'SLURM_')); sys.exit(9)"
    )
    with (
        pytest.raises(NodesError, match=r"(?s)status 9 at the start.*\['SLURM_JOB_ID'\]"),
        start(tmp_path, program, lambda: None),
    ):
        pass


def test_a_lost_worker_is_told_once_and_with_its_last_words(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_nodes, "COUNT", "print('nodes 2 16')")
    told = []
    program = "import time; time.sleep(2); print('out of memory'); raise SystemExit(1)"
    with start(tmp_path, program, lambda: told.append(1)) as workers:
        while not told:
            time.sleep(0.05)
    assert told == [1]
    assert "a node of the job was lost" in workers.lost and "out of memory" in workers.lost


def test_the_end_of_the_job_is_no_loss(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_nodes, "COUNT", "print('nodes 2 16')")
    told = []
    with start(tmp_path, "import time; time.sleep(60)", lambda: told.append(1)) as workers:
        assert workers.process.poll() is None
    assert workers.process.poll() is not None
    assert not told and not workers.lost
