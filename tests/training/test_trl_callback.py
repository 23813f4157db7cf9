"""What ends a TRL training before it is done: a loss, a gradient or a weight that is no number."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from tau2_agent.training.resumable import Stage, fingerprint
from tau2_agent.training.trl import Diverged, StageCallback, finish


@pytest.fixture
def stage(tmp_path):
    with (
        pytest.raises(BaseException),  # noqa: B017 - a stage left unfinished says so
        Stage(tmp_path / "sft", fingerprint({}, {}, code="")) as held,
    ):
        yield held
        raise RuntimeError


STATE = SimpleNamespace(global_step=7, max_steps=9)


@pytest.mark.parametrize("key", ["loss", "grad_norm"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_no_number(stage, key, value) -> None:
    values = {"loss": 0.5, "grad_norm": 1.0}
    StageCallback(stage).on_log(None, STATE, None, logs=values)
    with pytest.raises(Diverged, match=rf"step 7 \({key} is {value}\).*Lower the learning rate"):
        StageCallback(stage).on_log(None, STATE, None, logs=values | {key: value})


@pytest.mark.parametrize("bad", [None, float("nan"), float("inf")])
def test_a_checkpoint_with_such_a_weight_is_none(stage, bad) -> None:
    folder = stage.folder / "checkpoint-7"
    folder.mkdir()
    good = torch.zeros(3, 4, dtype=torch.bfloat16)
    weights = {"a": good, "b": good.clone(), "ids": torch.arange(3)}
    if bad is not None:
        weights["b"][2, 1] = bad
    save_file(weights, folder / "model.safetensors")
    if bad is None:
        StageCallback(stage).on_save(None, STATE, None)
        assert folder.exists()
        return
    with pytest.raises(Diverged, match=r"b in model.safetensors is not finite"):
        StageCallback(stage).on_save(None, STATE, None)
    assert not folder.exists()
    assert list(stage.folder.glob("broken-checkpoint-7-*"))


def test_a_final_model_with_such_a_weight_is_not_finished(stage) -> None:
    def save(folder):
        save_file({"a": torch.full((2,), torch.nan)}, folder / "model.safetensors")

    trainer = SimpleNamespace(model=SimpleNamespace(save_pretrained=save), state=STATE)
    with pytest.raises(Diverged, match=r"a in model.safetensors"):
        finish(stage, trainer, None, {}, None)
    assert not stage.finished and not stage.target.exists()
