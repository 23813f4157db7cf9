"""Ray for one job: nothing shared with another Ray, nothing of others touched."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tau2_agent.processes import free_ports
from tau2_agent.training.slime import ray_head
from tau2_agent.training.slime.job import Job
from tau2_agent.training.slime.marked_processes import MARKER, marked_processes, sweep
from tau2_agent.training.slime.ray_head import RayOptions, ray_start_command

STAND_IN = Path(__file__).parents[2] / "slime_stand_in"


def test_two_heads_share_no_port_and_no_folder():
    ports = free_ports(18)
    assert len(set(ports)) == 18
    one = ray_start_command(2, ports[:9], Path("/tmp/one"))
    other = ray_start_command(2, ports[9:], Path("/tmp/other"))
    shared = {word for word in set(one) & set(other) if "=" in word}
    assert shared == {
        "--node-ip-address=127.0.0.1",
        "--dashboard-host=127.0.0.1",
        "--include-dashboard=true",
        "--min-worker-port=0",
        "--max-worker-port=0",
        "--num-gpus=2",
        next(word for word in one if word.startswith("--num-cpus=")),
    }
    assert "--head" in one and "--block" in one


def test_ray_is_never_stopped_by_its_own_command():
    # `ray stop` ends every Ray of the user on the machine
    source = "".join(path.read_text() for path in Path(ray_head.__file__).parent.glob("*.py"))
    assert '*RAY, "stop"' not in source and "pkill" not in source and "killall" not in source


@pytest.fixture
def stand_in(monkeypatch):
    monkeypatch.setattr(ray_head, "RAY", [sys.executable, str(STAND_IN / "ray.py")])
    monkeypatch.setattr(ray_head, "dashboard_installed", lambda: True)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)


SHOW_TOKEN = "import os; print(os.environ.get('RAY_AUTH_MODE'), os.environ.get('RAY_AUTH_TOKEN'))"


def run_alone(tmp_path) -> str:
    lines = []
    job = Job([sys.executable, "-c", SHOW_TOKEN], {}, str(tmp_path), RayOptions(gpus=0))
    assert job.run(lines.append) == 0
    return lines[-1]


def test_each_job_s_own_ray_wants_a_token_of_its_own(stand_in, tmp_path):
    seen = {run_alone(tmp_path).split()[1] for _ in range(2)}
    assert len(seen) == 2 and all(len(token) == 64 for token in seen)


def test_a_machine_s_own_choice_of_authentication_stays(stand_in, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert run_alone(tmp_path) == "disabled None"


@pytest.mark.parametrize("how", ["asked to stop", "a mistake while reading"])
def test_a_stopped_job_on_another_ray_does_not_train_on(stand_in, tmp_path, monkeypatch, how):
    monkeypatch.setenv("TAU2_TEST_RAY", "elsewhere")
    monkeypatch.setenv("TAU2_TEST_JOBS", str(tmp_path))
    program = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    options = RayOptions(address="http://127.0.0.1:9")
    job = Job([sys.executable, "-c", program], {}, str(tmp_path), options)
    trainer = []

    def read(line):
        if line.isdigit():
            trainer.append(int(line))
            if how == "asked to stop":
                job.stop()
            else:
                raise ValueError

    with contextlib.suppress(ValueError):
        job.run(read)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{trainer[0]}/cmdline").exists() and time.monotonic() < deadline:
        if not Path(f"/proc/{trainer[0]}/cmdline").read_bytes():
            break  # ended, not yet collected
        time.sleep(0.1)
    else:
        assert not Path(f"/proc/{trainer[0]}").exists(), "it trains on"


def test_a_given_dashboard_gets_a_submission_with_the_jobs_variables_only():
    job = Job(["python", "train.py"], {"PYTHONPATH": "/x"}, marker="/store")
    command, variables = job._joining("http://10.0.0.1:8265")
    assert command[3:7] == ["job", "submit", "--address", "http://10.0.0.1:8265"]
    runtime = json.loads(command[command.index("--runtime-env-json") + 1])
    assert runtime == {"env_vars": {"PYTHONPATH": "/x"}}
    assert command[-2:] == ["python", "train.py"]
    assert variables == {"RAY_ADDRESS": "http://10.0.0.1:8265"}


@pytest.mark.parametrize("address", ["auto", "10.0.0.1:6379"])
def test_a_given_address_makes_the_program_rays_driver(address):
    job = Job(["python", "train.py"], {}, marker="/store")
    assert job._joining(address) == (["python", "train.py"], {"RAY_ADDRESS": address})


def test_a_given_ray_is_neither_started_nor_ended(monkeypatch):
    monkeypatch.setattr(ray_head, "RAY", ["/nonexistent"])
    lines = []
    program = "import os; print(os.environ['RAY_ADDRESS'], os.environ['TAU2_JOB'])"
    job = Job([sys.executable, "-c", program], {}, "/store", RayOptions(address="auto"))
    assert job.run(lines.append) == 0
    assert lines == ["auto /store"]


def test_a_node_that_is_lost_before_the_program_begins_ends_it():
    job = Job([sys.executable, "-c", "import time; time.sleep(60)"], {}, "/store")
    job._end_client()  # what the watch over the other nodes calls
    began = time.monotonic()
    assert job._follow(job.command, dict(os.environ), print) < 0
    assert time.monotonic() - began < 30


def test_the_exit_status_and_progress_bars_come_through():
    lines = []
    program = "import sys; print('a\\rb\\nc'); sys.exit(3)"
    job = Job([sys.executable, "-c", program], {}, "/store", RayOptions(address="auto"))
    assert job.run(lines.append) == 3
    assert lines == ["a", "b", "c"]


def test_an_exception_of_the_reader_ends_the_job():
    def reader(line):
        raise RuntimeError(line)

    program = "import time; print('x', flush=True); time.sleep(600)"
    job = Job([sys.executable, "-c", program], {}, "/store", RayOptions(address="auto"))
    with pytest.raises(RuntimeError, match="x"):
        job.run(reader)


def sleeper(marker):
    return subprocess.Popen(["sleep", "60"], env={**os.environ, MARKER: marker})


def test_only_the_marked_processes_are_swept(tmp_path):
    mine, others = sleeper(str(tmp_path / "a")), sleeper(str(tmp_path / "ab"))
    try:
        assert marked_processes(str(tmp_path / "a")) == [mine.pid]
        assert sweep(str(tmp_path / "a"), grace_s=0.5) == [mine.pid]
        mine.wait(5)
        assert others.poll() is None
    finally:
        for process in (mine, others):
            process.kill()
            process.wait()


def test_a_process_that_ignores_sigterm_is_killed(tmp_path):
    program = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); "
    stubborn = subprocess.Popen(
        [sys.executable, "-c", program + "time.sleep(60)"],
        env={**os.environ, MARKER: str(tmp_path)},
        stdout=subprocess.PIPE,
    )
    stubborn.stdout.readline()
    sweep(str(tmp_path), grace_s=0.5)
    assert stubborn.wait(5) == -9


def test_rays_folder_is_short_enough_for_its_sockets(monkeypatch, tmp_path):
    deep = tmp_path / ("x" * 80)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    folder = ray_head._new_folder("/store")
    try:
        assert folder.parent == Path("/tmp")
        assert ray_head._new_folder("/store") != folder
        assert not folder.exists()  # that of a killed job of the same store
    finally:
        for left in Path("/tmp").glob(folder.name[:18] + "*"):
            left.rmdir()
