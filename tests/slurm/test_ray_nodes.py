"""A job on two nodes: Ray comes up on both, the job sees all GPUs, a lost node ends it clearly.

Runs where `ray` is installed (slime's container, or `pip install ray[default]`); what it starts is
the project's own job, on two virtual nodes with pretend GPUs.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
import textwrap
from pathlib import Path

import pytest

from tau2_agent.training.slime.marked_processes import marked_processes

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed"),
]
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
GPUS = 4

# What slime's train.py is to the job: Ray's driver. It says what it sees, then trains for ever.
DRIVER = """
import json, os, sys, time
import ray
ray.init()
resources = ray.cluster_resources()
nodes = [node["Alive"] for node in ray.nodes()]
print("sees", json.dumps({"gpus": resources.get("GPU"), "nodes": sum(nodes)}), flush=True)

@ray.remote(num_gpus=GPUS)
def where():
    time.sleep(1)
    return os.environ["SLURMD_NODENAME"]

print("ran on", sorted(ray.get([where.remote(), where.remote()])), flush=True)
if "wait" in sys.argv:
    print("waiting", flush=True)
    time.sleep(600)
""".replace("GPUS", str(GPUS))

# A training program: this much of it is scripts/train_*_slime.py.
PROGRAM = """
import sys
sys.path.insert(0, {scripts!r})
from tau2_agent import cli
from tau2_agent.training.slime.job import Job
from tau2_agent.training.slime.ray_head import RayOptions

def main():
    job = Job(
        [sys.executable, {driver!r}, *sys.argv[1:]],
        {{}},
        marker={marker!r},
        ray=RayOptions(gpus={gpus}, nodes=2, submit="driver", start_timeout_s=600),
    )
    return job.run(lambda line: print(line, flush=True))

cli.run(main)
"""


@pytest.fixture
def submit(cluster, tmp_path):
    """Submit the program as Snakemake's MPI jobs are: batch step only, all GPUs over both nodes."""
    driver, program = tmp_path / "driver.py", tmp_path / "program.py"
    driver.write_text(textwrap.dedent(DRIVER))
    values = {"scripts": str(SCRIPTS), "driver": str(driver), "marker": str(tmp_path)}
    program.write_text(PROGRAM.format(**values, gpus=GPUS))

    def start(*words: str) -> str:
        return cluster.ask(
            *("sbatch", "--parsable", "--nodes=2", "--ntasks=2", f"--gpus={2 * GPUS}"),
            *("--mem=4000", f"--output={tmp_path}/out.txt"),
            f"--wrap=exec {sys.executable} {program} {' '.join(words)}",
        )

    return start


def output(tmp_path) -> str:
    path = tmp_path / "out.txt"
    return path.read_text() if path.exists() else ""


def state(cluster, job: str) -> str:
    return next(j["state"] for j in cluster.jobs() if j["id"] == job)


def test_ray_comes_up_on_both_nodes_and_ends_with_the_job(
    cluster, submit, tmp_path, wait_until
) -> None:
    job = submit()
    wait_until(lambda: state(cluster, job) in ("COMPLETED", "FAILED"), "the job's end")
    text = output(tmp_path)
    assert state(cluster, job) == "COMPLETED", text
    seen = next(line for line in text.splitlines() if line.startswith("sees "))
    assert json.loads(seen.removeprefix("sees ")) == {"gpus": 2.0 * GPUS, "nodes": 2}
    assert "ran on ['n1', 'n2']" in text
    wait_until(lambda: not ray_workers(tmp_path), "the end of all of Ray")


def test_a_lost_node_ends_the_job_with_its_last_words(
    cluster, submit, tmp_path, wait_until
) -> None:
    job = submit("wait")
    ended = ("COMPLETED", "FAILED")
    wait_until(lambda: "waiting" in output(tmp_path) or state(cluster, job) in ended, "training")
    assert state(cluster, job) == "RUNNING", output(tmp_path)
    worker = next(number for number, words in ray_workers(tmp_path) if " start --address=" in words)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: state(cluster, job) in ("COMPLETED", "FAILED"), "the job's end")
    assert state(cluster, job) == "FAILED"
    text = output(tmp_path)
    assert "a node of the job was lost" in text
    assert "run the same command again to resume" in text
    assert "Traceback" not in text


def ray_workers(marker: Path) -> list[tuple[int, str]]:
    """This job's processes: number and command line."""
    found = []
    for number in marked_processes(str(marker)):
        try:
            words = Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if "ray" in words and "srun" not in words:
            found.append((number, words))
    return found
