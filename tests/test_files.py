"""Files: whole or absent, hashed by content, and errors that name the line or the disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tau2_agent import files


def test_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    files.write_jsonl(path, [{"a": 1}])

    def rows():
        yield {"a": 2}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_jsonl(path, rows())
    with pytest.raises(ValueError):
        files.write_jsonl(path, [{"a": float("nan")}])
    assert list(files.read_jsonl(path)) == [{"a": 1}]
    assert list(tmp_path.iterdir()) == [path]


def test_a_written_file_has_the_usual_rights_and_no_thread_sees_another_umask(
    tmp_path: Path, monkeypatch
) -> None:
    (tmp_path / "plain").touch()
    monkeypatch.setattr(os, "umask", lambda _: pytest.fail("it is every thread's"))
    files.write_text(tmp_path / "written", "text")
    modes = [(tmp_path / name).stat().st_mode for name in ("plain", "written")]
    assert modes[0] == modes[1]


def test_rename_that_fails_removes_the_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        files.write_text(tmp_path / "folder", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_line_cut_in_half_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n\n{"a": 2, "b\n')
    with pytest.raises(files.JsonLineError, match=r"rows.jsonl, line 3: not valid JSON"):
        list(files.read_jsonl(path))


def test_folder_hash_sees_content_names_and_large_files(tmp_path: Path) -> None:
    def hash_of(**contents: bytes) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        return files.content_hash(folder)

    large = bytearray(files.WHOLE_BYTES + 1000)
    first = hash_of(a=b"1", b=bytes(large))
    assert hash_of(a=b"1", b=bytes(large)) == first
    assert hash_of(a=b"2", b=bytes(large)) != first
    assert hash_of(c=b"1", b=bytes(large)) != first
    large[-1] = 1
    assert hash_of(a=b"1", b=bytes(large)) != first


@pytest.mark.parametrize("place", [0.03, 0.37, 0.5, 0.91])
def test_large_text_counts_whole(tmp_path: Path, place: float) -> None:
    text = bytearray(b'{"task_id": "a"}\n' * (files.WHOLE_BYTES // 8))
    path = tmp_path / "traces.jsonl"
    path.write_bytes(text)
    first = files.content_hash(path)
    text[int(place * len(text))] += 1
    path.write_bytes(text)
    assert files.content_hash(path) != first


def test_a_finished_store_is_what_its_marker_lists(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\0 1")
    (tmp_path / "done.json").write_text('{"run": "1", "files": {"model.safetensors": 3}}')
    first = files.content_hash(tmp_path)
    (tmp_path / "iter_0000007").mkdir()
    (tmp_path / "iter_0000007/shard").write_text("pruned later")
    assert files.content_hash(tmp_path) == first
    (tmp_path / "model.safetensors").write_bytes(b"\0 2")
    assert files.content_hash(tmp_path) != first


def test_folder_hash_ignores_hidden_files_and_follows_a_done_marker(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("1")
    first = files.content_hash(tmp_path)
    (tmp_path / ".snakemake_timestamp").touch()
    assert files.content_hash(tmp_path) == first
    (tmp_path / "done.json").write_text('{"run": "1"}')
    second = files.content_hash(tmp_path)
    assert second != first
    (tmp_path / "done.json").write_text('{"run": "2"}')
    assert files.content_hash(tmp_path) != second


def test_full_disk_is_recognised_behind_other_errors() -> None:
    assert files.is_disk_full(OSError(errno.EDQUOT, "quota"))
    assert files.is_disk_full(RuntimeError("I/O error: No space left on device (os error 28)"))
    assert not files.is_disk_full(OSError(errno.EACCES, "denied"))
    full = OSError(errno.ENOSPC, "No space left on device", "results/eval_test.json")
    group = ExceptionGroup("tasks", [ValueError(), full])
    assert files.is_disk_full(group)
    assert files.disk_full_place(group) == "results/eval_test.json"
    assert files.disk_full_place(ValueError()) == "."
