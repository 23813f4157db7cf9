"""A model's folder that is damaged, or that lacks something: one line that names it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tau2_agent.errors import InputError
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
