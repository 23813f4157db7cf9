"""`./run setup` with stand-ins for PyPI and PyTorch's index, of tiny wheels; uv is real."""

from __future__ import annotations

import functools
import http.server
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib
import zipfile
from pathlib import Path

import pytest

from tau2_agent.config.settings_machine import Resources

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).parent / "uv"
PYPROJECT = """
[project]
name = "x"
version = "0"
requires-python = ">=3.11,<3.14"
[dependency-groups]
cpu = ["torch==2.13.0"]
test = ["six==1.0"]
"""
LOCKED = "cuda-libraries==1.0\nsix==1.0 ; python_version > '3'\ntorch==2.13.0\nuv==0.13.9\n"


def wheel(folder: Path, name: str, version: str, needs: str = "", script: str = "") -> None:
    """A wheel that holds nothing but its name, and perhaps a program of that name."""
    folder.mkdir(parents=True, exist_ok=True)
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{info}/METADATA": metadata + (f"Requires-Dist: {needs}\n" if needs else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **({f"{name}-{version}.data/scripts/{name}": script} if script else {}),
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            described = zipfile.ZipInfo(path)
            described.external_attr = 0o100755 << 16
            archive.writestr(described, text)


class Server(http.server.ThreadingHTTPServer):
    """Both indexes, as folders of wheels: `simple` is PyPI's, `cpu` is PyTorch's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.pause_s = 0.0
        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        time.sleep(self.server.pause_s)
        super().do_GET()

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path):
    server = Server(tmp_path / "web")
    wheel(server.folder / "simple/torch", "torch", "2.13.0", needs="cuda-libraries")
    cuda = (("cuda_libraries", "1.0"), ("cuda_libraries", "2.0"))  # locked: the first
    for name, version in (*cuda, ("six", "1.0"), ("pip", "99")):
        wheel(server.folder / "simple" / name.replace("_", "-"), name, version)
    for name in ("setuptools", "wheel"):
        wheel(server.folder / "simple" / name, name, "1.0")
    wheel(server.folder / "cpu/torch", "torch", "2.13.0+cpu")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class Checkout:
    """The repository's `run` beside a short list of packages; a user who has uv."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder = folder
        (folder / "envs").mkdir(parents=True)
        (folder / "bin").mkdir()
        (folder / "home").mkdir()
        shutil.copy2(ROOT / "run", folder)
        (folder / "pyproject.toml").write_text(PYPROJECT)
        (folder / "envs/cpu.txt").write_text(LOCKED)
        (folder / "bin/uv").symlink_to(UV)
        self.environment = {
            "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
            "HOME": str(folder / "home"),
            "PYTHON": sys.executable,
            "PIP_INDEX_URL": f"{server.url}/simple",
            "PYTORCH_INDEX": f"{server.url}/cpu",
        }

    def start(self, **more: str) -> subprocess.Popen:
        environment = {**self.environment, **more}
        return subprocess.Popen(
            ["./run", "setup"],
            cwd=self.folder,
            env={name: value for name, value in environment.items() if value},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def setup(self, **more: str) -> str:
        process = self.start(**more)
        text, _ = process.communicate(timeout=120)
        assert process.returncode == 0, text
        return text

    def refused(self, **more: str) -> str:
        process = self.start(**more)
        text, _ = process.communicate(timeout=120)
        assert process.returncode != 0, text
        return text

    @property
    def packages(self) -> set[str]:
        found = self.folder.glob(".venv/lib/python*/site-packages/*.dist-info")
        return {path.name.removesuffix(".dist-info") for path in found}


@pytest.fixture
def checkout(tmp_path: Path, server: Server) -> Checkout:
    return Checkout(tmp_path / "a project", server)


# --- which PyTorch -------------------------------------------------------------------------------


def test_the_cpu_build_where_its_index_is_reached(checkout, server) -> None:
    text = checkout.setup()
    assert checkout.packages == {
        *("torch-2.13.0+cpu", "six-1.0", "pip-99"),
        *(() if sys.version_info >= (3, 12) else ("setuptools-1.0", "wheel-1.0")),
    }
    assert f"torch==2.13.0: the CPU build, from {server.url}/cpu\n" in text


@pytest.mark.parametrize("index", ["http://127.0.0.1:9", "SERVER/none", "SERVER/other"])
def test_the_ordinary_build_where_it_is_not_reached_or_lacks_it(checkout, server, index) -> None:
    wheel(server.folder / "other/torch", "torch", "2.12.0+cpu")
    index = index.replace("SERVER", server.url)
    text = checkout.setup(PYTORCH_INDEX=index)
    assert {"torch-2.13.0", "cuda_libraries-1.0"} <= checkout.packages
    told = [line for line in text.splitlines() if line.startswith("torch==2.13.0:")]
    assert len(told) == 1 and "CUDA" in told[0] and index in told[0]


def test_a_wheel_where_pip_looks_comes_first(checkout, server, tmp_path) -> None:
    wheel(tmp_path / "wheels", "torch", "2.13.0+cpu")
    text = checkout.setup(PIP_FIND_LINKS=f"{tmp_path / 'nowhere'} {tmp_path / 'wheels'}")
    assert f"torch==2.13.0: a wheel from {tmp_path / 'wheels'}\n" in text
    assert "torch-2.13.0+cpu" in checkout.packages
    assert not [path for path in server.asked if path.startswith("/cpu")]


# --- once, and again -----------------------------------------------------------------------------


def test_a_second_setup_asks_nobody_and_says_nothing(checkout, server) -> None:
    checkout.setup()
    server.asked.clear()
    assert checkout.setup() == ""
    assert server.asked == []


def test_another_list_is_installed_beside_what_a_user_added(checkout, server) -> None:
    checkout.setup()
    (checkout.folder / ".venv/added").touch()
    wheel(server.folder / "simple/six", "six", "2.0")
    (checkout.folder / "pyproject.toml").write_text(PYPROJECT.replace("six==1.0", "six==2.0"))
    (checkout.folder / "envs/cpu.txt").write_text(LOCKED.replace("six==1.0", "six==2.0"))
    checkout.setup()
    assert "six-2.0" in checkout.packages
    assert (checkout.folder / ".venv/added").exists()


def test_an_interrupted_change_counts_as_neither(checkout, server) -> None:
    checkout.setup()
    (checkout.folder / "envs/cpu.txt").write_text(LOCKED.replace("torch==2.13.0", "torch==3.0"))
    checkout.refused()
    (checkout.folder / "envs/cpu.txt").write_text(LOCKED)
    server.asked.clear()
    checkout.setup()
    assert server.asked


def test_a_moved_folder_gets_an_environment_of_its_own(checkout) -> None:
    checkout.setup()
    moved = checkout.folder.with_name("moved")
    checkout.folder.rename(moved)
    checkout.folder = moved
    checkout.environment["PATH"] = f"{moved / 'bin'}:/usr/bin:/bin"
    checkout.setup(HOME=str(moved / "home"))
    assert str(moved) in (moved / ".venv/bin/activate").read_text()


def test_a_torn_setup_is_made_anew(checkout, server) -> None:
    server.pause_s = 1.0
    process = checkout.start()
    while not server.asked:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (checkout.folder / ".venv").mkdir(exist_ok=True)
    (checkout.folder / ".venv/half").touch()
    server.pause_s = 0.0
    checkout.setup()
    assert "six-1.0" in checkout.packages
    assert not (checkout.folder / ".venv/half").exists()


def test_a_linked_environment_is_left_alone(checkout, tmp_path) -> None:
    (tmp_path / "others").mkdir()
    (tmp_path / "others/file").touch()
    (checkout.folder / ".venv").symlink_to(tmp_path / "others")
    assert f".venv is a link to {tmp_path / 'others'}" in checkout.refused()
    assert (tmp_path / "others/file").exists()


def test_a_failure_is_no_setup(checkout, server) -> None:
    shutil.rmtree(server.folder / "simple/six")
    for _ in range(2):
        assert "six" in checkout.refused()
    wheel(server.folder / "simple/six", "six", "1.0")
    checkout.setup()
    assert "six-1.0" in checkout.packages


def test_two_at_once_wait_for_each_other(checkout, server) -> None:
    server.pause_s = 0.1
    processes = [checkout.start() for _ in range(2)]
    texts = sorted((process.communicate(timeout=120)[0] for process in processes), key=len)
    assert [process.returncode for process in processes] == [0, 0], texts
    assert texts[0] == "waiting for another setup in this folder\n"
    assert "waiting" not in texts[1]


# --- Pythons, uv, home ---------------------------------------------------------------------------


def python_that_says(folder: Path, version: str) -> str:
    folder.mkdir(exist_ok=True)
    program = folder / "python3"
    program.write_text(f"#!/bin/sh\necho {version}\n")
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize("version", ["3.10", "3.14", "3.15", "4.0", "2.7"])
def test_another_python_is_refused_in_one_line(checkout, tmp_path, version) -> None:
    python = python_that_says(tmp_path / "python", version)
    text = checkout.refused(PYTHON=python)
    assert len(text.splitlines()) == 1
    assert "no Python 3.11 to 3.13" in text and f"{python} is {version}" in text
    assert not (checkout.folder / ".venv").exists()


def test_a_python_that_does_not_start_is_named(checkout) -> None:
    assert "/nowhere/python3 does not start" in checkout.refused(PYTHON="/nowhere/python3")


def test_a_newer_python3_does_not_hide_one_that_fits(checkout) -> None:
    for name, version in (("python3", "3.14"), ("python3.13", "3.14"), ("python3.12", "3.14")):
        Path(python_that_says(checkout.folder / "bin", version)).rename(
            checkout.folder / "bin" / name
        )
    (checkout.folder / "bin/python3.11").symlink_to(os.path.realpath(sys.executable))
    checkout.setup(PYTHON="")
    assert "six-1.0" in checkout.packages


@pytest.mark.slow
@pytest.mark.parametrize("old", [None, "#!/bin/sh\nexit 2\n"])
def test_pip_brings_uv_where_there_is_none_or_an_old_one(checkout, server, old) -> None:
    (checkout.folder / "bin/uv").unlink()
    if old:
        (checkout.folder / "bin/uv").write_text(old)
        (checkout.folder / "bin/uv").chmod(0o755)
    script = f'#!/bin/sh\nexec {UV} "$@"\n'
    wheel(server.folder / "simple/uv", "uv", "0.13.9", script=script)
    assert "the CPU build" in checkout.setup()
    assert (checkout.folder / ".uv/bin/uv").read_text() == script
    assert "six-1.0" in checkout.packages


def test_a_home_that_cannot_be_written_is_told_in_one_line(checkout) -> None:
    text = checkout.refused(HOME="/proc/nobody")
    assert len(text.splitlines()) == 1 and "/proc/nobody" in text


# --- one list of versions ------------------------------------------------------------------------


def uv(*arguments: str) -> subprocess.CompletedProcess:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("UV_")}
    return subprocess.run(
        [UV, *arguments, "--offline"], cwd=ROOT, env=environment, capture_output=True, text=True
    )


def test_the_lock_fits_pyproject() -> None:
    outcome = uv("lock", "--check")
    assert outcome.returncode == 0, f"{outcome.stderr}\nuv.lock is stale: ./run lock"


@pytest.mark.parametrize("path", sorted((ROOT / "envs").iterdir()), ids=lambda path: path.name)
def test_what_is_installed_is_what_the_lock_says(path: Path, tmp_path: Path) -> None:
    text = path.read_text()
    made_by = re.search(r"^# +uv (export .*)--output-file \S+$", text, re.M)[1].split()
    outcome = uv(*made_by, "--output-file", str(tmp_path / "export.txt"), "--quiet")
    assert outcome.returncode == 0, outcome.stderr
    made = [line for line in (tmp_path / "export.txt").read_text().splitlines() if line[0] != "#"]
    kept = [line for line in text.splitlines() if not line.startswith("#")]
    assert kept == made, f"{path.name} is stale: ./run lock"


def test_every_package_is_asked_for_at_one_version() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    loose = [name for group in ("cpu", "test") for name in groups[group] if "==" not in name]
    assert loose == []
    assert set(groups["gpu"]) >= {name for name in groups["cpu"] if name.startswith("snakemake")}


def test_slimes_container_is_pinned() -> None:
    image = Resources().container
    assert re.search(r"@sha256:[0-9a-f]{64}$|:nightly-dev-\d{8}[a-z]-cu\d+$", image)
