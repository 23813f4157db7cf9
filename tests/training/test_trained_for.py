"""What a checkpoint remembers of its training."""

from __future__ import annotations

import json

import pytest

from tau2_agent.training.trained_for import (
    FILE,
    TrainedFor,
    TrainedForError,
    read_record,
    tokenizer_sha256,
    write_record,
)

FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
RECORD = TrainedFor(stage="grpo", prompt="short", user={"user": "scripted"}, max_new_tokens=48)


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr("tau2_agent.training.trained_for.project_commit", lambda: "0123abc")
    for name in FILES:
        (tmp_path / name).write_text(name)
    write_record(tmp_path, RECORD)
    return tmp_path


def test_it_is_read_as_it_was_written(checkpoint) -> None:
    read = read_record(checkpoint)
    assert read is not None
    told = {"commit": "0123abc", "tokenizer_sha256": tokenizer_sha256(checkpoint)}
    assert read == RECORD.model_copy(update=told)
    written = json.loads((checkpoint / FILE).read_text(encoding="utf-8"))
    assert set(written) == set(TrainedFor.model_fields)  # reading passes over any other


def test_a_model_from_elsewhere_has_none(tmp_path) -> None:
    assert read_record(tmp_path) is None


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("edit", ["another", None])
def test_another_tokenizer_or_template_is_refused(checkpoint, name, edit) -> None:
    if edit is None:
        (checkpoint / name).unlink()
    else:
        (checkpoint / name).write_text(edit)
    with pytest.raises(TrainedForError, match="not the one that it was trained with"):
        read_record(checkpoint)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"stage": "grpo"}', '{"prompt": 3}'])
def test_a_damaged_record_is_one_line(checkpoint, text) -> None:
    (checkpoint / FILE).write_text(text)
    with pytest.raises(TrainedForError, match=FILE):
        read_record(checkpoint)
