"""`snakemake --profile slurm` on a real SLURM: what jobs get, and what interruptions cost.

The tests share one project and run in this order; each also runs alone. A training that waits for
its time limit runs beside the first of them.
"""

from __future__ import annotations

import json
import os
import signal

import pytest
from cluster_project import Stopper
from fake_apptainer import add_to_container, install

pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.slurm]

# Status questions come at 3 s instead of 40 s; nothing else differs from what users type.
PROFILE = ("--profile", "slurm", "--slurm-init-seconds-before-status-checks", "3")
TINY = (*PROFILE, "--configfile", "tiny.yaml")
SFT = "demo_sft_telecom"
LOCAL = {"tasks", "teacher_traces", "leaks", "base_model", "summary", "cards", "report"}

# In place of the programs that need GPUs: says what the job was given, and makes the output.
SEES_GPUS = """
import os, pathlib, sys, time
flag = "--output-path" if "--output-path" in sys.argv else "--output"
output = pathlib.Path(sys.argv[sys.argv.index(flag) + 1])
time.sleep(3)  # jobs that may run side by side do
seen = pathlib.Path("seen")
seen.mkdir(exist_ok=True)
word = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
(seen / pathlib.Path(sys.argv[0]).stem).write_text(os.environ["SLURMD_NODENAME"] + " " + word)
if flag == "--output":
    output.mkdir(parents=True)
else:
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("{}")
    output.with_suffix(".tau2.json").write_text("{}")
"""


# Longer than the two minutes of grace before a time limit, or the signal would come at once.
MINUTES = 12
TRAINING = (
    *(f"checkpoints/{SFT}", *TINY, "--config", "sft={epochs: 5, save_steps: 4}"),
    f"resources={{time_limit_hours: {MINUTES / 60}, threads: 1}}",
)
PATIENCE = 900  # seconds; a busy machine is no failure


class Interrupted:
    """A training whose job gets a time limit of a minute once it has saved a checkpoint."""

    def __init__(self, project) -> None:
        self.project = project
        self.snakemake = project.start(*TRAINING)
        self.stops = Stopper(project, SFT).stops
        self.saved: list[int] = []

    def next(self) -> tuple[int, dict[str, str]]:
        """Wait for the next checkpoint; its trainer, which stands still now, and its job."""
        trainer, step = self.stops.get(timeout=PATIENCE)
        self.saved.append(step)
        return trainer, self.project.job("sft", "RUNNING")


@pytest.fixture(scope="session")
def limited(project):
    """The minute passes while other tests run."""
    training = Interrupted(project)
    _, job = training.next()
    project.cluster.ask("scontrol", "update", f"JobId={job['id']}", "TimeLimit=1")
    return training, job


def test_gpu_jobs_get_exactly_the_gpus_they_ask_for(limited, own_project) -> None:
    for name in ("convert_checkpoint", "train_sft_slime", "evaluate_tau2"):
        (own_project.folder / "scripts" / f"{name}.py").write_text(SEES_GPUS)
    config = ("--config", "preset=gpu-smoke", "resources={gpus: 2, threads: 1, memory_gb: 1}")
    targets = ("checkpoints/gpu-smoke_sft_telecom", "results/base/eval_test.json")
    text = own_project.finish(own_project.start(*targets, *PROFILE, *config))
    assert "backend: slime" in text
    seen = {path.name: path.read_text() for path in (own_project.folder / "seen").iterdir()}
    gpus = {name: words.split()[1].split(",") for name, words in seen.items()}
    assert {name: len(found) for name, found in gpus.items()} == {
        "convert_checkpoint": 1,
        "evaluate_tau2": 1,
        "train_sft_slime": 2,
    }
    # Side by side on one node, they share none.
    side_by_side = [seen["convert_checkpoint"], seen["evaluate_tau2"]]
    assert len(set(side_by_side)) == 2


def test_jobs_run_in_the_container(limited, own_project, tmp_path) -> None:
    """What the flag does to a job on a node; apptainer itself is a stand-in."""
    started = install(tmp_path / "bin", own_project.environment)
    used = add_to_container(own_project.folder)
    (own_project.folder / "scripts/evaluate_tau2.py").write_text(SEES_GPUS)
    config = ("--config", "preset=gpu-smoke", "resources={gpus: 1, threads: 1, memory_gb: 1}")
    container = ("--sdm", "apptainer", "--apptainer-args=--nv")
    target = "results/base/eval_test.json"
    own_project.finish(own_project.start(target, *PROFILE, *container, *config))
    evaluations = [line for line in started.read_text().splitlines() if "evaluate_tau2.py" in line]
    assert len(evaluations) == 1 and " --nv " in evaluations[0]
    node, gpus = (own_project.folder / "seen/evaluate_tau2").read_text().split()
    assert node in ("n1", "n2") and len(gpus.split(",")) == 1
    assert used.exists()


def test_interrupted_training_resumes(limited, project, wait_until) -> None:
    """A time limit, scancel, requeue, and Snakemake killed with -9, one after the other."""
    # 1. The time limit, or its warning: SLURM wakes the trainer, which saves and leaves.
    training, first = limited
    snakemake, saved = training.snakemake, training.saved
    wait_until(lambda: project.job("sft", "TIMEOUT", "FAILED"), "the time limit")
    # 2. Somebody's scancel, in the second attempt, which has twice the time.
    _, second = training.next()
    assert int(second["id"]) > int(first["id"])
    assert f"TimeLimit=00:{2 * MINUTES}:00" in project.cluster.ask(
        "scontrol", "show", "job", second["id"]
    )
    project.cluster.ask("scancel", second["id"])
    # 3. An administrator's requeue, in the third.
    _, third = training.next()
    assert int(third["id"]) > int(second["id"])
    project.cluster.ask("scontrol", "requeue", third["id"])
    # 4. Snakemake dies, its job goes on, and another Snakemake starts a second one.
    trainer, same = training.next()
    assert same["id"] == third["id"]
    os.killpg(snakemake.pid, signal.SIGKILL)
    snakemake.wait()
    project.finish(project.start("--unlock", *TINY))
    again = project.start(*TRAINING)
    log = project.folder / "logs/sft.log"
    waits = "another program trains it"
    wait_until(lambda: log.exists() and waits in log.read_text(), "the second trainer's waiting")
    assert project.trainer(SFT) == trainer  # one at a time
    os.kill(trainer, signal.SIGCONT)
    project.finish(again)

    store = next((project.folder / "checkpoints/.store").glob(f"{SFT}-*"))
    assert len(json.loads((store / "stage.json").read_text())["starts"]) == 4
    assert "already trained with these settings" in log.read_text()
    done = json.loads((store / "done.json").read_text())["summary"]
    assert done["steps"] == 50
    # No start went on before the checkpoint of the one before it. Each interruption wakes a
    # standing process and sends SIGTERM: it may have saved once more.
    assert saved == sorted(set(saved))
    assert saved[2] <= done["resumed_at"] < saved[3]
    rows = map(json.loads, (store / "metrics.jsonl").read_text().splitlines())
    steps = [row["step"] for row in rows if "loss" in row]  # the last line sums up
    assert steps == sorted(set(steps))  # each step counted once


def test_the_whole_pipeline(own_project) -> None:
    text = own_project.finish(own_project.start(*TINY))
    assert "backend: cpu" in text
    assert (own_project.folder / "results/summary.csv").exists()
    submitted = {job["comment"].split("_wildcards")[0] for job in own_project.cluster.jobs()}
    expected = {"rule_sft", "rule_grpo", "rule_evaluate", "rule_evaluate_base", "rule_evaluate_sft"}
    assert submitted >= expected
    assert not submitted & {f"rule_{rule}" for rule in LOCAL}
    assert "Nothing to be done" in own_project.finish(own_project.start(*TINY))
