"""A model's folder that is damaged, or that lacks something: one line that names it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from tau2_agent import weights
from tau2_agent.errors import InputError
from tau2_agent.memory import OutOfMemory
from tau2_agent.rollout.loading import load_model, load_tokenizer

WEIGHTS = "model.safetensors"


def cut(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])


def emptied(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"")


def taken_away(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


def a_shard_is_missing(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "model-00001-of-00002.safetensors")
    index = {"metadata": {}, "weight_map": {"lm_head.weight": "model-00002-of-00002.safetensors"}}
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps(index))


def a_tensor_is_missing(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    del tensors["model.norm.weight"]
    save_file(tensors, folder / WEIGHTS, {"format": "pt"})


def of_another_shape(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    tensors["model.norm.weight"] = torch.ones(7)
    save_file(tensors, folder / WEIGHTS, {"format": "pt"})


def not_safe(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / "pytorch_model.bin").write_bytes(b"PK\x03\x04 cut")


def of_another_type(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": "wide"}))


def of_no_known_architecture(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "telecom"}')


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (cut, "cannot be loaded: "),
        (emptied, "cannot be loaded: "),
        (taken_away, WEIGHTS),
        (a_shard_is_missing, "model-00002-of-00002.safetensors"),
        (a_tensor_is_missing, "lack model.norm.weight"),
        (of_another_shape, "model.norm.weight has another shape"),
        (of_no_known_architecture, "telecom"),
        (not_safe, "PytorchStreamReader failed"),
        (of_another_type, "hidden_size"),
    ],
)
def test_damaged_weights_are_one_line(damage, says, random_model, tmp_path) -> None:
    shutil.copytree(random_model, tmp_path / "model")
    damage(tmp_path / "model")
    with pytest.raises(InputError) as caught:
        load_model(tmp_path / "model")
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{tmp_path}/model") and says in line
    assert "download it again; if a stage made it, delete it and run the same command" in line


def without_memory(*_, **__):
    return torch.empty(2**55)


def test_without_memory_nobody_is_told_that_the_files_are_damaged(random_model, monkeypatch):
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", without_memory)
    with pytest.raises(OutOfMemory) as caught:
        load_model(random_model)
    said = str(caught.value)
    assert said.startswith(f"loading {random_model}: not enough memory ([enforce fail")
    assert "download" not in said and "\n" not in said
    monkeypatch.setattr(AutoTokenizer, "from_pretrained", without_memory)
    with pytest.raises(OutOfMemory, match=r"^loading the tokenizer of hub/id: not enough memory"):
        load_tokenizer(random_model, "hub/id")


def test_without_memory_weights_that_are_opened_are_not_called_damaged(random_model, monkeypatch):
    def fails(*_, **__):
        raise SafetensorError("Cannot allocate memory (os error 12)")

    monkeypatch.setattr(weights, "safe_open", fails)
    with pytest.raises(OutOfMemory, match=r"^opening .*model\.safetensors: not enough memory"):
        weights.require_readable(random_model)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("expected scalar type Float"), PermissionError(13, "denied"), TypeError("x")],
)
def test_what_is_no_damage_is_not_called_so(error, random_model, monkeypatch) -> None:
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", fails)
    with pytest.raises(type(error)) as caught:
        load_model(random_model)
    assert caught.value is error
    assert error.__notes__ == [f"while loading the model in {random_model}"]


@pytest.mark.parametrize("content", [None, b"x", b"{}", b"\xff"])
def test_a_damaged_tokenizer_is_one_line(content, random_model, tmp_path) -> None:
    shutil.copytree(random_model, tmp_path / "model")
    file = tmp_path / "model" / "tokenizer.json"
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_tokenizer(tmp_path / "model")
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{tmp_path}/model: its tokenizer cannot be loaded: ")


def test_what_is_whole_is_loaded_in_float32(random_model) -> None:
    model, tokenizer = load_model(random_model), load_tokenizer(random_model)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    saved = load_file(random_model / WEIGHTS)["model.norm.weight"]
    assert torch.equal(model.model.norm.weight, saved) and len(tokenizer) > 0
