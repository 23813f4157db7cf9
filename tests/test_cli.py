"""How programs end: what a user can mend is one line, our mistakes keep their traceback."""

from __future__ import annotations

import errno
import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import tau2_agent
from tau2_agent import cli
from tau2_agent.errors import InputError, PipelineError
from tau2_agent.files import write_text
from tau2_agent.llm.failures import LLMFailure
from tau2_agent.rollout.trajectory import EpisodeEnd, UserFailure

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
# What ends a turn or an episode, and never a program.
INSIDE = {EpisodeEnd, UserFailure, "RejectedTrace", "_Retryable"}


def ended(error: BaseException | int | None, capsys) -> tuple[object, str]:
    def main():
        if isinstance(error, BaseException):
            raise error
        return error

    with pytest.raises(SystemExit) as caught:
        cli.run(main)
    return caught.value.code, capsys.readouterr().err


class Ours(PipelineError):
    pass


@pytest.mark.parametrize(
    "error",
    [
        InputError("lower --x"),
        Ours("lower --x"),
        LLMFailure("refused", "lower --x"),
        FileNotFoundError(2, "lower --x"),
    ],
)
def test_what_a_user_can_mend_is_one_line(error, capsys) -> None:
    status, text = ended(error, capsys)
    assert status == 2
    assert text.startswith("error: ") and "lower --x" in text and text.count("\n") == 1


@pytest.mark.parametrize("number", [*(errno.ENOENT, errno.EACCES, errno.EROFS), errno.ESTALE])
def test_a_path_that_the_system_refuses_is_named_with_a_remedy(number, capsys) -> None:
    status, text = ended(OSError(number, os.strerror(number), "results/x.json"), capsys)
    assert status == 2 and text.count("\n") == 1 and "; " in text
    assert text.startswith(f"error: results/x.json: {os.strerror(number)}")


def test_a_result_that_is_renamed_to_its_place_names_that_place(tmp_path, capsys) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError) as refused:
        write_text(tmp_path / "taken", "x")
    status, text = ended(refused.value, capsys)
    assert status == 2 and text.startswith(f"error: {tmp_path}/taken: ")


def test_a_folder_is_refused_where_a_file_is_written(tmp_path, capsys) -> None:
    parser = cli.parser("doc")
    parser.add_argument("--output", type=cli.file_to_write)
    assert parser.parse_args(["--output", str(tmp_path / "x")]).output == tmp_path / "x"
    for wrong in (str(tmp_path), ""):
        with pytest.raises(SystemExit):
            parser.parse_args(["--output", wrong])
        assert "argument --output: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyError("x"), UserFailure("x"), OSError(5, "x")]
)
def test_our_mistakes_keep_their_traceback(error) -> None:
    with pytest.raises(type(error)):
        cli.run(lambda: (_ for _ in ()).throw(error))


def test_a_full_disk_names_the_place(capsys) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "results/x.json")
    status, text = ended(full, capsys)
    assert status == 2 and text.count("\n") == 1
    assert text.startswith("error: results/x.json: no space left")


def test_too_little_memory_is_one_line(capsys) -> None:
    status, text = ended(RuntimeError("DefaultCPUAllocator: can't allocate memory"), capsys)
    assert status == 2 and text.count("\n") == 1
    assert text.startswith("error: not enough memory (DefaultCPUAllocator")


@pytest.mark.parametrize(
    ("value", "status"), [(None, 0), (0, 0), (3, 3), (KeyboardInterrupt(), 130)]
)
def test_statuses(value, status, capsys) -> None:
    assert ended(value, capsys)[0] == status


def test_a_reader_that_has_enough_is_no_mistake() -> None:
    program = SCRIPTS / "show_config.py"
    words = f"{sys.executable} {program} | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", words], capture_output=True, encoding="utf-8", cwd=SCRIPTS.parent
    )
    assert done.stderr.count("Traceback") == 0 and "BrokenPipe" not in done.stderr
    assert len(done.stdout.splitlines()) == 2


def test_every_error_of_the_package_can_be_mended_or_stays_inside() -> None:
    found = set()
    for module in pkgutil.walk_packages(tau2_agent.__path__, "tau2_agent."):
        for _, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(kind, Exception) and kind.__module__.startswith("tau2_agent"):
                found.add(kind)
    assert len(found) > 20
    stray = {k for k in found if not issubclass(k, PipelineError)}
    assert {k for k in stray if k not in INSIDE and k.__name__ not in INSIDE} == set(), (
        "derive it from errors.PipelineError: its message is for people"
    )


@pytest.mark.parametrize("how", [{"nargs": "+"}, {"nargs": "*"}, {}])
def test_an_empty_path_is_refused(how, capsys) -> None:
    parser = cli.parser("doc")
    parser.add_argument("--file", type=Path, **how)
    assert parser.parse_args(["--file", "a/b"]).file in (Path("a/b"), [Path("a/b")])
    with pytest.raises(SystemExit):
        parser.parse_args(["--file", ""])
    assert "argument --file: an empty path" in capsys.readouterr().err
