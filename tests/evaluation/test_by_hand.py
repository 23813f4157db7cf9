"""What a model reads first when it is evaluated by hand: the prompt that it was trained with.

The demo's model, trained with the short prompt, scored 0.000 under tau2's and 0.800 under its own.
"""

from __future__ import annotations

import json
import shutil

import pytest
from program_runs import run_here
from transformers import AutoTokenizer

from tau2_agent.benchmark.environment import system_prompt
from tau2_agent.inference import transformers_policy
from tau2_agent.rollout.trajectory import Turn
from tau2_agent.training.trained_for import TrainedFor, write_record


@pytest.fixture
def first_read(random_model, tmp_path, monkeypatch, capfd):
    """A function: options -> the text that the model is given first, and what was printed."""
    folder = tmp_path / "checkpoint"
    shutil.copytree(random_model, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 99_999}))
    write_record(folder, TrainedFor(stage="sft", prompt="short"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    read: list[str] = []

    class Policy:
        def __init__(self, model, stop_ids, **_):
            self.stop_id = stop_ids[0]

        async def generate(self, prompt, sampling, session):
            read.append(tokenizer.decode(prompt))
            return Turn([self.stop_id], [0.0], "stop")

    monkeypatch.setattr(transformers_policy, "LocalPolicy", Policy)

    def run(*words: str) -> tuple[str, str]:
        read.clear()
        options = ["--checkpoint", folder, "--backend", "cpu", "--first", 1]
        options += ["--output-path", tmp_path / "eval.json", "--context-length", 99_999]
        status, text = run_here(monkeypatch, capfd, "evaluate_tau2.py", *options, *words)
        assert status == 0, text
        return read[0], text

    return run


def test_it_is_the_prompt_of_the_training(first_read) -> None:
    read, said = first_read()
    assert read.startswith(f"<|im_start|>system\n{system_prompt('short')}<|im_end|>")
    assert "otherwise than trained" not in said


def test_another_one_is_read_when_told_and_one_line_says_so(first_read) -> None:
    read, said = first_read("--prompt", "tau2")
    assert read.startswith(f"<|im_start|>system\n{system_prompt('tau2')}")
    assert "evaluated otherwise than trained: prompt 'tau2', trained with 'short'" in said
