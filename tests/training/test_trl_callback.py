"""What ends a TRL training before it is done: a loss, a gradient or a weight that is no number."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from tau2_agent.training.fingerprint import fingerprint
from tau2_agent.training.resumable import Stage
from tau2_agent.training.trained_for import TrainedFor, read_record
from tau2_agent.training.trl import (
    METRICS,
    Diverged,
    StageCallback,
    WeightsGone,
    cut_metrics,
    finish,
    load_checkpoint,
)


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


def test_what_is_logged_is_a_line_each(stage, capsys, monkeypatch) -> None:
    monkeypatch.setattr("tau2_agent.training.trl.time.time", lambda: 100.0)
    callback = StageCallback(stage)
    monkeypatch.setattr("tau2_agent.training.trl.time.time", lambda: 112.3456)
    first = {"loss": 0.52, "learning_rate": 1e-3, "entropy": 3.0, "note": "text"}
    callback.on_log(None, STATE, None, logs=first)
    callback.on_log(None, STATE, None, logs={"eval_runtime": 2})
    callback.on_log(None, STATE, None)
    rows = [json.loads(line) for line in (stage.folder / METRICS).read_text().splitlines()]
    at = {"step": 7, "seconds": 12.35}
    assert rows == [
        {**at, "loss": 0.52, "learning_rate": 1e-3, "entropy": 3.0},
        {**at, "eval_runtime": 2},
        at,
    ]
    # The terminal has a line for each loss, without what only a record needs.
    assert capsys.readouterr().out == "step 7/9  loss 0.52  learning_rate 0.001\n"


def test_a_line_has_what_people_follow(stage, capsys) -> None:
    shown = {"loss": 0.5, "mean_token_accuracy": 0.75, "kl": 0.25, "grad_norm": 2.0}
    shown |= {"rewards/shaped/mean": 0.125}
    hidden = {"rewards/shaped/std": 1.0, "completions/mean": 9.0, "epoch": 1.0}
    StageCallback(stage, None).on_log(None, STATE, None, logs={**shown, **hidden})
    said = "step 7/9  loss 0.5  mean_token_accuracy 0.75  kl 0.25  grad_norm 2  "
    assert capsys.readouterr().out == f"{said}rewards/shaped/mean 0.125\n"


def test_rows_beyond_a_checkpoint_go(tmp_path) -> None:
    rows = [{"step": step, "loss": 0.5} for step in (1, 2, 3, 4)]
    for name, file in (("metrics.jsonl", ()), ("rollouts.jsonl", ("rollouts.jsonl",))):
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 1, "lo')
        cut_metrics(tmp_path, 2, *file)
        assert [json.loads(line) for line in path.read_text().splitlines()] == rows[:2]
    cut_metrics(tmp_path, 2, "none.jsonl")
    assert not (tmp_path / "none.jsonl").exists()


@pytest.mark.parametrize("unit", ["steps", "rollouts"])
def test_progress_is_told_where_it_counts_steps(stage, unit) -> None:
    told = []
    progress = SimpleNamespace(unit=unit, step=lambda *step, **more: told.append((step, more)))
    callback = StageCallback(stage, progress)
    callback.on_log(None, STATE, None, logs={"loss": 0.5})
    callback.on_log(None, STATE, None, logs={"eval_runtime": 2.0})
    assert told == ([((7,), {"loss": 0.5})] if unit == "steps" else [])


class Model:
    """Saves a weight of its own."""

    def __init__(self, value: float) -> None:
        self.value = value

    def save_pretrained(self, folder) -> None:
        save_file({"a": torch.full((2,), self.value)}, folder / "model.safetensors")


@pytest.mark.parametrize("other", [None, Model(2.0)])
def test_a_finished_training_is_whole(stage, tmp_path, other) -> None:
    trainer = SimpleNamespace(model=Model(1.0), state=STATE)
    saved = []
    tokenizer = SimpleNamespace(save_pretrained=saved.append)
    record = TrainedFor(stage="sft", prompt="short", code="abc")
    finish(stage, trainer, tokenizer, {"steps": 9}, record, other)
    kept = read_record(stage.folder)
    assert saved == [stage.folder] and (kept.prompt, kept.code) == ("short", "abc")
    weights = load_file(stage.folder / "model.safetensors")["a"].tolist()
    assert weights == ([2.0, 2.0] if other else [1.0, 1.0])
    done = json.loads((stage.folder / "done.json").read_text())
    assert done["summary"] == {"steps": 9} and stage.target.exists()


def test_weights_of_a_step_or_an_error_that_says_what_to_do(random_model, tmp_path) -> None:
    saved = AutoModelForCausalLM.from_pretrained(random_model, dtype=torch.bfloat16)
    saved.save_pretrained(tmp_path / "checkpoint-4")
    model = load_checkpoint(tmp_path, 4)
    assert next(model.parameters()).dtype == torch.float32
    with pytest.raises(WeightsGone, match="5"):
        load_checkpoint(tmp_path, 5)
