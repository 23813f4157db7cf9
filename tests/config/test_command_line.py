"""The command line: nothing that is said there is lost, and each mistake is one line."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from tau2_agent import cli
from tau2_agent.config import command_line
from tau2_agent.config.command_line import check_command_line, program_layers
from tau2_agent.config.layers import ConfigError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "words",
    [
        "--config seed=1 --config grpo={lr:1}",
        "-n --config seed=1 results/x -p --config prompt=short",
        "-C seed=1 --config prompt=short",
        "-Cseed=1 -C prompt=short",
        "--config=seed=1 --config=prompt=short",
        "--configfile a.yaml -n --configfile b.yaml",
        "--configfile a.yaml --configfiles b.yaml",
        "--config grpo={lr:1} seed=1 grpo={rollouts:2}",
    ],
)
def test_what_argparse_would_drop_is_an_error(words: str) -> None:
    with pytest.raises(ConfigError, match="is given twice, and only the last would count"):
        check_command_line(words.split())


def test_a_key_twice_within_a_value_of_the_command_line() -> None:
    with pytest.raises(ConfigError, match="--config grpo: line 1: lr stands there twice"):
        check_command_line(["-n", "--config", "seed=1", "grpo={lr: 1, rollouts: 3, lr: 2}"])


@pytest.mark.parametrize(
    "words",
    [
        "",
        "-n --config seed=1 grpo={lr:1} --cores 2",
        "--configfile a.yaml b.yaml --config seed=1 -p",
        "--config seed=1 -- --config",
        "-c 2 --conda-prefix x --config seed=1",
    ],
)
def test_command_lines_that_are_fine(words: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.yaml", "b.yaml"):
        Path(name).write_text("seed: 1")
    check_command_line(words.split())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--config", "seed"], "--config seed: write KEY=VALUE, such as seed=1; targets"),
        (["--config", "seed=1", "results/x.json"], "results/x.json: write KEY=VALUE, such as"),
        (["--config=seed"], "--config seed: write KEY=VALUE"),
        (["-C", "grpo.lr=1.0e-4"], "a key in a section is written 'grpo={lr: 1.0e-4}'"),
        (["--config", "=3"], "'' is no key; write KEY=VALUE"),
        (["--config", "a b=3"], "'a b' is no key; write KEY=VALUE"),
        (["--config", "1a=3"], "'1a' is no key; write KEY=VALUE"),
        (["--configfile", "none.yaml"], "--configfile none.yaml: there is no such file; targets"),
        (["--configfile", "a.yaml", "results/x.json"], "results/x.json: there is no such file"),
        (["--configfiles=folder"], "folder cannot be read (Is a directory); name another file"),
        (["--configfile", "a.yaml", "empty.yaml"], "empty.yaml has no keys, which Snakemake"),
        (["--configfile", "list.yaml"], "list.yaml must hold keys and values"),
        (["--configfile", "broken.yaml"], "broken.yaml: line 2: no valid YAML"),
    ],
)
def test_what_snakemake_ends_at_is_one_line(words, says, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    texts = {"a": "seed: 1", "empty": "# seed: 1", "list": "[1]", "broken": "grpo: {lr: [\n"}
    for name, text in texts.items():
        Path(f"{name}.yaml").write_text(text)
    monkeypatch.setattr("sys.argv", ["program", "results/eval_test.json", "-n", *words, "-p"])
    with pytest.raises(SystemExit) as ended:
        cli.run(command_line.main)
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and line.startswith("error: ") and says in line


def test_run_demo_asks_before_snakemake_reads_it(tmp_path) -> None:
    for name in ("run", "scripts", "envs"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    for name, text in {"python": f'exec {sys.executable} "$@"', "snakemake": 'echo "$@"'}.items():
        program = tmp_path / ".venv/bin" / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    wanted = hashlib.sha256((ROOT / "envs/cpu.txt").read_bytes()).hexdigest()
    (tmp_path / ".venv/installed").write_text(f"{tmp_path} {wanted}  -\n")

    def demo(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            [tmp_path / "run", "demo", *words],
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            encoding="utf-8",
        )
        return done.returncode, done.stdout + done.stderr

    right = ("-n", "--config", "seed=1", "grpo={lr: 1, rollouts: 2}")
    assert demo(*right) == (0, f"results/eval_test.json --cores all {' '.join(right)}\n")
    status, text = demo("--config", "grpo.lr=1")
    assert (status, text.count("\n")) == (2, 1)
    assert text.startswith("error: --config grpo.lr=1: a key in a section is written")


def test_a_program_takes_the_projects_file_where_there_is_none_here(tmp_path, monkeypatch) -> None:
    (tmp_path / "config.yaml").write_text("seed: 1\n")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("sys.argv", ["program"])
    layers = program_layers(tmp_path, [], ["grpo={lr: 1}", "seed=2"])
    assert layers == [("config.yaml", {"seed": 1}), ("--config", {"grpo": {"lr": 1}, "seed": 2})]
    for word, says in (("seed", "write KEY=VALUE"), ("ab={b", "no valid YAML")):
        with pytest.raises(ConfigError, match=says):
            program_layers(tmp_path, [], [word])
