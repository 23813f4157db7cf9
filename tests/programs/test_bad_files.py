"""A wrong path, or a file of another kind, in any place of any program: one line, no traceback.

Programs that begin slime are not here: what they are given is asked for by the preflight.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from program_runs import run_here

import check_leakage
import tau2_mock
import teacher_traces
from tau2_agent.benchmark.tasks import split_ids

# Program -> its words; those that begin with "@" are files of `made`, each of which is made wrong.
SHORT = ("--context-length", "320", "--max-new-tokens", "4", "--prompt", "short")
PROGRAMS = {
    "check_leakage": ("--train", "@tasks.jsonl", "--eval-split", "test", "--output", "new"),
    "teacher_traces": ("--tasks", "@tasks.jsonl", "--output", "new", "--prompt", "short"),
    "import_traces": ("--source", "@traces.jsonl", "--output", "new.jsonl", "--prompt", "short"),
    "base_model": ("--source", "@model", "--output", "new", "--only-served"),
    "base_model demo": (
        *("--source", "demo", "--traces", "@traces.jsonl", "--output", "new", "--layers", "1"),
        *("--hidden-size", "32", "--heads", "2", "--vocab-size", "600"),
    ),
    "train_sft_trl": (
        *("--model", "@model", "--traces", "@traces.jsonl", "--output", "ck/new", "--epochs", "1"),
        *("--batch-size", "8", "--prompt", "short", "--max-length", "4000"),
    ),
    "train_grpo_trl": (
        *("--model", "@model", "--tasks", "@tasks.jsonl", "--output", "ck/rl", "--rollouts", "1"),
        *("--prompts-per-rollout", "2", "--samples-per-prompt", "2", "--micro-batch-size", "4"),
        *("--validation-every", "0", "--max-steps", "2", *SHORT),
    ),
    "evaluate_tau2": (
        *("--checkpoint", "@model", "--output-path", "new.json", "--backend", "cpu", *SHORT),
        *("--task-split", "small", "--first", "1", "--compare", "@results.json"),
    ),
    "rejection_sampling": (
        *("--checkpoint", "@model", "--tasks", "@tasks.jsonl", "--output", "r.jsonl", *SHORT),
        *("--beside", "@traces.jsonl", "--backend", "cpu", "--samples-per-task", "1"),
    ),
    "summarise_results": ("--results", "@results.json", "--output", "new.csv"),
    "show_episode": ("@results.json",),
    "compare_users": ("--results", "@results.json", "@results.json", "--output", "new.json"),
    "make_cards": (
        *("--checkpoint", "@model", "--sft", "@model", "--results", "@results.json"),
        *("--traces", "@traces.jsonl", "--leaks", "@leaks.json", "--base-folder", "@model"),
        *("--output", "card.md", "--data-card", "data.md"),
    ),
    "make_report": (
        *("--results", "@results.json", "--traces", "@traces.jsonl", "--output", "new.html"),
        *("--training", "plain", "sft", "@model"),
    ),
    "make_submission": ("@results.json", "--output", "s", "--organization", "x", "--email", "a@b"),
    "stores": ("--checkpoints", "@model"),
}
WRONG = {
    "empty": b"",
    "bytes": bytes(range(256)),
    "object": b"{}\n",
    "list": b"[]\n",
    "numbers": b"1\n2\n",
    "null": b"null\n",
    "text": b"hello\n",
    "nested": json.dumps({"task_id": split_ids("train")[0], "messages": 3}).encode(),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory, random_model) -> Path:
    """A folder with a good file of each kind."""
    folder = tmp_path_factory.mktemp("made")
    tau2_mock.main(["--local_dir", str(folder), "--split", "train"])
    lines = (folder / "telecom_train_tasks.jsonl").read_text().splitlines(keepends=True)[:3]
    (folder / "tasks.jsonl").write_text("".join(lines))
    tasks = ["--tasks", str(folder / "tasks.jsonl")]
    teacher_traces.main([*tasks, "--output", str(folder / "traces.jsonl"), "--prompt", "short"])
    leaks = ["--train", str(folder / "tasks.jsonl"), "--eval-split", "test"]
    check_leakage.main([*leaks, "--output", str(folder / "leaks.json")])
    shutil.copytree(random_model, folder / "model")
    return folder


@pytest.fixture
def workplace(made, tmp_path, monkeypatch, capfd) -> Path:
    """A copy of it, with an evaluation, where the program runs."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    if not (made / "results.json").exists():
        words = [*("--checkpoint", "model", "--backend", "cpu", "--task-split", "small", *SHORT)]
        words += ["--first", "1", "--output-path", "results.json", "--stage", "base"]
        status, text = run_here(monkeypatch, capfd, "evaluate_tau2.py", *words)
        assert status == 0, text
        for file in tmp_path.glob("results.*"):
            shutil.copy2(file, made / file.name)
    return tmp_path


def wrong_files(folder: Path, good: Path) -> dict[str, Path]:
    """Name -> a path that is not what is wanted."""
    bad = folder / "bad"
    bad.mkdir()
    found = {"missing": folder / "nowhere", "folder": bad / "folder", "marked": bad / "marked"}
    for name, content in WRONG.items():
        found[name] = bad / name
        found[name].write_bytes(content)
    found["folder"].mkdir()
    found["marked"].mkdir()
    for name in ("config.json", "done.json"):
        (found["marked"] / name).write_text("3")
    if good.is_file():
        found["cut"] = bad / "cut"
        found["cut"].write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_wrong_file_is_one_line(name, workplace, monkeypatch, capfd) -> None:
    program = f"{name.split()[0]}.py"
    words = [word.removeprefix("@") for word in PROGRAMS[name]]
    told = []
    for place, word in enumerate(PROGRAMS[name]):
        if not word.startswith("@"):
            continue
        shutil.rmtree(workplace / "bad", ignore_errors=True)
        for kind, path in wrong_files(workplace, workplace / words[place]).items():
            given = [*words[:place], str(path), *words[place + 1 :]]
            try:
                status, text = run_here(monkeypatch, capfd, program, *given)
            except Exception as error:  # what would be a traceback
                told.append(f"{word} {kind}: {error!r}")
                continue
            if status and "error: " not in text:
                told.append(f"{word} {kind}: status {status}, {text[-200:]}")
    assert not told, "\n".join(told)


MAKE_FOLDERS = {"base_model", "base_model demo", "train_sft_trl", "train_grpo_trl"} | {
    *("make_submission", "show_episode", "stores"),  # the last two write nothing
}


@pytest.mark.parametrize("name", sorted(PROGRAMS.keys() - MAKE_FOLDERS))
def test_a_folder_in_place_of_the_result_is_refused_at_once(name, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    words = [word.removeprefix("@") for word in PROGRAMS[name]]
    outputs = [n for n, word in enumerate(words) if word in ("--output", "--output-path")]
    assert outputs
    for place in outputs:
        given = [*words[: place + 1], ".", *words[place + 2 :]]
        status, text = run_here(monkeypatch, capfd, f"{name}.py", *given)
        assert status == 2 and f"argument {words[place]}: . is a folder; name a file" in text
