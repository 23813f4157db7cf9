"""A command beside a server for the user: GPUs, address, signals, exit status, a dead server.

SGLang and nvidia-smi are stand-ins: programs of the same names, found first.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from program_runs import SCRIPTS, Program

from tau2_agent.benchmark.tasks import load_tasks

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]
# `python -m sglang.launch_server`: plays the user, or dies when a file says so.
SERVER = """
import json, os, sys, threading, time
from pathlib import Path
from fake_openai import Simulator, FakeOpenAI
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
with open("starts.jsonl", "a") as stream:
    gpus = os.environ["CUDA_VISIBLE_DEVICES"]
    stream.write(json.dumps({"gpus": gpus, "pid": os.getpid(), **given}) + "\\n")
if Path("die").exists():
    sys.exit("scripted death")
answer = None
if Path("policy").exists():
    from tau2_agent.benchmark.tasks import load_tasks  # seconds
    answer = Simulator(load_tasks("small"))
with FakeOpenAI(answer, port=int(given["--port"])):
    while not Path("die").exists():
        time.sleep(0.02)
os._exit(9)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a stand-in for SGLang and, by nvidia-smi, four GPUs."""
    package = tmp_path / "stand_ins/sglang"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "launch_server.py").write_text(SERVER)
    smi = tmp_path / "stand_ins/nvidia-smi"
    smi.write_text("#!/bin/sh\nfor i in 0 1 2 3; do echo GPU $i: stand-in; done\n")
    smi.chmod(0o755)
    path = [str(tmp_path / "stand_ins"), str(TESTS), str(TESTS.parent / "scripts")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    monkeypatch.setenv("PATH", os.pathsep.join([path[0], os.environ["PATH"]]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where GPUs are locked: other tests take some
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def start(*words, gpus=1, more=()):
    options = ["--model", ".", "--name", "a/b@c", "--gpus", str(gpus), *more]
    return Program("with_user_model.py", *options, "--", *words)


def finish(process):
    text, _ = process.communicate(timeout=300)
    return process.returncode, text


def starts(folder):
    return [json.loads(line) for line in (folder / "starts.jsonl").read_text().splitlines()]


def gone(pid):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


TELL = (
    "import os; print('seen', os.environ['CUDA_VISIBLE_DEVICES'], os.environ['TAU2_USER_API_BASE'])"
)


@pytest.mark.parametrize(
    ("visible", "gpus", "server", "command"),
    [
        (None, 1, "0", "1,2,3"),
        (None, 2, "0,1", "2,3"),
        ("5,1,7", 1, "5", "1,7"),
        ("GPU-aa,GPU-bb", 2, "GPU-aa,GPU-bb", ""),
    ],
)
def test_the_server_has_gpus_of_its_own(here, monkeypatch, visible, gpus, server, command):
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    status, text = finish(start(sys.executable, "-c", TELL, gpus=gpus))
    assert status == 0, text
    (began,) = starts(here)
    assert began["gpus"] == server and began["--tp-size"] == str(gpus)
    assert began["--served-model-name"] == "a/b@c"
    assert f"seen {command} http://127.0.0.1:{began['--port']}/v1" in text
    assert gone(began["pid"])


def test_the_command_knows_what_is_served(here):
    (here / "model").mkdir()
    tell = "import os; print('served', os.environ['TAU2_USER_SERVED'])"
    seen = []
    for content, args in (
        ("a", "--log-level info"),
        ("b", "--log-level info"),
        ("b", "--quantization fp8"),
    ):
        (here / "model" / "config.json").write_text(content)
        more = ["--model", "model", "--server-args", args]
        status, text = finish(start(sys.executable, "-c", tell, more=more))
        assert status == 0, text
        seen.append(text.split("served ")[1].split("\n")[0])
    assert len(set(seen)) == 3
    assert "--log-level" not in seen[1] and seen[2].endswith("--quantization fp8")


def test_too_few_gpus(here, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    status, text = finish(start("true", gpus=2))
    assert status == 2 and "--gpus 2, but 1 GPU(s) are visible" in text
    assert not (here / "starts.jsonl").exists()


@pytest.mark.parametrize(
    ("program", "status"),
    [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137)],
)
def test_the_exit_status_is_the_commands(here, program, status):
    assert finish(start(sys.executable, "-c", program))[0] == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_signals_reach_the_command(here, number):
    program = (
        "import os, signal, time\n"  # no print: it may not be entered again by a handler
        "def save(n, _):\n"
        "    os.write(1, b'saved at %d\\n' % n)\n"
        "    os._exit(30 + n)\n"
        "for n in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):\n"
        "    signal.signal(n, save)\n"
        "os.write(1, b'ready\\n')\n"
        "time.sleep(600)"
    )
    process = start(sys.executable, "-c", program)
    for line in process.stdout:
        if line == "ready\n":
            break
    process.send_signal(number)
    status, text = finish(process)
    assert (status, f"saved at {int(number)}" in text) == (30 + number, True)
    assert gone(starts(here)[0]["pid"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_while_the_command_is_started_reaches_it(tmp_path, number):
    """It comes before Popen returns: the command's first act is to be seen."""
    command = (
        "import os, signal, time\n"
        f"signal.signal({int(number)}, lambda n, _: os._exit(30 + n))\n"
        "open('ready', 'w').close()\n"
        "time.sleep(20)"
    )
    program = f"""
import asyncio, contextlib, os, subprocess, sys, time
sys.path.insert(0, {str(SCRIPTS)!r})
import with_user_model

class Server(contextlib.AbstractAsyncContextManager):
    async def __aexit__(self, *_): pass
    async def guard(self, waiting): return await waiting

real = subprocess.Popen
def late(*given, **named):
    process = real(*given, **named)
    while not os.path.exists("ready"): time.sleep(0.01)
    os.kill(os.getpid(), {int(number)})
    return process

subprocess.Popen = late
status = asyncio.run(with_user_model.beside(Server(), [sys.executable, "-c", {command!r}], {{}}))
sys.exit(status)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, timeout=60)
    assert done.returncode == 30 + number


def test_a_server_that_dies_is_started_again(here):
    program = (
        "import os, time, urllib.request\n"
        "from pathlib import Path\n"
        "Path('die').touch()\n"
        "while Path('starts.jsonl').read_text().count('\\n') < 2:\n"
        "    Path('die').unlink(missing_ok=True) if Path('seen').exists() else None\n"
        "    time.sleep(0.05)\n"
        "    base = os.environ['TAU2_USER_API_BASE'][:-3]\n"
        "    try: urllib.request.urlopen(base + '/health', timeout=1)\n"
        "    except OSError: Path('seen').touch()\n"
        "while True:\n"
        "    try: urllib.request.urlopen(base + '/health', timeout=1); break\n"
        "    except OSError: time.sleep(0.05)\n"
        "print('it answers again')\n"
    )
    status, text = finish(start(sys.executable, "-c", program))
    assert status == 0 and "it answers again" in text, text
    assert "starting it again (1/2)" in text
    assert len({began["--port"] for began in starts(here)}) == 1


def test_a_server_that_stays_dead_stops_the_command(here):
    program = (
        "import signal, sys, time\n"
        "from pathlib import Path\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saving', flush=True), sys.exit(0)))\n"
        "Path('die').touch()\n"
        "time.sleep(600)"
    )
    status, text = finish(start(sys.executable, "-c", program, more=["--restarts", "1"]))
    assert status == 2 and "saving" in text
    assert "error: SGLang ended" in text and "logs/user_model.log" in text


def test_killed_it_leaves_nobody(here):
    process = start(
        sys.executable, "-c", "import os,time; print(os.getpid(), flush=True); time.sleep(600)"
    )
    lines = iter(process.stdout)
    next(lines)
    child = int(next(lines))
    process.kill()
    process.wait()
    assert gone(child) and gone(starts(here)[0]["pid"])


def test_an_evaluation_needs_no_key(here, random_model):
    """The whole of it: a policy on the CPU, its user behind the server."""
    status, text = finish(
        start(
            *(sys.executable, SCRIPTS / "evaluate_tau2.py", "--checkpoint", random_model),
            *("--output-path", "results/eval.json", "--backend", "cpu", "--task-split", "small"),
            *("--num-tasks", "4", "--prompt", "short", "--context-length", "400"),
            *("--max-new-tokens", "12", "--user", "llm", "--user-model", "openai/a/b@c"),
        )
    )
    assert status == 0, text
    summary = json.loads((here / "results/eval.json").read_text())
    assert (summary["evaluated"], summary["excluded"]) == (4, 0)
    assert summary["manifest"]["user_settings"]["model"] == "openai/a/b@c"
    assert summary["user_usage"]["calls"] >= 4 and len(load_tasks("small")) == 20
