"""No text is longer than the positions that a model has, nor a limit too short for any success.

Both backends, before anything begins."""

from __future__ import annotations

import json
import shutil

import pytest
from program_runs import run_here

import tau2_mock
import teacher_traces
import train_grpo_slime
import train_sft_slime

POSITIONS = 350
LEAST, PROMPT = 303, 112  # of the shortest solved conversation, in the tokens of this model
WIDEN = "lower it, or widen the model with model.max_positions"
GRPO = [("train_grpo_trl.py", "model tasks"), ("train_grpo_slime.py", "model sft tasks")]


@pytest.fixture
def files(random_model, tmp_path):
    """Options that every program reads, by name; the model has few positions."""
    model = tmp_path / "model"
    shutil.copytree(random_model, model)
    config = json.loads((model / "config.json").read_text())
    config["max_position_embeddings"] = POSITIONS
    (model / "config.json").write_text(json.dumps(config))
    tau2_mock.main(["--local_dir", str(tmp_path), "--split", "small"])
    found = {"model": model, "tasks": tmp_path / "telecom_small_tasks.jsonl"}
    found |= {"sft": model, "base": model, "checkpoint": model, "tokenizer": model}
    return {f"--{name}": str(path) for name, path in found.items()}


@pytest.fixture
def refused(files, monkeypatch, capfd, tmp_path):
    """A function that runs a program and returns its one line of error."""
    for module in (train_sft_slime, train_grpo_slime):  # no GPU, no slime: what comes before them
        monkeypatch.setattr(module, "find_install", lambda: None)
        monkeypatch.setattr(module, "sweep", lambda mark: None)
        monkeypatch.setattr(module, "take_gpus", lambda count: None)
        monkeypatch.setattr(module, "check", lambda *_: None)
        monkeypatch.setattr(module.preflight, "require", lambda *_: None)

    def run(program: str, names: str, *words: str) -> str:
        given = [word for name in names.split() for word in (f"--{name}", files[f"--{name}"])]
        status, text = run_here(monkeypatch, capfd, program, *given, "--prompt", "short", *words)
        assert status == 2 and "Traceback" not in text, text
        (line,) = (line for line in text.splitlines() if line.startswith("error: "))
        return line

    return run


@pytest.mark.parametrize(
    ("program", "names"),
    [*GRPO, ("evaluate_tau2.py", "checkpoint")],
)
def test_a_context_longer_than_the_model_s(refused, tmp_path, program, names) -> None:
    words = ["--context-length", str(POSITIONS + 1)]
    if program == "evaluate_tau2.py":
        words += ["--backend", "cpu", "--output-path", str(tmp_path / "x.json")]
    else:
        words += ["--output", str(tmp_path / "out")]
    line = refused(program, names, *words)
    assert f"--context-length {POSITIONS + 1}: " in line and f"can read {POSITIONS} tokens" in line
    assert line.endswith(WIDEN)
    assert not (tmp_path / "out").exists() and not (tmp_path / "x.json").exists()


@pytest.mark.parametrize(
    ("program", "names"),
    [("train_sft_trl.py", "model"), ("train_sft_slime.py", "model base")],
)
def test_a_trace_longer_than_the_model_s(refused, files, tmp_path, program, names) -> None:
    traces = str(tmp_path / "traces.jsonl")
    teacher_traces.main(["--tasks", files["--tasks"], "--output", traces, "--prompt", "short"])
    words = ["--traces", traces, "--output", str(tmp_path / "out"), "--max-length", "99999"]
    line = refused(program, names, *words)
    assert "a trace's length " in line and f"can read {POSITIONS} tokens" in line
    assert line.endswith(WIDEN)
    assert not (tmp_path / "out").exists()


GRPO_KEY, SFT_KEY = "grpo.context_length (--context-length)", "sft.max_length (--max-length)"
VALIDATION = ("--validation-context-length", "evaluation.context_length")


@pytest.mark.parametrize("length", [20, PROMPT + 1, PROMPT + 20, LEAST - 1])
@pytest.mark.parametrize(
    ("program", "names", "option", "said"),
    [
        *((*one, "--context-length", GRPO_KEY) for one in GRPO),
        *((*one, *VALIDATION) for one in GRPO),
        (*GRPO[1], "--response-length", "grpo.response_length (--response-length)"),
        (
            "evaluate_tau2.py",
            "checkpoint",
            "--context-length",
            GRPO_KEY.replace("grpo", "evaluation"),
        ),
        ("rejection_sampling.py", "checkpoint tasks", "--context-length", GRPO_KEY),
        ("rejection_sampling.py", "checkpoint tasks", "--max-length", SFT_KEY),
        ("teacher_traces.py", "tasks tokenizer", "--max-length", SFT_KEY.replace("sft", "traces")),
    ],
)
def test_a_limit_in_which_nothing_can_be_solved(
    refused, tmp_path, program, names, option, said, length
):
    words = ["--output", str(tmp_path / "out"), "--context-length", str(LEAST)]
    least, parts = LEAST, f", {PROMPT} of prompt short and {LEAST - PROMPT} of its turns"
    if option == "--response-length":
        least, parts, length = LEAST - PROMPT, " after the prompt", min(length, LEAST - PROMPT - 1)
    if program == "rejection_sampling.py":
        words += ["--backend", "cpu", "--samples-per-task", "1", "--max-length", str(LEAST)]
    elif program == "evaluate_tau2.py":
        words = ["--backend", "cpu", "--output-path", str(tmp_path / "out.json")]
    elif program == "teacher_traces.py":
        words = [*words[:2], "--teacher", "llm", "--teacher-model", "openai/none"]
    else:
        words += ["--validation-every", "1", "--validation-context-length", str(LEAST)]
        words += ["--validation-max-new-tokens", "4"]
    line = refused(program, names, *words, option, str(length))
    assert line.startswith(
        f"error: {said} {length}: the shortest conversation that solves a task takes {least} tokens"
        f"{parts}; raise it to {least} at least"
    )
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(("program", "names"), GRPO)
def test_without_validation_its_limit_does_not_matter(refused, tmp_path, program, names) -> None:
    words = ["--validation-every", "0", "--validation-context-length", "20"]
    words += ["--output", str(tmp_path / "out"), "--context-length", "21"]
    line = refused(program, names, *words)
    assert line.startswith(f"error: {GRPO_KEY} 21: ")
