"""Which of a trainer's checkpoints are whole, what a stopped training leaves, where it goes on."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from transformers import PrinterCallback

from tau2_agent.memory import OutOfMemory
from tau2_agent.records.progress import Progress
from tau2_agent.rollout.trajectory import JobStop
from tau2_agent.training.trl import StageCallback, last_checkpoint, run

FILES = ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "rng_state_1.pth")


def checkpoint(folder: Path, step: int) -> Path:
    """A small one with every kind of file."""
    made = folder / f"checkpoint-{step}"
    made.mkdir()
    (made / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    save_file({"a": torch.ones(50)}, made / FILES[0])
    for name in FILES[1:]:
        torch.save({"a": torch.ones(50)}, made / name)
    return made


def test_the_newest_whole_one_is_taken(tmp_path) -> None:
    for step in (9, 10, 2):
        checkpoint(tmp_path, step)
    (tmp_path / "checkpoint-best").mkdir()
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert last_checkpoint(tmp_path / "nothing") is None
    assert not list(tmp_path.glob("broken-*"))


def gone(file: Path) -> None:
    file.unlink()


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


def damaged(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF  # in what a zip file has checksums of
    file.write_bytes(content)


def empty(file: Path) -> None:
    file.write_bytes(b"")


OPTIONAL = {"rng_state.pth", "rng_state_1.pth"}  # one a process: their number says nothing
DAMAGE = [
    (name, harm)
    for name in ("trainer_state.json", *FILES)
    for harm in (gone, cut, empty, damaged)
    if not (harm is gone and name in OPTIONAL)
    and not (harm is damaged and not name.endswith((".pt", ".pth")))
]


@pytest.mark.parametrize(
    ("name", "harm"), DAMAGE, ids=lambda value: getattr(value, "__name__", value)
)
def test_one_that_is_not_whole_is_kept_aside(tmp_path, capsys, name, harm) -> None:
    before, broken = checkpoint(tmp_path, 3), checkpoint(tmp_path, 4)
    harm(broken / name)
    assert last_checkpoint(tmp_path) == before
    (aside,) = tmp_path.glob("broken-checkpoint-4-*")
    said = capsys.readouterr().out
    assert "checkpoint-4: not whole (" in said and aside.name in said
    if name.endswith((".pt", ".pth")):
        assert f"({name} is " in said


@pytest.mark.parametrize(
    ("reader", "error", "kind"),
    [
        ("safe_open", SafetensorError("Cannot allocate memory (os error 12)"), OutOfMemory),
        *(
            (reader, error, kind)
            for reader in ("safe_open", "zipfile.ZipFile")
            for error, kind in (
                (OSError(errno.ENOMEM, "Cannot allocate memory"), OutOfMemory),
                (PermissionError(errno.EACCES, "denied"), PermissionError),
            )
        ),
    ],
)
def test_one_that_cannot_be_read_now_stays(tmp_path, monkeypatch, reader, error, kind) -> None:
    made = checkpoint(tmp_path, 4)

    def fails(*_, **__):
        raise error

    monkeypatch.setattr(f"tau2_agent.training.trl.{reader}", fails)
    with pytest.raises(kind) as raised:
        last_checkpoint(tmp_path)
    assert kind is PermissionError or str(made) in str(raised.value)
    assert made.is_dir() and not list(tmp_path.glob("broken-*"))


def test_one_of_another_step_is_not_whole(tmp_path, capsys) -> None:
    made = checkpoint(tmp_path, 4)
    (made / "trainer_state.json").write_text('{"global_step": 3}')
    assert last_checkpoint(tmp_path) is None
    assert "of another step" in capsys.readouterr().out


class Trainer:
    """What `run` uses of TRL's."""

    def __init__(self, step: int = 0, error: Exception | None = None) -> None:
        self.added, self.removed, self.begun, self.saved = [], [], [], []
        self.state, self.model, self.error = SimpleNamespace(global_step=step), object(), error

    def add_callback(self, callback) -> None:
        self.added.append(callback)

    def remove_callback(self, callback) -> None:
        self.removed.append(callback)

    def train(self, resume_from_checkpoint):
        self.begun.append(resume_from_checkpoint)
        if self.error:
            raise self.error
        return "result"

    def _save_checkpoint(self, model, trial) -> None:
        self.saved.append((model, trial))


def stage(folder: Path, stop: bool = False) -> SimpleNamespace:
    return SimpleNamespace(folder=folder, stop_requested=stop, target=folder)


def test_a_training_begins_or_goes_on(tmp_path) -> None:
    trainer, progress, more = Trainer(), Progress("x", 3), object()
    held = stage(tmp_path)
    assert run(held, trainer, None, progress, more) == "result"
    own, other = trainer.added
    assert (own.stage, own.progress, other) == (held, progress, more)
    assert trainer.removed == [PrinterCallback]
    run(held, trainer, tmp_path / "checkpoint-2", progress)
    assert trainer.begun == [None, str(tmp_path / "checkpoint-2")]
    assert trainer.saved == []


def test_a_spent_budget_keeps_what_was_paid_for(tmp_path) -> None:
    for step, saved in ((0, 0), (5, 1), (7, 0)):
        (tmp_path / "checkpoint-7").mkdir(exist_ok=True)
        trainer = Trainer(step, JobStop("no money"))
        with pytest.raises(JobStop, match="no money"):
            run(stage(tmp_path), trainer, None, Progress("x", 9))
        assert trainer.saved == [(trainer.model, None)] * saved
    trainer = Trainer(5, RuntimeError("a mistake"))
    with pytest.raises(RuntimeError):
        run(stage(tmp_path), trainer, None, Progress("x", 9))
    assert trainer.saved == []


@pytest.mark.parametrize("stop", [True, False])
def test_a_stop_saves_first(tmp_path, stop) -> None:
    control = SimpleNamespace(should_save=False, should_training_stop=False)
    same = StageCallback(stage(tmp_path, stop)).on_step_end(None, None, control)
    assert same is control
    assert (control.should_save, control.should_training_stop) == (stop, stop)
