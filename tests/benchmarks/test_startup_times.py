"""benchmarks/startup.py on commands whose times and lines are known."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path

import pytest
import startup

from tau2_agent.errors import InputError

TRAINER = (
    'bash -c \'printf "%s\\n" starting "74 traces, many tokens"; sleep 0.6; '
    'echo "247 steps; from x"; echo "step 1/247  loss 2"; sleep 60; touch late\' --output where'
)


def test_a_command_is_measured_with_all_that_it_starts(tmp_path) -> None:
    busy = "python -c 'sum(i for i in range(3_000_000)); bytearray(60_000_000)'"
    alone = startup.run(busy, tmp_path)
    inside = startup.run(f'bash -c "{busy}; true"', tmp_path)
    asleep = startup.run("sleep 0.2", tmp_path)
    assert alone.cpu > 0.02 and inside.cpu > 0.02
    assert alone.memory > 60 and inside.memory > 60
    assert asleep.wall >= 0.2 and asleep.cpu < 0.1


def test_a_command_that_fails_is_no_measurement(tmp_path) -> None:
    with pytest.raises(InputError, match="no such setting"):
        startup.run("bash -c 'echo no such setting >&2; exit 2'", tmp_path)


def test_a_trainer_is_ended_at_its_first_step(tmp_path) -> None:
    began = time.monotonic()
    taken, parts = startup.first_step(TRAINER, tmp_path, startup.SFT_MARKS)
    assert time.monotonic() - began < 30
    assert list(parts) == list(startup.SFT_MARKS)
    assert parts["model and trainer"] > 0.3  # 0.6 less what the first line was read late
    assert sum(parts.values()) <= taken.wall


def test_a_trainer_that_ends_before_its_first_step_is_an_error(tmp_path) -> None:
    with pytest.raises(InputError, match="starting"):
        startup.first_step("bash -c 'echo starting'", tmp_path, startup.SFT_MARKS)


def test_commands_are_those_of_the_demo(tmp_path) -> None:
    metadata = tmp_path / ".snakemake" / "metadata"
    metadata.mkdir(parents=True)
    (metadata / "a").write_text(json.dumps({"rule": "sft", "shellcmd": "train 2>&1 | tee logs/a"}))
    with pytest.raises(InputError, match="no demo has run there"):
        startup.commands(tmp_path)
    (metadata / "b").write_text(json.dumps({"rule": "evaluate", "shellcmd": "play --x 1"}))
    assert startup.commands(tmp_path) == {"sft": "train", "evaluate": "play --x 1"}


def test_two_versions_take_turns_and_are_compared_inside_a_round(tmp_path) -> None:
    said: list[tuple[str, Path]] = []
    cpu = {Path("before"): iter([2.0, 8.0, 4.0]), Path("after"): iter([1.0, 4.0, 1.0])}

    def case(name: str, project: Path) -> startup.Run:
        said.append((name, project))
        return startup.Run(9.0, next(cpu[project]), 100.0)

    projects = list(cpu)
    runs = startup.compared(projects, {"x": partial(case, "x")}, 3)
    assert [project.name for _, project in said[:4]] == ["before", "after", "after", "before"]
    (line,) = startup.rows(runs)
    assert line[1:3] == ["4.00 (2.00–8.00)", "1.00 (1.00–4.00)"]
    assert line[-1] == "0.50"
    assert len(line) == len(startup.header(projects))
