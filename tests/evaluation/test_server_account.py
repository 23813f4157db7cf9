"""How a model was served stands in the results and in the name of the run."""

from __future__ import annotations

import argparse
import shutil

import pytest
from fake_sglang import FakeSGLang

from tau2_agent.config.program_options import add_user
from tau2_agent.errors import InputError
from tau2_agent.evaluation.model_evaluation import (
    add_flags,
    evaluation_fingerprint,
    make_manifest,
    make_settings,
)
from tau2_agent.evaluation.model_players import server_account
from tau2_agent.evaluation.recalled import recall
from tau2_agent.rollout.trajectory import PolicyFailure


@pytest.fixture
def options(random_model):
    def read(*words):
        parser = argparse.ArgumentParser()
        add_flags(parser)
        add_user(parser)
        args = parser.parse_args(["--prompt", "short", *map(str, words)])
        args.checkpoint = random_model
        recall(args, random_model)
        return args

    return read


def name(args) -> str:
    return evaluation_fingerprint(args, make_manifest(args, make_settings(args)))


def test_arguments_of_our_own_server(options) -> None:
    plain, fp8 = options(), options("--server-args=--quantization fp8 --log-level info")
    assert server_account(fp8) == {
        "tp_size": plain.tensor_parallel,
        "arguments": ["--quantization", "fp8", "--log-level", "info"],
    }
    assert name(fp8) != name(plain)
    for same in (["--server-args=--mem-fraction-static 0.5"], ["--tensor-parallel", "4"]):
        assert name(options(*same)) == name(plain)  # memory and GPUs


def test_the_account_of_a_running_server(options, random_model, tmp_path) -> None:
    with FakeSGLang([[1]], model_path=str(random_model)) as server:
        args = options("--sglang-port", server.port)
        first = name(args)
        server.info = {"quantization": "fp8", "api_key": "secret", "tp_size": 2}
        found = server_account(args)
        assert found["quantization"] == "fp8" and found["tp_size"] == 2
        assert "secret" not in str(found)
        assert name(args) != first
        server.info = {"tp_size": 2}
        assert name(args) == first


def test_a_server_of_another_model_is_refused(options, random_model, tmp_path) -> None:
    other = tmp_path / "other"
    shutil.copytree(random_model, other)
    with FakeSGLang([[1]], model_path=str(other)) as server:
        args = options("--sglang-port", server.port)
        assert server_account(args)["model_path"] == str(other)  # a copy serves as well
        (other / "config.json").write_text("{}")
        with pytest.raises(InputError, match=f"serves {other}, not {random_model}"):
            server_account(args)


def test_a_server_that_says_nothing_of_itself(options, monkeypatch) -> None:
    with FakeSGLang([[1]]) as server:
        monkeypatch.setattr("fake_sglang.json.dumps", lambda value: "[1")
        with pytest.raises(PolicyFailure, match="/get_server_info"):
            server_account(options("--sglang-port", server.port))
