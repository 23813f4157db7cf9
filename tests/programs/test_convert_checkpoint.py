"""Conversion with a stand-in for slime's tools: whole or absent, right arguments, clear errors."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import marked_weights
import psutil
import pytest
from model_configs import config

from tau2_agent.files import DiskFull
from tau2_agent.training.megatron.model_args import ModelConfigError
from tau2_agent.training.slime import conversion
from tau2_agent.training.slime.conversion import ConversionError, to_huggingface, to_megatron
from tau2_agent.training.slime.install import Install

STAND_IN = Path(__file__).parents[1] / "slime_stand_in"
INSTALL = Install(STAND_IN, STAND_IN)


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config()))
    (folder / "tokenizer.json").write_text("{}")
    marked_weights.write(folder / "model.safetensors", "base")
    (folder / ".snakemake_timestamp").touch()
    return folder


def test_the_result_is_complete_and_got_the_models_arguments(tmp_path, model):
    output = tmp_path / "converted"
    to_megatron(INSTALL, model, output, extra=["--no-gradient-accumulation-fusion"])
    assert (output / "latest_checkpointed_iteration.txt").read_text() == "release"
    arguments = json.loads((output / "arguments.json").read_text())
    assert arguments[arguments.index("--rotary-base") + 1] == "5000000"
    assert arguments[arguments.index("--hf-checkpoint") + 1] == str(model)
    assert arguments[-1] == "--no-gradient-accumulation-fusion"
    assert not (tmp_path / "converted.partial").exists()


def test_the_tool_sees_slime_and_a_port_of_its_own(tmp_path, model):
    to_megatron(INSTALL, model, tmp_path / "converted")
    variables = json.loads((tmp_path / "converted" / "environment.json").read_text())
    assert str(STAND_IN) in variables["PYTHONPATH"].split(os.pathsep)
    assert variables["MASTER_PORT"] not in ("", "12355")


@pytest.mark.parametrize("trouble", ["fail", "half", "full"])
def test_a_failure_leaves_nothing_at_the_target(tmp_path, model, monkeypatch, trouble):
    said = {"fail": "scripted failure", "half": "without a whole", "full": "no space left"}
    monkeypatch.setenv("TAU2_TEST_TROUBLE", trouble)
    kind = DiskFull if trouble == "full" else ConversionError
    with pytest.raises(kind, match=said[trouble]):
        to_megatron(INSTALL, model, tmp_path / "converted")
    assert not (tmp_path / "converted").exists()
    monkeypatch.delenv("TAU2_TEST_TROUBLE")
    to_megatron(INSTALL, model, tmp_path / "converted")  # what was left does not disturb


def test_a_wrong_model_is_found_before_the_tool_starts(tmp_path, model, monkeypatch):
    (model / "config.json").write_text(json.dumps(config(rope_theta=1_000_000)))
    monkeypatch.setattr(conversion, "_run", lambda *_: pytest.fail("the tool was started"))
    with pytest.raises(ModelConfigError, match="--rotary-base"):
        to_megatron(INSTALL, model, tmp_path / "out", name="Qwen/Qwen3-4B-Instruct-2507")


def test_an_existing_target_is_not_overwritten(tmp_path, model):
    (tmp_path / "converted").mkdir()
    with pytest.raises(ConversionError, match="is there already"):
        to_megatron(INSTALL, model, tmp_path / "converted")


def test_several_gpus_share_the_layers(tmp_path, model, monkeypatch):
    commands = []

    def run(command, install, partial):
        commands.append(command)
        (partial / "release").mkdir(parents=True)
        for name in ("common.pt", ".metadata"):
            (partial / "release" / name).touch()
        (partial / "latest_checkpointed_iteration.txt").write_text("release")

    monkeypatch.setattr(conversion, "_run", run)
    to_megatron(INSTALL, model, tmp_path / "converted", gpus=4)
    assert commands[0][1:4] == ["-m", "torch.distributed.run", "--nproc-per-node=4"]


def test_back_to_hugging_face(tmp_path, model):
    to_megatron(INSTALL, model, tmp_path / "converted")
    to_huggingface(INSTALL, tmp_path / "converted", tmp_path / "hf", model)
    assert (tmp_path / "hf" / "config.json").exists()
    assert "release" in next((tmp_path / "hf").glob("*.safetensors")).read_text()
    assert not (tmp_path / "hf" / ".snakemake_timestamp").exists()


def program(tmp_path, *arguments, trouble=""):
    return subprocess.Popen(
        [sys.executable, str(STAND_IN / "run.py"), "convert_checkpoint.py", *map(str, arguments)],
        cwd=tmp_path,
        env={
            **os.environ,
            "SLIME_HOME": str(STAND_IN),
            "MEGATRON_HOME": str(STAND_IN),
            "TAU2_TEST_TROUBLE": trouble,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
def test_the_program_killed_in_the_middle_leaves_no_target(tmp_path, model):
    flags = ("--to", "torch_dist", "--input", model, "--output", tmp_path / "converted")
    killed = program(tmp_path, *flags, trouble="hang")
    deadline = time.monotonic() + 30
    while not (tmp_path / "converted.partial" / "environment.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (tool,) = psutil.Process(killed.pid).children()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "converted").exists()
    tool.wait(30)  # an orphan would write into the next one's folder
    again = program(tmp_path, *flags)
    text, _ = again.communicate(timeout=60)
    assert again.returncode == 0, text
    assert "agrees with slime's qwen3-4B-Instruct-2507.sh" in text


def test_the_programs_mistakes_are_one_line(tmp_path, model):
    process = program(
        tmp_path, "--to", "hf", "--input", tmp_path, "--output", "x", "--model", model
    )
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert text.startswith("error: ") and "no latest_checkpointed_iteration.txt" in text
